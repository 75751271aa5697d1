//! When a CronJob is due: the last moment that was missed, and the next one to come.

use std::time::Duration;

use api::cron::Schedule;
use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::jiff::Timestamp;

/// Missed starts from which somebody should be told.
const MANY_MISSED: u64 = 100;
/// How far back the last missed start is looked for first: schedules of minutes over years would take long.
const WINDOWS: [Duration; 4] = [
    Duration::from_secs(60 * 60),
    Duration::from_secs(24 * 60 * 60),
    Duration::from_secs(32 * 24 * 60 * 60),
    Duration::from_secs(367 * 24 * 60 * 60),
];

/// A start that was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) at: Timestamp,
    /// Whether so many were missed that something is wrong with the clock or with us.
    pub(super) many_missed: bool,
}

/// The last start up to now that nothing was begun for.
pub(super) fn due(cron: &CronJob, schedule: &Schedule, zone: &TimeZone, now: Timestamp) -> Option<Due> {
    let from = earliest(cron, now)?;
    let first = schedule.next(from, zone).filter(|first| *first <= now)?;
    let Some(second) = schedule.next(first, zone).filter(|second| *second <= now) else {
        return Some(Due { at: first, many_missed: false });
    };
    let interval = second.duration_since(first).as_secs().max(1);
    let missed = now.duration_since(first).as_secs() / interval + 1;
    let many_missed = u64::try_from(missed).is_ok_and(|missed| missed > MANY_MISSED);
    Some(Due { at: last(schedule, zone, second, now), many_missed })
}

/// Nothing before this counts: what is too late to begin has not been missed.
fn earliest(cron: &CronJob, now: Timestamp) -> Option<Timestamp> {
    let made = cron.metadata.creation_timestamp.as_ref()?.0;
    let begun = cron.status.as_ref().and_then(|status| status.last_schedule_time.as_ref());
    let from = begun.map_or(made, |time| time.0);
    let deadline = cron.spec.starting_deadline_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let deadline = deadline.and_then(|seconds| now.checked_sub(Duration::from_secs(seconds)).ok());
    Some(deadline.map_or(from, |deadline| deadline.max(from)))
}

/// The last start up to now, given one.
fn last(schedule: &Schedule, zone: &TimeZone, known: Timestamp, now: Timestamp) -> Timestamp {
    let starts = |from: Timestamp| {
        std::iter::successors(schedule.next(from, zone), |start| schedule.next(*start, zone))
            .take_while(|start| *start <= now)
            .last()
    };
    // A period runs from the start before: there is nowhere to jump to but along it.
    if let Schedule::Every(period) = schedule {
        let passed = u64::try_from(now.duration_since(known).as_secs()).unwrap_or_default();
        let whole = passed - passed % period.as_secs().max(1);
        return known.checked_add(Duration::from_secs(whole)).unwrap_or(known);
    }
    let windows = WINDOWS.iter().filter_map(|window| now.checked_sub(*window).ok());
    let found = windows.filter(|from| *from > known).find_map(starts);
    found.or_else(|| starts(known)).unwrap_or(known)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::CronJobStatus;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-03-{text}:00Z").parse().unwrap()
    }

    fn cron(made: &str, begun: Option<&str>, deadline: Option<i64>) -> CronJob {
        let mut cron = CronJob::default();
        cron.metadata.creation_timestamp = Some(Time(at(made)));
        cron.spec.starting_deadline_seconds = deadline;
        let begun = begun.map(|begun| Time(at(begun)));
        cron.status = Some(CronJobStatus { last_schedule_time: begun, ..CronJobStatus::default() });
        cron
    }

    fn is_due(cron: &CronJob, schedule: &str, now: &str) -> Option<(Timestamp, bool)> {
        let schedule = Schedule::parse(schedule).unwrap();
        due(cron, &schedule, &TimeZone::UTC, at(now)).map(|due| (due.at, due.many_missed))
    }

    #[test]
    fn the_last_missed_start_is_due() {
        let hourly = "0 * * * *";
        assert_eq!(is_due(&cron("01T10:10", None, None), hourly, "01T10:59"), None);
        assert_eq!(is_due(&cron("01T10:10", None, None), hourly, "01T11:00"), Some((at("01T11:00"), false)));
        assert_eq!(is_due(&cron("01T10:10", Some("01T11:00"), None), hourly, "01T11:30"), None);
        assert_eq!(
            is_due(&cron("01T10:10", Some("01T11:00"), None), hourly, "01T14:30"),
            Some((at("01T14:00"), false))
        );
        assert_eq!(
            is_due(&cron("01T10:10", None, None), "* * * * *", "09T14:30"),
            Some((at("09T14:30"), true))
        );
        assert_eq!(
            is_due(&cron("01T10:10", None, None), "@every 1h", "01T14:30"),
            Some((at("01T14:10"), false))
        );
    }

    #[test]
    fn what_is_too_late_to_begin_was_not_missed() {
        let daily = "0 9 * * *";
        assert_eq!(is_due(&cron("01T10:10", None, Some(600)), daily, "02T09:30"), None);
        assert_eq!(
            is_due(&cron("01T10:10", None, Some(3600)), daily, "02T09:30"),
            Some((at("02T09:00"), false))
        );
    }
}
