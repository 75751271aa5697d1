//! How long a certificate is good, on machines whose clock may be wrong.

use time::{Duration, OffsetDateTime};

/// No board's clock is right if it says less: this program did not exist yet.
pub const BUILT: OffsetDateTime = time::macros::datetime!(2026-11-01 00:00 UTC);

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
        Self { from: OffsetDateTime::UNIX_EPOCH, until: now.max(BUILT) + span }
    }
}

/// Whether a leaf that is good until `until` should be made anew.
pub(crate) fn is_due(until: OffsetDateTime, now: OffsetDateTime) -> bool {
    until - now < RENEW
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_in_1970_is_good_when_the_clock_is_set() {
        let validity = Validity::of_leaf(OffsetDateTime::UNIX_EPOCH);
        assert!(validity.from <= OffsetDateTime::UNIX_EPOCH && validity.until > BUILT + Duration::days(300));
    }

    #[test]
    fn renewal_comes_before_the_end() {
        let until = BUILT + LEAF;
        assert!(!is_due(until, BUILT));
        assert!(is_due(until, BUILT + Duration::days(246)));
        assert!(is_due(until, until + Duration::days(1)));
    }
}
