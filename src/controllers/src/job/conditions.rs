//! The conditions of a Job.

use k8s_openapi::api::batch::v1::{JobCondition, JobStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::decide::End;

/// Announces an end, once.
pub(super) fn announce(status: &mut JobStatus, end: &End, now: Timestamp) {
    let said = status.conditions.iter().flatten().any(|it| it.type_ == end.announcement());
    if !said {
        let condition = condition(end.announcement(), "True", &end.reason, &end.message, now);
        status.conditions.get_or_insert_default().push(condition);
    }
}

pub(super) fn finish(status: &mut JobStatus, end: &End, now: Timestamp) {
    set(status, end.condition(), "True", &end.reason, &end.message, now);
    if end.success {
        status.completion_time = Some(Time(now));
    }
}

/// Says whether the Job is suspended; true if that is news.
pub(super) fn suspend(status: &mut JobStatus, suspended: bool, now: Timestamp) -> bool {
    match suspended {
        true => set(status, "Suspended", "True", "JobSuspended", "Job suspended", now),
        false => set(status, "Suspended", "False", "JobResumed", "Job resumed", now),
    }
}

/// Sets a condition; true if that changed anything. From nothing to false is no change.
fn set(status: &mut JobStatus, kind: &str, value: &str, reason: &str, message: &str, now: Timestamp) -> bool {
    let new = condition(kind, value, reason, message, now);
    let conditions = status.conditions.get_or_insert_default();
    let changed = match conditions.iter_mut().find(|condition| condition.type_ == kind) {
        Some(old) if (&old.status, &old.reason, &old.message) == (&new.status, &new.reason, &new.message) => {
            false
        }
        Some(old) => {
            *old = new;
            true
        }
        None if value == "False" => false,
        None => {
            conditions.push(new);
            true
        }
    };
    status.conditions.take_if(|conditions| conditions.is_empty());
    changed
}

fn condition(kind: &str, value: &str, reason: &str, message: &str, now: Timestamp) -> JobCondition {
    JobCondition {
        type_: kind.into(),
        status: value.into(),
        reason: Some(reason.into()),
        message: Some(message.into()),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    }
}
