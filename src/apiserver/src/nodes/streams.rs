//! Connections that were upgraded, and live on after their request was answered: carried here until either end closes.

use std::pin::Pin;

use api::status::Status;
use task::Tasks;
use tokio::sync::{Mutex, mpsc};

type Joined = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Upgrades that wait to be carried; more wait for room.
const WAITING: usize = 64;

#[derive(Debug)]
pub(crate) struct Streams {
    sender: mpsc::Sender<Joined>,
    receiver: Mutex<mpsc::Receiver<Joined>>,
}

impl Default for Streams {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        Self { sender, receiver: Mutex::new(receiver) }
    }
}

impl Streams {
    /// Has two joined ends carried; they must be, before the answer is sent that tells the client of it.
    pub(super) async fn carry(
        &self,
        joined: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Status> {
        let stopping = |_| Status::unavailable("the API server is stopping");
        self.sender.send(Box::pin(joined)).await.map_err(stopping)
    }

    /// Carries what comes, for as long as it is polled.
    pub(crate) async fn run(&self) {
        let mut receiver = self.receiver.lock().await;
        let mut carried = Tasks::new();
        loop {
            tokio::select! {
                joined = receiver.recv() => match joined {
                    Some(joined) => drop(carried.spawn("stream to a node", joined)),
                    None => return,
                },
                Some(_) = carried.next() => {}
            }
        }
    }
}
