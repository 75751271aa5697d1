//! How long a container that fails is left alone.
//!
//! As in upstream, the first restart is at once, and each further one waits twice as long, from 10 seconds to five minutes,
//! counted from the end of the container. Who ran for ten minutes starts over.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(10);
const LAST: Duration = Duration::from_secs(300);
const FORGET: Duration = LAST.saturating_mul(2);

/// The attempts so far: nothing for one that never failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Backoff(Option<Step>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    delay: Duration,
    since: Instant,
}

impl Backoff {
    /// Counts an attempt that begins (a restart) or that failed (a pull).
    pub(crate) fn count(&mut self, now: Instant) {
        let delay = match self.0 {
            Some(step) if now.duration_since(step.since) <= FORGET => (step.delay * 2).min(LAST),
            _ => FIRST,
        };
        self.0 = Some(Step { delay, since: now });
    }

    /// The delay, and when it is over, for something that ended at `ended`.
    pub(crate) fn after(&self, ended: Instant) -> Option<(Duration, Instant)> {
        let step = self.0.filter(|step| ended.saturating_duration_since(step.since) <= FORGET)?;
        Some((step.delay, ended + step.delay))
    }

    /// When the delay after the last counted failure is over.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.0.map(|step| step.since + step.delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_at_once_and_later_ones_wait_twice_as_long() {
        let begun = Instant::now();
        let mut backoff = Backoff::default();
        assert_eq!(backoff.after(begun), None);
        let mut now = begun;
        let delays: Vec<u64> = (0..7)
            .map(|_| {
                backoff.count(now);
                now += Duration::from_secs(1);
                let (delay, until) = backoff.after(now).unwrap();
                now = until;
                delay.as_secs()
            })
            .collect();
        assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn who_ran_long_starts_over() {
        let begun = Instant::now();
        let mut backoff = Backoff::default();
        backoff.count(begun);
        backoff.count(begun);
        assert_eq!(backoff.after(begun + Duration::from_secs(601)), None);
        backoff.count(begun + Duration::from_secs(601));
        assert_eq!(backoff.until(), Some(begun + Duration::from_secs(611)));
    }
}
