//! The work a component has before it: keys to look at.
//!
//! A key that is added twice before anybody looks at it is looked at once; one that is added while it is being looked
//! at is looked at once more afterwards, never twice at the same time. A key that failed comes back later each time,
//! until it succeeds. The queue is as long as there are keys: it needs no other bound.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use task::{causes, deadline};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{debug, warn};

const FIRST_RETRY: Duration = Duration::from_millis(5);
const LAST_RETRY: Duration = Duration::from_secs(300);
/// Failures up to here are races that settle by themselves; from here on somebody should know.
const QUIET_FAILURES: u32 = 5;

/// Keys to look at, in the order they came. Cheap to clone.
#[derive(Debug)]
pub struct Queue<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    more: Notify,
}

#[derive(Debug)]
struct State<T> {
    ready: VecDeque<T>,
    entries: HashMap<T, Entry>,
    /// When a delayed key is due. An instant that its entry no longer names is stale and skipped.
    due: BTreeMap<(Instant, u64), T>,
    sequence: u64,
}

#[derive(Debug, Default)]
struct Entry {
    place: Place,
    due: Option<(Instant, u64)>,
    failures: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Idle,
    Ready,
    Working {
        again: bool,
    },
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone + Eq + Hash> Default for Queue<T> {
    fn default() -> Self {
        let state =
            State { ready: VecDeque::new(), entries: HashMap::new(), due: BTreeMap::new(), sequence: 0 };
        Self(Arc::new(Shared { state: Mutex::new(state), more: Notify::new() }))
    }
}

impl<T: Clone + Eq + Hash> Queue<T> {
    /// Has `key` looked at as soon as somebody is free.
    pub fn add(&self, key: T) {
        self.lock().make_ready(key);
        self.0.more.notify_one();
    }

    /// Has `key` looked at after a while, or earlier if it was to be looked at earlier.
    pub fn add_after(&self, key: T, delay: Duration) {
        self.lock().delay(key, deadline(delay));
        self.0.more.notify_one();
    }

    /// The next key; it is the caller's until [`Queue::done`]. Cancel safe.
    pub async fn next(&self) -> T {
        loop {
            let more = self.0.more.notified();
            let next_due = {
                let mut state = self.lock();
                state.wake_due(Instant::now());
                if let Some(key) = state.take() {
                    if !state.ready.is_empty() {
                        self.0.more.notify_one();
                    }
                    return key;
                }
                state.due.keys().next().map(|(instant, _)| *instant)
            };
            match next_due {
                Some(instant) => tokio::select! {
                    () = more => {}
                    () = tokio::time::sleep_until(instant) => {}
                },
                None => more.await,
            }
        }
    }

    /// `key` has been looked at, with success: its failures are forgotten.
    pub fn done(&self, key: &T) {
        self.lock().finish(key, false);
        self.0.more.notify_one();
    }

    /// `key` has been looked at in vain, and comes back. Returns how often in a row.
    pub fn failed(&self, key: T) -> u32 {
        let mut state = self.lock();
        let failures = state.finish(&key, true);
        let delay = FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(LAST_RETRY);
        state.delay(key, deadline(delay));
        drop(state);
        self.0.more.notify_one();
        failures
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone + Eq + Hash + Debug> Queue<T> {
    /// Looks at one key after the other for ever. Run it as often as keys may be looked at side by side.
    ///
    /// `reconcile` says when it wants to see the key again, if at all.
    pub async fn work<F, Running, Failure>(&self, what: &'static str, reconcile: F)
    where
        F: Fn(T) -> Running,
        Running: Future<Output = Result<Option<Duration>, Failure>>,
        Failure: Error,
    {
        loop {
            let key = self.next().await;
            match reconcile(key.clone()).await {
                Ok(again) => {
                    self.done(&key);
                    if let Some(delay) = again {
                        self.add_after(key, delay);
                    }
                }
                Err(error) => {
                    let (failures, error) = (self.failed(key.clone()), causes(&error));
                    if failures > QUIET_FAILURES {
                        warn!(what, ?key, failures, %error, "failed, will try again");
                    } else {
                        debug!(what, ?key, failures, %error, "failed, will try again");
                    }
                }
            }
        }
    }
}

impl<T: Clone + Eq + Hash> State<T> {
    fn make_ready(&mut self, key: T) {
        let entry = self.entries.entry(key.clone()).or_default();
        if let Some(due) = entry.due.take() {
            self.due.remove(&due);
        }
        match entry.place {
            Place::Idle => {
                entry.place = Place::Ready;
                self.ready.push_back(key);
            }
            Place::Ready => {}
            Place::Working { .. } => entry.place = Place::Working { again: true },
        }
    }

    fn delay(&mut self, key: T, instant: Instant) {
        let entry = self.entries.entry(key.clone()).or_default();
        if let Some(due) = entry.due {
            if due.0 <= instant {
                return;
            }
            self.due.remove(&due);
        }
        self.sequence += 1;
        let due = (instant, self.sequence);
        entry.due = Some(due);
        self.due.insert(due, key);
    }

    fn wake_due(&mut self, now: Instant) {
        while let Some(first) = self.due.first_entry() {
            if first.key().0 > now {
                return;
            }
            let key = first.remove();
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.due = None;
            }
            self.make_ready(key);
        }
    }

    fn take(&mut self) -> Option<T> {
        let key = self.ready.pop_front()?;
        self.entries.entry(key.clone()).or_default().place = Place::Working { again: false };
        Some(key)
    }

    /// Ends the work on `key`; returns its failures in a row.
    fn finish(&mut self, key: &T, failed: bool) -> u32 {
        let Some(entry) = self.entries.get_mut(key) else {
            return 0;
        };
        let again = entry.place == Place::Working { again: true };
        entry.place = Place::Idle;
        entry.failures = if failed { entry.failures + 1 } else { 0 };
        let failures = entry.failures;
        if again {
            self.make_ready(key.clone());
        } else if failures == 0 && entry.due.is_none() {
            self.entries.remove(key);
        }
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next key if one is ready now.
    async fn ready(queue: &Queue<&'static str>) -> Option<&'static str> {
        tokio::select! {
            biased;
            key = queue.next() => Some(key),
            () = std::future::ready(()) => None,
        }
    }

    #[tokio::test]
    async fn repeats_are_folded_and_one_key_is_worked_on_once_at_a_time() {
        let queue = Queue::default();
        queue.add("a");
        queue.add("b");
        queue.add("a");
        assert_eq!(ready(&queue).await, Some("a"));
        queue.add("a");
        assert_eq!(ready(&queue).await, Some("b"));
        assert_eq!(ready(&queue).await, None, "a is being worked on");
        queue.done(&"a");
        assert_eq!(ready(&queue).await, Some("a"));
        queue.done(&"a");
        queue.done(&"b");
        assert_eq!(ready(&queue).await, None);
        assert!(queue.lock().entries.is_empty(), "what is done leaves nothing behind");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_key_comes_back_later_each_time() {
        let queue = Queue::default();
        queue.add("a");
        let mut waits = Vec::new();
        for _ in 0..4 {
            let before = Instant::now();
            let key = queue.next().await;
            waits.push(before.elapsed().as_millis());
            queue.failed(key);
        }
        assert_eq!(waits, [0, 5, 10, 20]);
        queue.next().await;
        queue.done(&"a");
        queue.add("a");
        assert_eq!(queue.next().await, "a");
        assert_eq!(queue.failed("a"), 1, "success forgets failures");
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_of_several_delays_counts() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.add_after("a", Duration::from_secs(9));
        queue.add_after("a", Duration::from_secs(3));
        queue.add_after("a", Duration::from_secs(6));
        assert_eq!(queue.next().await, "a");
        assert_eq!(start.elapsed().as_secs(), 3);
        queue.done(&"a");
        assert_eq!(ready(&queue).await, None);
        assert!(queue.lock().due.is_empty());
    }

    #[tokio::test]
    async fn a_delay_may_be_as_long_as_anybody_asks() {
        let queue = Queue::default();
        queue.add_after("a", Duration::MAX);
        assert_eq!(ready(&queue).await, None);
    }
}
