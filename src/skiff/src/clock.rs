//! The time of day on boards: many start in 1970 or at their last shutdown, and are set while we run.

use std::time::Duration;

use task::ClockSettings;
use time::OffsetDateTime;
use tokio::time::sleep;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// When this program was made, in seconds since 1970: the time of its commit, so that two builds of one are the same.
pub(crate) const BUILT: i64 = match i64::from_str_radix(env!("SKIFF_BUILT"), 10) {
    Ok(seconds) => seconds,
    Err(_) => panic!("SKIFF_BUILT is a number of seconds"),
};

/// The time of day, or the time of this program where the clock says less: no clock that does is right.
pub(crate) fn now() -> OffsetDateTime {
    let built = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(BUILT);
    OffsetDateTime::now_utc().max(built)
}

/// Waits for a day, or until somebody sets the clock.
pub(crate) async fn next_look(settings: &mut ClockSettings) {
    tokio::select! {
        () = sleep(DAY) => {}
        told = settings.next() => if let Err(error) = told {
            tracing::error!(%error, "cannot learn when the clock is set: looking again in a day");
            sleep(DAY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_before_this_program() {
        assert_ne!(BUILT, 0);
        assert!(now().unix_timestamp() >= BUILT);
    }
}
