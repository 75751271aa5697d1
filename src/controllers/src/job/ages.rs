//! How long Jobs have been active, by a clock that nobody sets: the time at which one began may be from before a board's clock was set.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::Key;
use k8s_openapi::jiff::Timestamp;
use task::Stopwatch;

/// Of the Jobs that have a deadline.
#[derive(Debug, Default)]
pub(super) struct Ages(Mutex<HashMap<Key, (Timestamp, Stopwatch)>>);

impl Ages {
    /// Of a Job that began then: what is known of one that began at another time is forgotten.
    pub(super) fn since(&self, job: &Key, began: Timestamp) -> Duration {
        let mut all = self.lock();
        let known = all.get(job).filter(|(known, _)| *known == began).map(|(_, age)| *age);
        let age = known.unwrap_or_else(|| Stopwatch::since(began.into()));
        all.insert(job.clone(), (began, age));
        age.elapsed()
    }

    pub(super) fn forget(&self, job: &Key) {
        self.lock().remove(job);
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
