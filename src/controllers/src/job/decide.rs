//! Whether a Job has come to its end, and if not, which pods it makes or deletes next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::{JobSpec, JobStatus};
use k8s_openapi::api::core::v1::Pod;

use super::policy::{self, Meaning};
use super::rules;
use super::tally::{Tally, count};
use crate::pod::{self, Age};

/// Pods made or deleted at one look.
const MOST_AT_ONCE: usize = 500;

/// How a Job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) success: bool,
    pub(super) reason: String,
    pub(super) message: String,
}

#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Nothing,
    /// Pods to make: of these indexes, or of none.
    Create(Vec<Option<i32>>),
    Delete(Vec<Arc<Pod>>),
    /// Pods are missing, but it is too soon after a failure.
    Wait(Duration),
}

impl End {
    fn failure(reason: &str, message: impl Into<String>) -> Self {
        Self { success: false, reason: reason.into(), message: message.into() }
    }

    fn success(reason: &str, message: impl Into<String>) -> Self {
        Self { success: true, reason: reason.into(), message: message.into() }
    }

    /// The condition that announces this end while pods are still to be counted.
    pub(super) fn announcement(&self) -> &'static str {
        if self.success { "SuccessCriteriaMet" } else { "FailureTarget" }
    }

    pub(super) fn condition(&self) -> &'static str {
        if self.success { "Complete" } else { "Failed" }
    }
}

/// The end that was announced before.
pub(super) fn announced(status: &JobStatus) -> Option<End> {
    let holds = |kind: &str| {
        status.conditions.iter().flatten().find(|it| it.type_ == kind && it.status == "True").map(|it| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            (text(&it.reason), text(&it.message))
        })
    };
    let success = holds("SuccessCriteriaMet").map(|(reason, message)| End::success(&reason, message));
    success.or_else(|| holds("FailureTarget").map(|(reason, message)| End::failure(&reason, message)))
}

/// An end that stops what still runs. `left` is what is left of the time it may be active, if that is limited.
pub(super) fn early_end(
    spec: &JobSpec,
    status: &JobStatus,
    tally: &Tally,
    pods: &[Arc<Pod>],
    left: Option<Duration>,
) -> Option<End> {
    announced(status)
        .or_else(|| failed_by_policy(spec, pods))
        .or_else(|| failed_by_limit(spec, tally, pods, left))
        .or_else(|| failed_by_index(spec, tally))
        .or_else(|| {
            let met = policy::success(spec, &tally.succeeded_indexes).filter(|_| rules::is_indexed(spec))?;
            Some(End::success("SuccessPolicy", met))
        })
}

fn failed_by_policy(spec: &JobSpec, pods: &[Arc<Pod>]) -> Option<End> {
    let policy = spec.pod_failure_policy.as_ref()?;
    let failed = pods.iter().filter(|pod| rules::is_failed(pod, spec));
    let message = failed.into_iter().find_map(|pod| match policy::meaning(Some(policy), pod) {
        Meaning::FailsJob(message) => Some(message),
        _ => None,
    })?;
    Some(End::failure("PodFailurePolicy", message))
}

fn failed_by_limit(spec: &JobSpec, tally: &Tally, pods: &[Arc<Pod>], left: Option<Duration>) -> Option<End> {
    if tally.failed > spec.backoff_limit.unwrap_or(6) || restarted_too_often(spec, pods) {
        return Some(End::failure("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
    }
    let late = left.is_some_and(|left| left.is_zero());
    late.then(|| End::failure("DeadlineExceeded", "Job was active longer than specified deadline"))
}

/// Containers that are restarted in place count by their restarts.
fn restarted_too_often(spec: &JobSpec, pods: &[Arc<Pod>]) -> bool {
    let template = spec.template.spec.as_ref();
    if template.and_then(|template| template.restart_policy.as_deref()) != Some("OnFailure") {
        return false;
    }
    let running = pods.iter().filter(|pod| matches!(pod::phase(pod), "Running" | "Pending"));
    let statuses = running
        .filter_map(|pod| pod.status.as_ref())
        .flat_map(|status| status.init_container_statuses.iter().chain(&status.container_statuses).flatten());
    let restarts: i64 = statuses.map(|status| i64::from(status.restart_count)).sum();
    match i64::from(spec.backoff_limit.unwrap_or(6)) {
        0 => restarts > 0,
        limit => restarts >= limit,
    }
}

fn failed_by_index(spec: &JobSpec, tally: &Tally) -> Option<End> {
    let failed = tally.failed_indexes.as_ref()?.total();
    if spec.max_failed_indexes.is_some_and(|most| failed > most) {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        return Some(End::failure("MaxFailedIndexesExceeded", message));
    }
    let settled = failed + tally.succeeded_indexes.total() >= spec.completions.unwrap_or_default();
    (failed > 0 && settled).then(|| End::failure("FailedIndexes", "Job has failed indexes"))
}

/// The end of a Job whose work is done.
pub(super) fn natural_end(spec: &JobSpec, tally: &Tally) -> Option<End> {
    // Work of no fixed size is done when one pod says so and the others have ended.
    let enough = tally.succeeded >= spec.completions.unwrap_or(1);
    let done = || End::success("CompletionsReached", "Reached expected number of succeeded pods");
    (enough && tally.active.is_empty()).then(done)
}

pub(super) fn step(spec: &JobSpec, tally: &Tally, age: Age<'_>) -> Step {
    let active = count(tally.active.len());
    let wanted = wanted(spec, tally, active);
    let surplus = usize::try_from(active - wanted).unwrap_or_default();
    let delete = surplus_of(spec, &tally.active, surplus);
    if !delete.is_empty() {
        return Step::Delete(delete);
    }
    let leaving = if rules::only_replaces_failed(spec) { tally.terminating } else { 0 };
    match usize::try_from(wanted - leaving - active).unwrap_or_default().min(MOST_AT_ONCE) {
        0 => Step::Nothing,
        missing if rules::is_indexed(spec) => create_indexed(spec, tally, missing, age),
        missing => tally.backoff(age).map_or_else(|| Step::Create(vec![None; missing]), Step::Wait),
    }
}

fn wanted(spec: &JobSpec, tally: &Tally, active: i32) -> i32 {
    let parallelism = spec.parallelism.unwrap_or(1);
    match spec.completions {
        _ if rules::is_suspended(spec) => 0,
        Some(completions) => (completions - tally.succeeded).clamp(0, parallelism.max(0)),
        // One has succeeded: what runs may end, nothing new begins.
        None if tally.succeeded > 0 => active,
        None => parallelism,
    }
}

/// Pods of indexes that are not asked for or are there twice, and as many more as there are too many.
fn surplus_of(spec: &JobSpec, active: &[Arc<Pod>], surplus: usize) -> Vec<Arc<Pod>> {
    let mut pods = active.to_vec();
    pod::sort_by_use(&mut pods, active);
    let mut delete = Vec::new();
    if rules::is_indexed(spec) && !rules::is_suspended(spec) {
        let mut kept: BTreeMap<i32, Arc<Pod>> = BTreeMap::new();
        for pod in pods.drain(..) {
            // The most useful of each index comes last, and stays.
            let Some(index) = rules::index(&pod, spec) else {
                delete.push(pod);
                continue;
            };
            delete.extend(kept.insert(index, pod));
        }
        pods = kept.into_values().collect();
        pod::sort_by_use(&mut pods, active);
    }
    let more = surplus.saturating_sub(delete.len());
    delete.extend(pods.into_iter().take(more));
    delete.truncate(MOST_AT_ONCE);
    delete
}

fn create_indexed(spec: &JobSpec, tally: &Tally, missing: usize, age: Age<'_>) -> Step {
    let per_index = spec.backoff_limit_per_index.is_some();
    if let Some(wait) = tally.backoff(age).filter(|_| !per_index) {
        return Step::Wait(wait);
    }
    let active: Vec<i32> = tally.active.iter().filter_map(|pod| rules::index(pod, spec)).collect();
    let leaving =
        |index: &i32| rules::only_replaces_failed(spec) && tally.terminating_indexes.contains(index);
    let failed = |index: i32| tally.failed_indexes.as_ref().is_some_and(|failed| failed.has(index));
    let pending = (0..spec.completions.unwrap_or_default()).filter(|index| {
        !tally.succeeded_indexes.has(*index) && !active.contains(index) && !leaving(index) && !failed(*index)
    });
    let (mut due, mut waits) = (Vec::new(), Vec::new());
    for index in pending.take(missing) {
        match tally.backoff_of(index, age).filter(|_| per_index) {
            Some(wait) => waits.push(wait),
            None => due.push(Some(index)),
        }
    }
    match (due.is_empty(), waits.into_iter().min()) {
        (false, _) => Step::Create(due),
        (true, Some(wait)) => Step::Wait(wait),
        (true, None) => Step::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::pod::tests::{aged, pod};

    const NOW: i64 = 1_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A pod of a phase that ended, if it did, `ago` seconds ago.
    fn job_pod(name: &str, phase: &str, index: Option<i32>, failures: i32, ago: i64) -> Arc<Pod> {
        let mut pod = Pod::clone(&pod(name, "n", None));
        pod.metadata.finalizers = Some(vec![rules::FINALIZER.into()]);
        let annotations = index.map(|index| {
            [(rules::INDEX, index), (rules::FAILURES, failures)]
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .into()
        });
        pod.metadata.annotations = annotations;
        let status = pod.status.as_mut().unwrap();
        status.phase = Some(phase.into());
        status.conditions.as_mut().unwrap()[0].last_transition_time = Some(Time(at(NOW - ago)));
        Arc::new(pod)
    }

    fn look(spec: &JobSpec, pods: &[Arc<Pod>]) -> (Option<End>, Step) {
        let status = JobStatus::default();
        let tally = Tally::of(spec, &status, pods);
        (early_end(spec, &status, &tally, pods, None), step(spec, &tally, &aged(NOW)))
    }

    fn spec(parallelism: i32, completions: i32) -> JobSpec {
        JobSpec {
            parallelism: Some(parallelism),
            completions: Some(completions),
            backoff_limit: Some(2),
            ..JobSpec::default()
        }
    }

    #[test]
    fn as_many_run_as_may_and_no_more_than_are_left_to_do() {
        let create = |n| Step::Create(vec![None; n]);
        assert_eq!(look(&spec(2, 5), &[]).1, create(2));
        let done = |name: &str| job_pod(name, "Succeeded", None, 0, 9);
        assert_eq!(look(&spec(2, 2), &[done("a")]).1, create(1));
        let running = |name: &str| job_pod(name, "Running", None, 0, 0);
        assert_eq!(look(&spec(2, 2), &[running("a"), running("b")]).1, Step::Nothing);
        assert!(
            matches!(look(&spec(1, 2), &[running("a"), running("b")]).1, Step::Delete(pods) if pods.len() == 1)
        );
        let suspended = JobSpec { suspend: Some(true), ..spec(2, 2) };
        assert!(
            matches!(look(&suspended, &[running("a"), running("b")]).1, Step::Delete(pods) if pods.len() == 2)
        );
    }

    #[test]
    fn failures_are_made_good_later_each_time_until_they_are_too_many() {
        let failed = |name: &str, ago| job_pod(name, "Failed", None, 0, ago);
        let wait = |seconds| Step::Wait(Duration::from_secs(seconds));
        assert_eq!(look(&spec(1, 1), &[failed("a", 3)]), (None, wait(7)));
        assert_eq!(look(&spec(1, 1), &[failed("a", 30), failed("b", 5)]), (None, wait(15)));
        assert_eq!(look(&spec(1, 1), &[failed("a", 30)]).1, Step::Create(vec![None]));
        let (end, _) = look(&spec(1, 1), &[failed("a", 90), failed("b", 60), failed("c", 1)]);
        assert_eq!(end.unwrap().reason, "BackoffLimitExceeded");
    }

    #[test]
    fn an_indexed_job_makes_the_lowest_indexes_that_are_missing() {
        let indexed = JobSpec { completion_mode: Some("Indexed".into()), ..spec(2, 4) };
        let pods = [job_pod("a", "Succeeded", Some(0), 0, 9), job_pod("b", "Running", Some(2), 0, 0)];
        assert_eq!(look(&indexed, &pods).1, Step::Create(vec![Some(1)]));
        let twice = [job_pod("b", "Running", Some(2), 0, 0), job_pod("c", "Running", Some(2), 0, 0)];
        assert!(matches!(look(&indexed, &twice).1, Step::Delete(pods) if pods.len() == 1));
    }

    #[test]
    fn each_index_fails_for_itself() {
        let indexed = JobSpec {
            completion_mode: Some("Indexed".into()),
            backoff_limit_per_index: Some(1),
            backoff_limit: Some(i32::MAX),
            ..spec(2, 2)
        };
        let first = [job_pod("a", "Failed", Some(0), 0, 3), job_pod("b", "Running", Some(1), 0, 0)];
        assert_eq!(look(&indexed, &first), (None, Step::Wait(Duration::from_secs(7))));
        let settled = [job_pod("a", "Failed", Some(0), 1, 3), job_pod("b", "Succeeded", Some(1), 0, 3)];
        assert_eq!(look(&indexed, &settled).0.unwrap().reason, "FailedIndexes");
    }

    #[test]
    fn work_that_takes_too_long_ends() {
        let (spec, status) = (spec(1, 1), JobStatus::default());
        let end = |left| early_end(&spec, &status, &Tally::default(), &[], Some(Duration::from_secs(left)));
        assert_eq!(end(1), None);
        let end = end(0).unwrap();
        assert_eq!(end.reason, "DeadlineExceeded");
    }
}
