//! Time for deadlines: whole seconds since the store opened.
//!
//! Not the wall clock: a board without a real-time clock starts in 1970 and jumps, which would expire everything at
//! once or nothing ever. What is stored is the time left; time spent switched off does not count.

use std::time::{Duration, Instant};

/// Four bytes in every entry instead of an `Instant`'s sixteen; enough for 136 years of running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seconds(pub(crate) u32);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    opened: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { opened: Instant::now() }
    }

    pub(crate) fn now(&self) -> Seconds {
        Seconds(u32::try_from(self.opened.elapsed().as_secs()).unwrap_or(u32::MAX))
    }

    /// The first whole second at which `ttl` has passed.
    pub(crate) fn deadline(&self, ttl: Duration) -> Seconds {
        let at = self.opened.elapsed().saturating_add(ttl);
        let whole = at.as_secs().saturating_add(u64::from(at.subsec_nanos() > 0));
        Seconds(u32::try_from(whole).unwrap_or(u32::MAX))
    }

    pub(crate) fn until(&self, deadline: Seconds) -> Duration {
        Duration::from_secs(deadline.0.into()).saturating_sub(self.opened.elapsed())
    }
}

impl Seconds {
    /// What is left at `now`, at least one second: an expired entry is removed by its deadline, not by rounding.
    pub(crate) fn left(self, now: Self) -> u32 {
        self.0.saturating_sub(now.0).max(1)
    }
}
