//! Time on a machine whose clock is set while it runs, and for people who may ask for any number of seconds.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// As far ahead as anybody can mean. An instant may not lie beyond what the kernel can count: adding to one panics there.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// 2026-01-01, before which this program did not exist: a time before that is from a clock that nobody had set yet.
const FIRST: Duration = Duration::from_secs(1_767_225_600);

/// When `wait` from now is over; what somebody asks for may be any number.
pub fn deadline(wait: Duration) -> Instant {
    Instant::now() + wait.min(FAR)
}

/// How long something has been going on since a time that was written down.
///
/// The clock is asked once, at the first look; from then on counts one that nobody sets. A board without a battery starts in 1970
/// or at its last shutdown, and whatever began before its clock was set would have lasted for years a moment later.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    looked: Instant,
    passed: Duration,
}

impl Stopwatch {
    /// Of what began then.
    pub fn since(began: SystemTime) -> Self {
        Self::at(began, SystemTime::now())
    }

    fn at(began: SystemTime, now: SystemTime) -> Self {
        let set = began >= SystemTime::UNIX_EPOCH + FIRST;
        let passed = now.duration_since(began).unwrap_or_default();
        Self { looked: Instant::now(), passed: if set { passed } else { Duration::ZERO } }
    }

    pub fn elapsed(&self) -> Duration {
        self.passed.saturating_add(self.looked.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEARS: Duration = Duration::from_secs(50 * 365 * 24 * 3600);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn any_wait_has_an_end() {
        assert!(deadline(Duration::MAX) > Instant::now() + YEARS);
        assert!(deadline(MINUTE) <= Instant::now() + MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_is_asked_once() {
        let began = SystemTime::UNIX_EPOCH + FIRST;
        let watch = Stopwatch::at(began, began + MINUTE);
        assert_eq!(watch.elapsed(), MINUTE);
        tokio::time::advance(MINUTE).await;
        assert_eq!(watch.elapsed(), 2 * MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_of_a_clock_that_was_not_set_says_nothing() {
        let unset = SystemTime::UNIX_EPOCH + MINUTE;
        assert_eq!(Stopwatch::at(unset, unset + YEARS).elapsed(), Duration::ZERO, "it was set meanwhile");
        assert_eq!(
            Stopwatch::at(unset + YEARS * 2, unset).elapsed(),
            Duration::ZERO,
            "it was not, and is not yet"
        );
    }
}
