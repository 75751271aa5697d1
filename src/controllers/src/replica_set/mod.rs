//! ReplicaSet, and ReplicationController, which is the same under an older name: as many pods of one template as asked for.
//!
//! A key that changed pods is looked at again only when the pod cache has seen those changes, so the decision is never
//! made on the state before its own writes.

mod kinds;

use std::cmp::Ordering;
use std::iter::repeat_n;
use std::sync::Arc;
use std::time::Duration;

use api::selector::LabelSelector;
use client::{Error, Key, Queue};
use futures_util::future::join3;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use tracing::warn;

use self::kinds::Replicas;
use crate::context::Context;
use crate::feed::feed;
use crate::pod::{self, Age, Availability};
use crate::work::side_by_side;
use crate::{make_pods, owner};

/// Pods made or deleted at one look: a typo in `replicas` should leave time to mend it.
const MOST_AT_ONCE: usize = 500;

pub(crate) async fn run(context: Context) {
    run_of::<ReplicaSet>(context).await;
}

pub(crate) async fn run_old(context: Context) {
    run_of::<ReplicationController>(context).await;
}

async fn run_of<Set: Replicas>(context: Context) {
    let queue = Queue::default();
    let sets = context.caches.of::<Set>();
    let own = feed(sets.clone(), queue.clone(), |set: &Set| [Key::of(set)]);
    let pods = feed(context.caches.of::<Pod>(), queue.clone(), move |pod: &Pod| {
        owner::concerned_by(&sets, |set| set.selector().ok(), &pod.metadata)
    });
    join3(own, pods, side_by_side(&queue, Set::KIND, |key| reconcile::<Set>(&context, key))).await;
}

/// What to do about the number of pods.
#[derive(Debug, PartialEq)]
enum Scaling {
    Create(usize),
    Delete(Vec<Arc<Pod>>),
}

fn scaling<Set: Replicas>(set: &Set, active: &[Arc<Pod>]) -> Scaling {
    let wanted = usize::try_from(set.replicas()).unwrap_or_default();
    match active.len().cmp(&wanted) {
        Ordering::Less => Scaling::Create((wanted - active.len()).min(MOST_AT_ONCE)),
        Ordering::Equal => Scaling::Create(0),
        Ordering::Greater => {
            let mut pods = active.to_vec();
            pod::sort_by_use(&mut pods, active);
            pods.truncate((active.len() - wanted).min(MOST_AT_ONCE));
            Scaling::Delete(pods)
        }
    }
}

async fn reconcile<Set: Replicas>(context: &Context, key: Key) -> Result<Option<Duration>, Error> {
    let (sets, pods) = (context.caches.of::<Set>(), context.caches.of::<Pod>());
    pods.synced().await;
    let Some(set) = sets.get(&key) else { return Ok(None) };
    let Some(selector) = selector(&*set) else { return Ok(None) };
    let ours =
        owner::Claimer::new(context.client(), &*set, &selector).claim(pods.list_in(&key.namespace)).await?;
    let mut active: Vec<_> = ours.iter().filter(|pod| pod::is_active(pod)).cloned().collect();
    let scaled = match set.metadata().deletion_timestamp {
        Some(_) => Ok(()),
        None => scale(context, &*set, &mut active).await,
    };
    let age = context.ages.of_pods();
    // Before the pods are counted: one that becomes available between the two is looked at once too often, not never.
    let next = pod::next_available(&active, set.min_ready_seconds(), &age);
    let pods = Pods {
        available: available(&*set, &active, &age),
        terminating: count(&ours, pod::is_terminating),
        active: &active,
    };
    write_status(context, &*set, status(&*set, &pods, scaled.as_ref().err(), Timestamp::now())).await?;
    scaled?;
    Ok(next)
}

fn selector<Set: Replicas>(set: &Set) -> Option<LabelSelector> {
    let selector = set.selector();
    selector
        .inspect_err(
            |error| warn!(kind = Set::KIND, set = %Key::of(set), %error, "a selector that cannot be used"),
        )
        .ok()
}

/// Brings the number of pods to what is asked, and waits until the cache shows it.
async fn scale<Set: Replicas>(context: &Context, set: &Set, active: &mut Vec<Arc<Pod>>) -> Result<(), Error> {
    match scaling(set, active) {
        Scaling::Create(0) => Ok(()),
        Scaling::Create(count) => {
            let template = set.template().cloned().unwrap_or_default();
            let pod = make_pods::of_template(set, &template);
            let (created, result) = make_pods::create(context, set, repeat_n(pod, count)).await;
            for pod in created {
                context.caches.of::<Pod>().seen(&pod.metadata).await;
                active.push(Arc::new(pod));
            }
            result
        }
        Scaling::Delete(pods) => {
            make_pods::delete(context, set, &pods).await?;
            active.retain(|pod| !pods.iter().any(|gone| Arc::ptr_eq(gone, pod)));
            Ok(())
        }
    }
}

fn count(pods: &[Arc<Pod>], counts: impl Fn(&Pod) -> bool) -> i32 {
    i32::try_from(pods.iter().filter(|pod| counts(pod)).count()).unwrap_or(i32::MAX)
}

fn available<Set: Replicas>(set: &Set, active: &[Arc<Pod>], age: Age<'_>) -> i32 {
    count(active, |pod| pod::availability(pod, set.min_ready_seconds(), age) == Availability::Available)
}

/// What the pods of a set come to.
struct Pods<'a> {
    active: &'a [Arc<Pod>],
    available: i32,
    terminating: i32,
}

fn status<Set: Replicas>(
    set: &Set,
    pods: &Pods<'_>,
    failure: Option<&Error>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let active = pods.active;
    let template = set.template().and_then(|template| template.metadata.as_ref()?.labels.as_ref());
    let carries_all = |pod: &Pod| {
        let labels = pod.metadata.labels.as_ref();
        template.is_none_or(|wanted| {
            wanted.iter().all(|(key, value)| labels.and_then(|all| all.get(key)) == Some(value))
        })
    };
    // As the API keeps them: a zero is left out.
    let some = |count: i32| Some(count).filter(|count| *count > 0);
    ReplicaSetStatus {
        replicas: count(active, |_| true),
        fully_labeled_replicas: some(count(active, carries_all)),
        ready_replicas: some(count(active, pod::is_ready)),
        available_replicas: some(pods.available),
        terminating_replicas: Some(pods.terminating),
        observed_generation: set.metadata().generation,
        conditions: conditions(set, active, failure, now),
    }
}

/// A `ReplicaFailure` while pods cannot be made or deleted; the time it began stays.
fn conditions<Set: Replicas>(
    set: &Set,
    active: &[Arc<Pod>],
    failure: Option<&Error>,
    now: Timestamp,
) -> Option<Vec<ReplicaSetCondition>> {
    let current = set.status().and_then(|status| status.conditions).unwrap_or_default();
    let (failed, mut conditions): (Vec<_>, Vec<_>) =
        current.into_iter().partition(|condition| condition.type_.as_deref() == Some("ReplicaFailure"));
    if let Some(error) = failure {
        let missing = active.len() < usize::try_from(set.replicas()).unwrap_or_default();
        conditions.push(failed.into_iter().next().unwrap_or_else(|| ReplicaSetCondition {
            type_: Some("ReplicaFailure".into()),
            status: Some("True".into()),
            reason: Some(if missing { "FailedCreate" } else { "FailedDelete" }.into()),
            message: Some(error.to_string()),
            last_transition_time: Some(Time(now)),
        }));
    }
    (!conditions.is_empty()).then_some(conditions)
}

async fn write_status<Set: Replicas>(
    context: &Context,
    set: &Set,
    status: ReplicaSetStatus,
) -> Result<(), Error> {
    let updated = set.with_status(status);
    if set.status() == updated.status() {
        return Ok(());
    }
    context.write_status(&updated).await
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::ReplicaSetSpec;

    use super::*;
    use crate::pod::tests::{aged, pod};

    fn set(replicas: i32, min_ready_seconds: i32) -> ReplicaSet {
        let spec = ReplicaSetSpec {
            replicas: Some(replicas),
            min_ready_seconds: Some(min_ready_seconds),
            ..ReplicaSetSpec::default()
        };
        ReplicaSet { spec, ..ReplicaSet::default() }
    }

    #[test]
    fn too_few_are_made_and_too_many_deleted_least_useful_first() {
        let pods = [pod("a", "n", Some(1)), pod("b", "n", None), pod("c", "n", Some(2))];
        assert_eq!(scaling(&set(5, 0), &pods), Scaling::Create(2));
        assert_eq!(scaling(&set(3, 0), &pods), Scaling::Create(0));
        assert_eq!(scaling(&set(1, 0), &pods), Scaling::Delete(vec![pods[1].clone(), pods[2].clone()]));
        assert_eq!(scaling(&set(1_000_000, 0), &[]), Scaling::Create(MOST_AT_ONCE));
    }

    #[test]
    fn status_counts_and_says_when_to_look_again() {
        let pods = [pod("a", "n", Some(100)), pod("b", "n", Some(107)), pod("c", "n", None)];
        let available = available(&set(3, 10), &pods, &aged(110));
        let all = Pods { active: &pods, available, terminating: 2 };
        let status = status(&set(3, 10), &all, None, Timestamp::UNIX_EPOCH);
        assert_eq!(
            (status.replicas, status.ready_replicas, status.available_replicas, status.terminating_replicas),
            (3, Some(2), Some(1), Some(2))
        );
        assert_eq!(pod::next_available(&pods, 10, &aged(110)), Some(Duration::from_secs(7)));
        assert_eq!(pod::next_available(&pods, 10, &aged(117)), None);
    }
}
