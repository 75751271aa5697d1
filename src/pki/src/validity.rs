//! How long a certificate is good, on machines whose clock may be wrong.

use time::{Duration, OffsetDateTime};

const AUTHORITY: Duration = Duration::days(20 * 365);
const LEAF: Duration = Duration::days(365);
/// A leaf is renewed when it has less than this left: a board that is off for a season still starts.
const RENEW: Duration = Duration::days(120);

pub(crate) struct Validity {
    pub(crate) from: OffsetDateTime,
    pub(crate) until: OffsetDateTime,
}

impl Validity {
    pub(crate) fn of_authority(now: OffsetDateTime) -> Self {
        Self::lasting(now, AUTHORITY)
    }

    pub(crate) fn of_leaf(now: OffsetDateTime) -> Self {
        Self::lasting(now, LEAF)
    }

    fn lasting(now: OffsetDateTime, span: Duration) -> Self {
        Self { from: OffsetDateTime::UNIX_EPOCH, until: now + span }
    }
}

/// Whether a leaf that is good until `until` should be made anew.
pub(crate) fn is_due(until: OffsetDateTime, now: OffsetDateTime) -> bool {
    until - now < RENEW
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const NOW: OffsetDateTime = time::macros::datetime!(2026-11-01 00:00 UTC);

    #[test]
    fn what_is_signed_is_good_for_those_whose_clock_is_not_set() {
        assert_eq!(Validity::of_leaf(NOW).from, OffsetDateTime::UNIX_EPOCH);
    }

    #[test]
    fn renewal_comes_before_the_end() {
        let until = NOW + LEAF;
        assert!(!is_due(until, NOW));
        assert!(is_due(until, NOW + Duration::days(246)));
        assert!(is_due(until, until + Duration::days(1)));
    }
}
