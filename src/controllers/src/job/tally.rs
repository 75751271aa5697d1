//! What the pods of a Job, together with its status, come to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::{JobSpec, JobStatus};
use k8s_openapi::api::core::v1::Pod;

use super::indexes::Indexes;
use super::policy::{self, Meaning};
use super::rules;
use crate::pod::{self, Age};

const FIRST_BACKOFF: Duration = Duration::from_secs(10);
const LAST_BACKOFF: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) active: Vec<Arc<Pod>>,
    pub(super) ready: i32,
    pub(super) terminating: i32,
    pub(super) succeeded: i32,
    pub(super) failed: i32,
    /// Of an indexed Job.
    pub(super) succeeded_indexes: Indexes,
    /// Of an indexed Job with a limit per index.
    pub(super) failed_indexes: Option<Indexes>,
    /// The last failed pod of each index whose replacement is yet to be made: it knows how often the index failed.
    pub(super) to_replace: BTreeMap<i32, Arc<Pod>>,
    /// Indexes of pods that are on their way out.
    pub(super) terminating_indexes: BTreeSet<i32>,
    /// Failures since the last success, and whose the last one was.
    setbacks: (u32, Option<Arc<Pod>>),
}

pub(super) fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// The uids that the status holds as ended but not counted.
pub(super) fn uncounted(status: &JobStatus) -> (Vec<String>, Vec<String>) {
    let uncounted = status.uncounted_terminated_pods.clone().unwrap_or_default();
    (uncounted.succeeded.unwrap_or_default(), uncounted.failed.unwrap_or_default())
}

impl Tally {
    pub(super) fn of(spec: &JobSpec, status: &JobStatus, pods: &[Arc<Pod>]) -> Self {
        let active: Vec<_> = pods.iter().filter(|pod| pod::is_active(pod)).cloned().collect();
        let terminating: Vec<_> = pods.iter().filter(|pod| pod::is_terminating(pod)).collect();
        let mut tally = Self {
            ready: count(active.iter().filter(|pod| pod::is_ready(pod)).count()),
            terminating: count(terminating.len()),
            terminating_indexes: terminating.iter().filter_map(|pod| rules::index(pod, spec)).collect(),
            setbacks: setbacks(spec, pods),
            active,
            ..Self::default()
        };
        tally.count_ended(spec, status, pods);
        if rules::is_indexed(spec) {
            tally.count_indexes(spec, status, pods);
        }
        tally
    }

    fn count_ended(&mut self, spec: &JobSpec, status: &JobStatus, pods: &[Arc<Pod>]) {
        let (succeeded, failed) = uncounted(status);
        let known = |pod: &Pod| {
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            succeeded.iter().chain(&failed).any(|known| known == uid)
        };
        let valid = |pod: &&Arc<Pod>| {
            let placed = !rules::is_indexed(spec) || rules::index(pod, spec).is_some();
            rules::is_tracked(pod) && placed && !known(pod)
        };
        let new = || pods.iter().filter(valid);
        let policy = spec.pod_failure_policy.as_ref();
        let new_succeeded = new().filter(|pod| pod::phase(pod) == "Succeeded").count();
        let new_failed = new()
            .filter(|pod| rules::is_failed(pod, spec) && policy::meaning(policy, pod) != Meaning::Ignored)
            .count();
        let more = |counted: Option<i32>, new| counted.unwrap_or_default().saturating_add(count(new));
        self.succeeded = more(status.succeeded, new_succeeded + succeeded.len());
        self.failed = more(status.failed, new_failed + failed.len());
    }

    fn count_indexes(&mut self, spec: &JobSpec, status: &JobStatus, pods: &[Arc<Pod>]) {
        let completions = spec.completions.unwrap_or_default();
        let tracked = || pods.iter().filter(|pod| rules::is_tracked(pod));
        let done = tracked().filter(|pod| pod::phase(pod) == "Succeeded");
        self.succeeded_indexes =
            Indexes::parse(status.completed_indexes.as_deref().unwrap_or_default(), completions);
        self.succeeded_indexes.extend(done.filter_map(|pod| rules::index(pod, spec)));
        self.succeeded = self.succeeded_indexes.total();
        let Some(limit) = spec.backoff_limit_per_index else { return };
        let mut failed = Indexes::parse(status.failed_indexes.as_deref().unwrap_or_default(), completions);
        let ends = tracked().filter(|pod| policy::ends_index(pod, spec, limit));
        failed.extend(ends.filter_map(|pod| rules::index(pod, spec)));
        let active: BTreeSet<i32> = self.active.iter().filter_map(|pod| rules::index(pod, spec)).collect();
        for pod in tracked().filter(|pod| rules::is_failed(pod, spec)) {
            let Some(index) = rules::index(pod, spec) else { continue };
            if active.contains(&index) || self.succeeded_indexes.has(index) || failed.has(index) {
                continue;
            }
            let order = |pod: &Pod| (rules::failures(pod).1, rules::ended(pod));
            if self.to_replace.get(&index).is_none_or(|last| order(last) <= order(pod)) {
                self.to_replace.insert(index, pod.clone());
            }
        }
        self.failed_indexes = Some(failed);
    }

    /// How long no pod may be made yet.
    pub(super) fn backoff(&self, age: Age<'_>) -> Option<Duration> {
        let (failures, last) = &self.setbacks;
        remaining(*failures, last.as_ref()?, age)
    }

    /// How long no pod of this index may be made yet.
    pub(super) fn backoff_of(&self, index: i32, age: Age<'_>) -> Option<Duration> {
        let last = self.to_replace.get(&index)?;
        let failures = u32::try_from(rules::failures(last).1).unwrap_or_default().saturating_add(1);
        remaining(failures, last, age)
    }
}

/// Read off the pods that are there, so that a restart does not forget.
fn setbacks(spec: &JobSpec, pods: &[Arc<Pod>]) -> (u32, Option<Arc<Pod>>) {
    let succeeded = pods.iter().filter(|pod| pod::phase(pod) == "Succeeded");
    let last_success = succeeded.map(|pod| rules::ended(pod)).max();
    let failed = pods.iter().filter(|pod| rules::is_failed(pod, spec));
    let since: Vec<_> = failed
        .filter(|pod| last_success.is_none_or(|success| rules::ended(pod) > success))
        .cloned()
        .collect();
    let count = u32::try_from(since.len()).unwrap_or(u32::MAX);
    (count, since.into_iter().max_by_key(|pod| rules::ended(pod)))
}

fn remaining(failures: u32, last: &Pod, age: Age<'_>) -> Option<Duration> {
    let doublings = failures.checked_sub(1)?;
    let wait = FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(doublings)).min(LAST_BACKOFF);
    wait.checked_sub(age(last, rules::ended(last))).filter(|left| !left.is_zero())
}
