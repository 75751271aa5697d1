//! How long things have been as they are, by a clock that nobody sets: a board without a battery starts in 1970, and what was written
//! down before its clock was set would have lasted for decades a moment later. Nor does a node whose clock is ahead hold anything up; one that is behind makes things seem
//! older than they are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::{Cache, Change, Key, Object};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use task::Stopwatch;

/// By the key of what is as it is since a time that was written down. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ages(Arc<Mutex<HashMap<Key, (Timestamp, Stopwatch)>>>);

impl Ages {
    /// How long `what` has been as it is since `began`: what is known of another beginning is forgotten.
    pub(crate) fn since(&self, what: &Key, began: Timestamp) -> Duration {
        let mut all = self.lock();
        let known = all.get(what).filter(|(known, _)| *known == began).map(|(_, age)| *age);
        let age = known.unwrap_or_else(|| Stopwatch::since(began.into()));
        if known.is_none() {
            all.insert(what.clone(), (began, age));
        }
        age.elapsed()
    }

    /// The same of pods, as [`crate::pod`] asks.
    pub(crate) fn of_pods(&self) -> impl Fn(&Pod, Timestamp) -> Duration + Sync {
        move |pod: &Pod, began| self.since(&Key::of(pod), began)
    }

    pub(crate) fn forget(&self, what: &Key) {
        self.lock().remove(what);
    }

    /// Forgets, for ever, objects that are gone. One that is asked about in the moment in which it goes stays until the next resync.
    pub(crate) async fn follow<K: Object>(self, cache: Cache<K>) {
        let mut changes = cache.changes();
        loop {
            match changes.next().await {
                Change::Deleted(object) => self.forget(&Key::of(&*object)),
                Change::Resync => self.lock().retain(|key, _| cache.get(key).is_some()),
                Change::Added(_) | Change::Modified { .. } => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, (Timestamp, Stopwatch)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ages_are_counted_from_the_first_look() {
        let (ages, job) = (Ages::default(), Key::new("shop", "a"));
        let unset = Timestamp::from_second(60).unwrap();
        assert_eq!(ages.since(&job, unset), Duration::ZERO, "the clock was set meanwhile");
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(ages.since(&job, unset), Duration::from_secs(9));
        let resumed = Timestamp::from_second(61).unwrap();
        assert_eq!(ages.since(&job, resumed), Duration::ZERO);
        ages.forget(&job);
        assert!(ages.lock().is_empty());
    }
}
