//! Exponential back-off: attempts that fail come ever more rarely, and not all at the same moment.
//!
//! When a server returns, every agent has been waiting for it; jitter spreads them. Each delay is drawn from the upper half of
//! its step, so it never falls below half of what was asked for and never exceeds `max`.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Delays that double from `first` to `max`.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    step: Duration,
}

impl Backoff {
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, step: first.min(max) }
    }

    /// Waits before the next attempt. Cancel safe: a wait that is dropped has counted as one step.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next_delay()).await;
    }

    /// The delay before the next attempt, for callers that wait by other means.
    pub fn next_delay(&mut self) -> Duration {
        let step = self.step;
        self.step = step.saturating_mul(2).min(self.max);
        step.mul_f64(f64::midpoint(1.0, random_fraction()))
    }

    /// An attempt worked: the next failure starts from the first delay again.
    pub fn reset(&mut self) {
        self.step = self.first.min(self.max);
    }
}

/// Between 0 and 1. `RandomState` is seeded by the system, which is enough to spread nodes and saves a crate.
fn random_fraction() -> f64 {
    // A `u32` is exact in an `f64`.
    let bits = (RandomState::new().hash_one(()) >> 32) as u32;
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(5);

    #[test]
    fn doubles_up_to_the_maximum() {
        let mut backoff = Backoff::new(FIRST, MAX);
        for step in [1, 2, 4, 5, 5].map(Duration::from_secs) {
            let delay = backoff.next_delay();
            assert!((step / 2..=step).contains(&delay), "{delay:?} is not in the upper half of {step:?}");
        }
    }

    #[test]
    fn starts_again_after_a_success() {
        let mut backoff = Backoff::new(FIRST, MAX);
        backoff.next_delay();
        backoff.next_delay();
        backoff.reset();
        assert!(backoff.next_delay() <= FIRST);
    }

    #[test]
    fn nodes_are_spread() {
        let delays: std::collections::BTreeSet<_> =
            (0..100).map(|_| Backoff::new(FIRST, MAX).next_delay()).collect();
        assert!(delays.len() > 50, "{} different delays among 100 nodes", delays.len());
    }

    #[tokio::test(start_paused = true)]
    async fn waits_that_long() {
        let begun = tokio::time::Instant::now();
        Backoff::new(MAX, MAX).wait().await;
        assert!((MAX / 2..=MAX + Duration::from_millis(1)).contains(&begun.elapsed()));
    }
}
