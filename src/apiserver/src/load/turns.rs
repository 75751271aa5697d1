//! Places for requests, handed out in turns: a client with a thousand requests waits behind its own, not before everybody else's.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::status::Status;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{PLACES, WAITING};

/// Who has no place by then is told to come back: a quarter of what a request may take, as upstream.
const PATIENCE: Duration = Duration::from_secs(15);
/// When to come back, in seconds.
const COME_BACK: u32 = 1;

#[derive(Debug)]
pub(crate) struct Turns(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    /// Requests that wait, by client; no client without any.
    waiting: HashMap<String, VecDeque<oneshot::Sender<Place>>>,
    /// Whose turn is next.
    order: VecDeque<String>,
}

/// Held while a request is answered.
#[derive(Debug)]
pub(crate) struct Place(Option<Arc<Turns>>);

impl Turns {
    pub(crate) fn new() -> Arc<Self> {
        let state = State { free: PLACES, waiting: HashMap::new(), order: VecDeque::new() };
        Arc::new(Self(Mutex::new(state)))
    }

    /// A place for a request of this client, now or in its turn.
    pub(crate) async fn take(self: &Arc<Self>, client: &str) -> Result<Place, Status> {
        let receiver = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Place(Some(self.clone())));
            }
            state.wait(client).ok_or_else(refusal)?
        };
        match timeout(PATIENCE, receiver).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(refusal()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a place that came free to the next in turn.
    fn pass_on(self: &Arc<Self>) {
        let mut state = self.state();
        while let Some(next) = state.next() {
            match next.send(Place(Some(self.clone()))) {
                Ok(()) => return,
                // It waits no longer. The place is still ours to give.
                Err(mut place) => drop(place.0.take()),
            }
        }
        state.free += 1;
    }
}

fn refusal() -> Status {
    Status::too_many_requests("too many requests, please try again later", COME_BACK)
}

impl State {
    /// None if enough of this client wait.
    fn wait(&mut self, client: &str) -> Option<oneshot::Receiver<Place>> {
        let (sender, receiver) = oneshot::channel();
        match self.waiting.get_mut(client) {
            Some(queue) => {
                queue.retain(|waiting| !waiting.is_closed());
                if queue.len() >= WAITING {
                    return None;
                }
                queue.push_back(sender);
            }
            None => {
                self.waiting.insert(client.to_owned(), [sender].into());
                self.order.push_back(client.to_owned());
            }
        }
        Some(receiver)
    }

    /// The oldest request of the client whose turn it is, which then goes to the end.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        let client = self.order.pop_front()?;
        let queue = self.waiting.get_mut(&client)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&client);
        } else {
            self.order.push_back(client);
        }
        next
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    async fn full() -> (Arc<Turns>, Vec<Place>) {
        let turns = Turns::new();
        let mut places = Vec::new();
        for _ in 0..PLACES {
            places.push(turns.take("greedy").await.unwrap());
        }
        (turns, places)
    }

    #[tokio::test]
    async fn clients_take_turns_however_many_requests_they_have() {
        let (turns, mut places) = full().await;
        let mut greedy: Vec<_> = (0..5).map(|_| Box::pin(turns.take("greedy"))).collect();
        assert!(greedy.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        let mut modest = Box::pin(turns.take("modest"));
        assert!((&mut modest).now_or_never().is_none());
        places.pop();
        let first = (&mut greedy[0]).now_or_never();
        assert!(first.is_some_and(|place| place.is_ok_and(|place| {
            places.push(place);
            true
        })));
        places.pop();
        assert!((&mut modest).now_or_never().is_some(), "before the four others that came earlier");
    }

    #[tokio::test]
    async fn a_client_waits_with_so_many_requests_and_no_more() {
        let (turns, places) = full().await;
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(turns.take("greedy"))).collect();
        assert!(waiting.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        let refused = turns.take("greedy").now_or_never().unwrap().unwrap_err();
        assert_eq!((refused.code, refused.details.retry_after_seconds), (429, 1));
        assert!(turns.take("modest").now_or_never().is_none(), "another one may wait");
        drop((waiting, places));
        assert_eq!(turns.state().free, PLACES, "nothing is lost with those who gave up");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let (turns, places) = full().await;
        assert_eq!(turns.take("modest").await.unwrap_err().code, 429);
        drop(places);
        assert_eq!(turns.state().free, PLACES);
    }
}
