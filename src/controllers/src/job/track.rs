//! Counting each pod exactly once, whatever happens in between.
//!
//! A pod that ended keeps our finalizer until the status names it as uncounted; only when the finalizer is gone is it added to
//! the counters. A crash at any point leaves either the finalizer or the name, never a pod that is counted twice or not at
//! all.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::{JobSpec, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;

use super::decide::End;
use super::indexes::Indexes;
use super::policy::{self, Meaning};
use super::rules;
use super::tally::{Tally, count, uncounted};
use crate::pod;

/// Names that the status holds at a time: bounds the size of the Job.
const MOST_UNCOUNTED: usize = 500;

/// What is to be written before finalizers are removed, and from which pods.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) pods: Vec<Arc<Pod>>,
    /// Whether more than these have ended.
    pub(super) more: bool,
}

/// Names in `status` the pods that have ended, and gives those whose finalizer may go then.
pub(super) fn note_ended(
    status: &mut JobStatus,
    spec: &JobSpec,
    is_deleted: bool,
    end: Option<&End>,
    tally: &Tally,
    pods: &[Arc<Pod>],
) -> Ended {
    let (mut succeeded, mut failed) = uncounted(status);
    let before = Indexes::parse(
        status.completed_indexes.as_deref().unwrap_or_default(),
        spec.completions.unwrap_or_default(),
    );
    let mut ended = Ended { pods: Vec::new(), more: false };
    let mut new_indexes = BTreeSet::new();
    for pod in pods.iter().filter(|pod| rules::is_tracked(pod)) {
        let is_failed = match end {
            // What is stopped because the work is done has not failed.
            Some(End { success: true, .. }) => pod::phase(pod) == "Failed",
            _ => rules::is_failed(pod, spec),
        };
        let is_succeeded = pod::phase(pod) == "Succeeded";
        let over = is_deleted || end.is_some() || is_succeeded;
        if !over && (!is_failed || is_kept(pod, spec, tally)) {
            continue;
        }
        ended.pods.push(pod.clone());
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let stopped = end.is_some_and(|end| !end.success);
        if is_succeeded && !failed.contains(&uid) {
            if rules::is_indexed(spec) {
                new_indexes.extend(rules::index(pod, spec).filter(|index| !before.has(*index)));
            } else if !succeeded.contains(&uid) {
                succeeded.push(uid);
            }
        } else if (is_failed || stopped) && counts(pod, spec) && !failed.contains(&uid) {
            failed.push(uid);
        }
        if new_indexes.len() + succeeded.len() + failed.len() >= MOST_UNCOUNTED {
            ended.more = true;
            break;
        }
    }
    set_uncounted(status, succeeded, failed);
    if rules::is_indexed(spec) {
        let mut done = before;
        done.extend(new_indexes);
        status.succeeded = Some(done.total()).filter(|total| *total > 0);
        status.completed_indexes = Some(done.to_string()).filter(|text| !text.is_empty());
        status.failed_indexes = tally.failed_indexes.as_ref().map(ToString::to_string);
    }
    ended
}

/// The last failed pod of an index stays until its replacement is there: it knows how often the index has failed.
fn is_kept(pod: &Arc<Pod>, spec: &JobSpec, tally: &Tally) -> bool {
    let last = rules::index(pod, spec).and_then(|index| tally.to_replace.get(&index));
    last.is_some_and(|last| last.metadata.uid == pod.metadata.uid)
}

fn counts(pod: &Pod, spec: &JobSpec) -> bool {
    let placed = !rules::is_indexed(spec) || rules::index(pod, spec).is_some();
    placed && policy::meaning(spec.pod_failure_policy.as_ref(), pod) != Meaning::Ignored
}

/// Adds the pods whose finalizer is gone to the counters.
pub(super) fn count_freed(status: &mut JobStatus, tracked: &BTreeSet<String>) {
    let (succeeded, failed) = uncounted(status);
    let split = |uids: Vec<String>| -> (Vec<String>, i32) {
        let (kept, freed): (Vec<_>, Vec<_>) = uids.into_iter().partition(|uid| tracked.contains(uid));
        (kept, count(freed.len()))
    };
    let ((succeeded, more_succeeded), (failed, more_failed)) = (split(succeeded), split(failed));
    let add = |counter: &mut Option<i32>, more: i32| {
        *counter = Some(counter.unwrap_or_default() + more).filter(|sum| *sum > 0);
    };
    add(&mut status.succeeded, more_succeeded);
    add(&mut status.failed, more_failed);
    set_uncounted(status, succeeded, failed);
}

fn set_uncounted(status: &mut JobStatus, succeeded: Vec<String>, failed: Vec<String>) {
    let listed = |uids: Vec<String>| (!uids.is_empty()).then_some(uids);
    status.uncounted_terminated_pods =
        Some(UncountedTerminatedPods { succeeded: listed(succeeded), failed: listed(failed) });
}

pub(super) fn has_uncounted(status: &JobStatus) -> bool {
    let (succeeded, failed) = uncounted(status);
    !succeeded.is_empty() || !failed.is_empty()
}
