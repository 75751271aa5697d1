//! Whether the clock can be right. Boards without a real-time clock start in 1970 or at their last shutdown.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::finding::Check;
use crate::clock::BUILT;

const NAME: &str = "clock";
/// A clock this far ahead of the build is a clock whose counter wrapped, not an old program.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

const SET: &str = "start a time service (systemd-timesyncd, chrony), or set it once: date -u -s 'YYYY-MM-DD hh:mm'; \
                   a board without a real-time clock keeps a near enough time with fake-hwclock";

struct Facts {
    now: SystemTime,
    built: SystemTime,
}

pub(super) fn check() -> Vec<Check> {
    let built = UNIX_EPOCH + Duration::from_secs(BUILT.unsigned_abs());
    vec![judge(&Facts { now: SystemTime::now(), built })]
}

fn judge(facts: &Facts) -> Check {
    match facts.now.duration_since(facts.built) {
        Err(behind) => Check::warn(
            NAME,
            format!(
                "{} before this skiff was built: it starts its pods all the same, but machines with the right time take \
                 its certificates for not yet valid until the clock is set",
                words(behind.duration())
            ),
            SET,
        ),
        Ok(ahead) if ahead > FAR => Check::warn(
            NAME,
            format!(
                "{} after this skiff was built: certificates look expired until the clock is set",
                words(ahead)
            ),
            SET,
        ),
        Ok(_) => Check::pass(NAME, "later than this skiff was built"),
    }
}

fn words(span: Duration) -> String {
    let days = span.as_secs() / (24 * 60 * 60);
    if days < 2 { format!("{} hours", span.as_secs() / 3600) } else { format!("{days} days") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: u64 = 1_793_491_200;

    fn judged(now: u64) -> Check {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        judge(&Facts { now: at(now), built: at(FLOOR) })
    }

    #[test]
    fn a_clock_without_a_battery_warns() {
        assert_eq!(judged(0).outcome.word(), "warn");
        assert!(judged(FLOOR - 7200).finding.starts_with("2 hours before"));
        assert_eq!(judged(FLOOR + 1).outcome.word(), "pass");
    }

    #[test]
    fn a_clock_that_wrapped_warns() {
        assert_eq!(judged(u64::from(u32::MAX)).outcome.word(), "warn");
    }
}
