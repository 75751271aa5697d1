//! Stopping in two steps: asked to, then no longer waited for.
//!
//! One [`ShutdownTrigger`] decides, any number of [`Shutdown`]s listen. `requested` means: take no new work and finish what
//! is begun. `expired` means: the time for that is over, whatever is left will be dropped. The first request fixes the
//! deadline, so that a second one cannot prolong a drain.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Begins the shutdown.
#[derive(Debug)]
pub struct ShutdownTrigger(Shutdown);

/// Learns of the shutdown; cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown {
    token: CancellationToken,
    /// Set before the token is cancelled, and only then.
    deadline: Arc<OnceLock<Instant>>,
}

/// A new, unrelated shutdown. Dropping the trigger does not begin it.
pub fn shutdown() -> (ShutdownTrigger, Shutdown) {
    let shutdown = Shutdown { token: CancellationToken::new(), deadline: Arc::default() };
    (ShutdownTrigger(shutdown.clone()), shutdown)
}

impl ShutdownTrigger {
    /// Asks everyone to stop and gives them `drain` to do so. Only the first call counts.
    pub fn begin(&self, drain: Duration) {
        self.0.deadline.get_or_init(|| Instant::now() + drain);
        self.0.token.cancel();
    }
}

impl Shutdown {
    /// Whether it has begun, for a check between two steps of work.
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until it has begun.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// Waits until it has begun and the time to drain is over.
    pub async fn expired(&self) {
        self.token.cancelled().await;
        let deadline = self.deadline.get().expect("the deadline is set before the token is cancelled");
        tokio::time::sleep_until(*deadline).await;
    }

    /// Does `work` unless the shutdown begins first; `None` means that it did and the work was dropped where it waited.
    pub async fn or_requested<F: Future>(&self, work: F) -> Option<F::Output> {
        self.token.run_until_cancelled(work).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const DRAIN: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn the_deadline_runs_from_the_request() {
        let (trigger, shutdown) = shutdown();
        tokio::time::advance(DRAIN * 2).await;
        assert!(!shutdown.is_requested());

        let begun = Instant::now();
        trigger.begin(DRAIN);
        shutdown.requested().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        shutdown.expired().await;
        assert_eq!(begun.elapsed(), DRAIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_request_does_not_prolong_the_drain() {
        let (trigger, shutdown) = shutdown();
        let begun = Instant::now();
        trigger.begin(DRAIN);
        tokio::time::advance(DRAIN / 2).await;
        trigger.begin(DRAIN);
        shutdown.expired().await;
        assert_eq!(begun.elapsed(), DRAIN);
    }

    #[tokio::test]
    async fn work_is_dropped_when_it_begins() {
        let (trigger, shutdown) = shutdown();
        assert_eq!(shutdown.or_requested(async { 1 }).await, Some(1));
        trigger.begin(DRAIN);
        assert_eq!(shutdown.or_requested(pending::<()>()).await, None);
    }
}
