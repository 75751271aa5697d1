//! Places for requests, handed out in turns: a client with a thousand requests waits behind its own, not before everybody else's,
//! and never holds all places, so that there is one for the next that comes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::status::Status;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::WAITING;

/// Who has no place by then is told to come back: a quarter of what a request may take, as upstream.
const PATIENCE: Duration = Duration::from_secs(15);
/// When to come back, in seconds.
const COME_BACK: u32 = 1;

#[derive(Debug)]
pub(crate) struct Turns {
    state: Mutex<State>,
    /// Places that one client may hold.
    most: usize,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Whoever holds a place or waits for one, and nobody else.
    clients: HashMap<Arc<str>, Client>,
    /// The clients that wait: whose turn is next.
    order: VecDeque<Arc<str>>,
}

#[derive(Debug)]
struct Client {
    name: Arc<str>,
    held: usize,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

/// Held while a request is answered.
#[derive(Debug)]
pub(crate) struct Place {
    turns: Option<Arc<Turns>>,
    client: Arc<str>,
}

impl Turns {
    /// So many places, of which one client holds no more than `most`.
    pub(crate) fn new(places: usize, most: usize) -> Arc<Self> {
        let state = State { free: places, clients: HashMap::new(), order: VecDeque::new() };
        Arc::new(Self { state: Mutex::new(state), most })
    }

    /// A place for a request of this client, now or in its turn.
    pub(crate) async fn take(self: &Arc<Self>, client: &str) -> Result<Place, Status> {
        let receiver = {
            let mut state = self.state();
            if let Some(client) = state.enter(client, self.most) {
                return Ok(Place { turns: Some(self.clone()), client });
            }
            state.wait(client).ok_or_else(refusal)?
        };
        match timeout(PATIENCE, receiver).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(refusal()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place back, and gives it to the next in turn.
    fn pass_on(self: &Arc<Self>, client: &str) {
        let mut state = self.state();
        state.leave(client);
        while let Some((next, client)) = state.next(self.most) {
            if let Err(mut place) = next.send(Place { turns: Some(self.clone()), client }) {
                // It waits no longer. The place is still ours to give.
                drop(place.turns.take());
                state.leave(&place.client);
            }
        }
    }
}

fn refusal() -> Status {
    Status::too_many_requests("too many requests, please try again later", COME_BACK)
}

impl State {
    /// A place for a client that may have one more, if one is free. Nobody is passed over: places are free only while all who
    /// wait hold as many as they may.
    fn enter(&mut self, name: &str, most: usize) -> Option<Arc<str>> {
        if self.free == 0 {
            return None;
        }
        let client = self.client(name);
        if client.held >= most {
            return None;
        }
        client.held += 1;
        let name = client.name.clone();
        self.free -= 1;
        Some(name)
    }

    fn leave(&mut self, name: &str) {
        self.free += 1;
        let Some(client) = self.clients.get_mut(name) else { return };
        client.held -= 1;
        if client.held == 0 && client.waiting.is_empty() {
            self.clients.remove(name);
        }
    }

    fn client(&mut self, name: &str) -> &mut Client {
        if !self.clients.contains_key(name) {
            let name: Arc<str> = name.into();
            let client = Client { name: name.clone(), held: 0, waiting: VecDeque::new() };
            self.clients.insert(name, client);
        }
        self.clients.get_mut(name).expect("it was there or was just put there")
    }

    /// None if enough of this client wait.
    fn wait(&mut self, name: &str) -> Option<oneshot::Receiver<Place>> {
        let (sender, receiver) = oneshot::channel();
        let client = self.client(name);
        let in_order = !client.waiting.is_empty();
        client.waiting.retain(|waiting| !waiting.is_closed());
        if client.waiting.len() >= WAITING {
            return None;
        }
        client.waiting.push_back(sender);
        let name = client.name.clone();
        if !in_order {
            self.order.push_back(name);
        }
        Some(receiver)
    }

    /// The oldest request of the client whose turn it is, which then goes to the end. Who holds as many places as it may is
    /// passed over: with three quarters for each, that is one client at most.
    fn next(&mut self, most: usize) -> Option<(oneshot::Sender<Place>, Arc<str>)> {
        if self.free == 0 {
            return None;
        }
        let may = |name: &Arc<str>| self.clients.get(name).is_some_and(|client| client.held < most);
        let name = self.order.remove(self.order.iter().position(may)?)?;
        let client = self.clients.get_mut(&name)?;
        let next = client.waiting.pop_front()?;
        client.held += 1;
        self.free -= 1;
        if !client.waiting.is_empty() {
            self.order.push_back(name.clone());
        }
        Some((next, name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(turns) = self.turns.take() {
            turns.pass_on(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Four places, three of which one client may hold; `greedy` and `other` hold them.
    async fn full() -> (Arc<Turns>, Vec<Place>) {
        let turns = Turns::new(4, 3);
        let mut places = Vec::new();
        for client in ["other", "greedy", "greedy", "greedy"] {
            places.push(turns.take(client).await.unwrap());
        }
        (turns, places)
    }

    fn is_empty(turns: &Turns, places: usize) -> bool {
        let state = turns.state();
        (state.free, state.clients.len(), state.order.len()) == (places, 0, 0)
    }

    #[tokio::test]
    async fn clients_take_turns_however_many_requests_they_have() {
        let (turns, mut places) = full().await;
        let mut greedy: Vec<_> = (0..5).map(|_| Box::pin(turns.take("greedy"))).collect();
        assert!(greedy.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        let mut modest = Box::pin(turns.take("modest"));
        assert!((&mut modest).now_or_never().is_none());
        places.pop();
        places.push((&mut greedy[0]).now_or_never().unwrap().unwrap());
        places.pop();
        assert!((&mut modest).now_or_never().is_some(), "before the four others that came earlier");
    }

    #[tokio::test]
    async fn nobody_holds_all_places() {
        let turns = Turns::new(4, 3);
        let mut greedy: Vec<_> = (0..6).map(|_| Box::pin(turns.take("greedy"))).collect();
        let mut places: Vec<_> = greedy.iter_mut().filter_map(FutureExt::now_or_never).collect();
        assert_eq!(places.len(), 3);
        let modest = turns.take("modest").now_or_never();
        assert!(modest.as_ref().is_some_and(Result::is_ok), "there is a place for the next that comes");
        let mut second = Box::pin(turns.take("second"));
        assert!((&mut second).now_or_never().is_none(), "now all are taken");
        drop(modest);
        let second = (&mut second).now_or_never();
        assert!(
            second.is_some_and(|place| place.is_ok()),
            "it is not for who holds three, first in the row or not"
        );
        places.pop();
        let next: Vec<_> = greedy[3..].iter_mut().filter_map(FutureExt::now_or_never).collect();
        assert_eq!(next.len(), 1, "one of its own came free, and another one is no concern of its");
        drop((places, next, greedy));
        assert!(is_empty(&turns, 4));
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
        assert!(is_empty(&turns, 4), "nothing is lost with those who gave up, and nothing is kept of them");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let (turns, places) = full().await;
        assert_eq!(turns.take("modest").await.unwrap_err().code, 429);
        drop(places);
        assert!(is_empty(&turns, 4));
    }
}
