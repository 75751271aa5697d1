//! Pods that wait for a node: the most important first, then in the order they came.
//!
//! A pod that fits nowhere waits for an event that may change what kept it out: who lacks CPU does not care for labels. A
//! pod that was tried is not tried again before its back-off is over, whatever happens, so that a busy cluster does not
//! spend itself on pods that stay too large. The queue holds one entry per waiting pod and needs no other bound.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use client::Key;
use tokio::time::Instant;

use crate::filter::Blocker;

const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LAST_BACKOFF: Duration = Duration::from_secs(10);

/// Something that may make a pod fit that did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Happening {
    NodeAdded,
    NodeGone,
    NodeLabels,
    /// Taints or the cordon.
    NodeTaints,
    NodeResources,
    /// A pod is on a node that was not.
    PodPlaced,
    PodLabels,
    /// A pod is gone, finished, or smaller.
    PodGone,
    Namespaces,
    Volumes,
}

impl Happening {
    fn helps(self, blocker: Blocker) -> bool {
        match self {
            Self::NodeAdded => true,
            Self::NodeGone => blocker == Blocker::Spreading,
            Self::NodeLabels => matches!(
                blocker,
                Blocker::NodeAffinity | Blocker::Spreading | Blocker::PodAffinity | Blocker::Volumes
            ),
            Self::NodeTaints => matches!(blocker, Blocker::Taint | Blocker::Cordon | Blocker::Spreading),
            Self::NodeResources => blocker == Blocker::Resources,
            Self::PodPlaced | Self::PodLabels => matches!(blocker, Blocker::Spreading | Blocker::PodAffinity),
            Self::PodGone => matches!(
                blocker,
                Blocker::Resources | Blocker::Ports | Blocker::Spreading | Blocker::PodAffinity
            ),
            Self::Namespaces => blocker == Blocker::PodAffinity,
            Self::Volumes => blocker == Blocker::Volumes,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    pods: HashMap<Key, Waiting>,
    active: BTreeMap<Rank, Key>,
    backing_off: BTreeMap<(Instant, u64), Key>,
    sequence: u64,
}

/// Smallest first.
type Rank = (Reverse<i32>, u64);

#[derive(Debug)]
struct Waiting {
    priority: i32,
    sequence: u64,
    attempts: u32,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Active,
    BackingOff(Instant),
    /// Fits nowhere because of these, and may be tried again from then on.
    Stuck(BTreeSet<Blocker>, Instant),
    /// Somebody decides about it or carries the decision out.
    Taken,
}

impl Queue {
    /// A pod that has no node. One that waits already stays where it is.
    pub(crate) fn add(&mut self, key: Key, priority: i32) {
        if self.pods.contains_key(&key) {
            return;
        }
        self.sequence += 1;
        let sequence = self.sequence;
        self.active.insert((Reverse(priority), sequence), key.clone());
        self.pods.insert(key, Waiting { priority, sequence, attempts: 0, place: Place::Active });
    }

    /// A pod that needs no node any more.
    pub(crate) fn forget(&mut self, key: &Key) {
        if let Some(waiting) = self.pods.remove(key) {
            self.active.remove(&waiting.rank());
            if let Place::BackingOff(until) = waiting.place {
                self.backing_off.remove(&(until, waiting.sequence));
            }
        }
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        self.pods.keys().cloned().collect()
    }

    /// The next pod to decide about; it is the caller's until it is stuck, retried or forgotten. Cancel safe.
    pub(crate) async fn next(&mut self) -> Key {
        loop {
            self.wake(Instant::now());
            if let Some((_, key)) = self.active.pop_first() {
                if let Some(waiting) = self.pods.get_mut(&key) {
                    waiting.attempts += 1;
                    waiting.place = Place::Taken;
                }
                return key;
            }
            match self.backing_off.first_key_value() {
                Some(((until, _), _)) => tokio::time::sleep_until(*until).await,
                None => std::future::pending().await,
            }
        }
    }

    fn wake(&mut self, now: Instant) {
        while let Some(first) = self.backing_off.first_entry().filter(|first| first.key().0 <= now) {
            let key = first.remove();
            if let Some(waiting) = self.pods.get_mut(&key) {
                waiting.place = Place::Active;
                self.active.insert(waiting.rank(), key);
            }
        }
    }

    /// A pod was decided about, and fits nowhere.
    pub(crate) fn stuck(&mut self, key: &Key, blockers: BTreeSet<Blocker>) {
        if let Some(waiting) = self.pods.get_mut(key) {
            waiting.place = Place::Stuck(blockers, Instant::now() + waiting.backoff());
        }
    }

    /// A pod is worth another look after its back-off: what was decided about it could not be carried out, or the pod
    /// itself has changed.
    pub(crate) fn retry(&mut self, key: &Key) {
        let Some(waiting) = self.pods.get_mut(key) else { return };
        let until = match waiting.place {
            Place::Taken => Instant::now() + waiting.backoff(),
            Place::Stuck(_, until) => until,
            Place::Active | Place::BackingOff(_) => return,
        };
        waiting.place = Place::BackingOff(until);
        self.backing_off.insert((until, waiting.sequence), key.clone());
    }

    pub(crate) fn happened(&mut self, happening: Happening) {
        for (key, waiting) in &mut self.pods {
            if let Place::Stuck(blockers, until) = &waiting.place
                && blockers.iter().any(|blocker| happening.helps(*blocker))
            {
                let until = *until;
                waiting.place = Place::BackingOff(until);
                self.backing_off.insert((until, waiting.sequence), key.clone());
            }
        }
    }
}

impl Waiting {
    fn rank(&self) -> Rank {
        (Reverse(self.priority), self.sequence)
    }

    fn backoff(&self) -> Duration {
        FIRST_BACKOFF.saturating_mul(1 << self.attempts.saturating_sub(1).min(8)).min(LAST_BACKOFF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new("default", name)
    }

    /// The next pod if one may be tried now.
    async fn ready(queue: &mut Queue) -> Option<String> {
        tokio::select! {
            biased;
            key = queue.next() => Some(key.name),
            () = std::future::ready(()) => None,
        }
    }

    #[tokio::test]
    async fn importance_comes_before_age() {
        let mut queue = Queue::default();
        for (name, priority) in [("a", 0), ("b", 5), ("c", 0), ("d", 5)] {
            queue.add(key(name), priority);
        }
        queue.forget(&key("a"));
        let mut order = Vec::new();
        while let Some(name) = ready(&mut queue).await {
            order.push(name);
        }
        assert_eq!(order, ["b", "d", "c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_may_help_wakes_a_pod() {
        let mut queue = Queue::default();
        queue.add(key("a"), 0);
        ready(&mut queue).await;
        queue.stuck(&key("a"), [Blocker::Resources].into());
        queue.happened(Happening::NodeLabels);
        tokio::time::advance(LAST_BACKOFF).await;
        assert_eq!(ready(&mut queue).await, None);
        queue.happened(Happening::PodGone);
        assert_eq!(ready(&mut queue).await.as_deref(), Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_further_and_further_apart() {
        let mut queue = Queue::default();
        queue.add(key("a"), 0);
        let mut waits = Vec::new();
        for _ in 0..6 {
            let before = Instant::now();
            queue.next().await;
            waits.push(before.elapsed().as_secs());
            queue.stuck(&key("a"), [Blocker::Taint].into());
            queue.happened(Happening::NodeTaints);
        }
        assert_eq!(waits, [0, 1, 2, 4, 8, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_is_gone_is_not_tried() {
        let mut queue = Queue::default();
        queue.add(key("a"), 0);
        queue.next().await;
        queue.retry(&key("a"));
        queue.forget(&key("a"));
        tokio::time::advance(LAST_BACKOFF).await;
        assert_eq!(ready(&mut queue).await, None);
        assert!(queue.backing_off.is_empty() && queue.pods.is_empty());
    }
}
