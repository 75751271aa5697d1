//! What a Job asks for, and what its pods are to it.

use std::time::Duration;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::pod;

/// Keeps a pod until the Job has counted it.
pub(super) const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
/// Annotation and label of a pod.
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// How often the pods of this index failed before.
pub(super) const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
/// How often they failed in a way that does not count.
pub(super) const IGNORED_FAILURES: &str = "batch.kubernetes.io/job-index-ignored-failure-count";
const OURS: &str = "kubernetes.io/job-controller";

pub(super) fn is_finished(job: &Job) -> bool {
    finished(job).is_some()
}

/// When the Job came to its end.
pub(super) fn finished(job: &Job) -> Option<Timestamp> {
    let mut conditions = job.status.as_ref()?.conditions.iter().flatten();
    let end =
        conditions.find(|it| it.status == "True" && matches!(it.type_.as_str(), "Complete" | "Failed"))?;
    Some(end.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0))
}

/// Somebody else looks after this Job.
pub(super) fn is_foreign(job: &Job) -> bool {
    let by = job.spec.as_ref().and_then(|spec| spec.managed_by.as_deref());
    by.is_some_and(|by| by != OURS)
}

pub(super) fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

pub(super) fn is_suspended(spec: &JobSpec) -> bool {
    spec.suspend == Some(true)
}

/// How long it may be active.
pub(super) fn deadline(spec: &JobSpec) -> Option<Duration> {
    let seconds = spec.active_deadline_seconds.filter(|_| !is_suspended(spec))?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

/// Whether a pod that is on its way out is replaced only when it has ended.
pub(super) fn only_replaces_failed(spec: &JobSpec) -> bool {
    spec.pod_replacement_policy.as_deref() == Some("Failed") || spec.pod_failure_policy.is_some()
}

/// Pods that are deleted count as failed: they may never get to say so.
pub(super) fn is_failed(pod: &Pod, spec: &JobSpec) -> bool {
    let deleted = pod.metadata.deletion_timestamp.is_some() && pod::phase(pod) != "Succeeded";
    pod::phase(pod) == "Failed" || deleted && !only_replaces_failed(spec)
}

/// Not counted yet.
pub(super) fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

/// The index of a pod, of those the Job asks for.
pub(super) fn index(pod: &Pod, spec: &JobSpec) -> Option<i32> {
    let index = annotation(&pod.metadata, INDEX)?;
    Some(index).filter(|index| (0..spec.completions.unwrap_or_default()).contains(index))
}

pub(super) fn annotation(metadata: &ObjectMeta, name: &str) -> Option<i32> {
    metadata.annotations.as_ref()?.get(name)?.parse().ok()
}

/// How often pods of this index failed before this one, in ways that count and in all.
pub(super) fn failures(pod: &Pod) -> (i32, i32) {
    let counted = annotation(&pod.metadata, FAILURES).unwrap_or_default();
    let ignored = annotation(&pod.metadata, IGNORED_FAILURES).unwrap_or_default();
    (counted, counted.saturating_add(ignored))
}

/// When a pod ended, as far as it tells.
pub(super) fn ended(pod: &Pod) -> Timestamp {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let times = statuses.map(|status| {
        let terminated = status.state.as_ref()?.terminated.as_ref()?;
        terminated.finished_at.as_ref().map(|time| time.0)
    });
    let by_containers = times.collect::<Option<Vec<_>>>().and_then(|times| times.into_iter().max());
    by_containers
        .or_else(|| pod::ready_changed(pod).filter(|_| !pod::is_ready(pod)))
        .or_else(|| deleted(&pod.metadata))
        .or_else(|| pod.metadata.creation_timestamp.as_ref().map(|time| time.0))
        .unwrap_or_default()
}

/// When its deletion was asked for: what it shows is when it must be over.
fn deleted(metadata: &ObjectMeta) -> Option<Timestamp> {
    let over = metadata.deletion_timestamp.as_ref()?.0;
    let grace = SignedDuration::from_secs(metadata.deletion_grace_period_seconds.unwrap_or_default());
    Some(over.checked_sub(grace).unwrap_or(over))
}
