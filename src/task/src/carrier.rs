//! Work that is handed over by those who cannot wait for it: a request that ended in a stream, which outlives its answer.
//!
//! Its owner is whoever runs the carrier; it ends with it.

use std::pin::Pin;

use tokio::sync::{Mutex, MutexGuard, mpsc};

use crate::Tasks;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Work that waits to be taken over; who hands over more waits.
const WAITING: usize = 64;

/// Nobody takes work over any more.
#[derive(Debug, thiserror::Error)]
#[error("the process is stopping")]
pub struct Stopping;

#[derive(Debug)]
pub struct Carrier {
    sender: mpsc::Sender<Work>,
    receiver: Mutex<mpsc::Receiver<Work>>,
}

impl Default for Carrier {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        Self { sender, receiver: Mutex::new(receiver) }
    }
}

impl Carrier {
    /// Hands work over. It moves while [`Carrier::run`] is polled.
    pub fn carry(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = Result<(), Stopping>> {
        // Boxed before it is waited for: who hands it over does not become as large as it.
        let work: Work = Box::pin(work);
        async { self.sender.send(work).await.map_err(|_| Stopping) }
    }

    /// Carries what is handed over, for as long as it is polled; once it is dropped, what waits is dropped and what comes refused.
    pub async fn run(&self) {
        let mut receiver = Closing(self.receiver.lock().await);
        let mut carried = Tasks::new();
        loop {
            tokio::select! {
                work = receiver.0.recv() => match work {
                    Some(work) => drop(carried.spawn("carried", work)),
                    None => return,
                },
                Some(_) = carried.next() => {}
            }
        }
    }
}

struct Closing<'a>(MutexGuard<'a, mpsc::Receiver<Work>>);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
        while self.0.try_recv().is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_outlives_who_handed_it_over() {
        let carrier = Carrier::default();
        let (done, told) = oneshot::channel();
        let work = async move {
            tokio::task::yield_now().await;
            done.send(()).unwrap();
        };
        carrier.carry(work).await.unwrap();
        tokio::select! {
            () = carrier.run() => panic!("it ends with its owner only"),
            told = told => told.unwrap(),
        }
    }

    #[tokio::test]
    async fn nothing_is_handed_over_when_nobody_carries_any_more() {
        let carrier = Carrier::default();
        tokio::select! {
            biased;
            () = carrier.run() => panic!("it ends with its owner only"),
            () = tokio::task::yield_now() => {}
        }
        assert!(carrier.carry(async {}).await.is_err());
    }
}
