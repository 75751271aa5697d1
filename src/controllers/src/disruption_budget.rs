//! PodDisruptionBudget: how many pods of a set may be evicted right now. The eviction subresource spends what is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use api::selector::LabelSelector;
use client::{Error, Key, Path, Queue, Severity};
use futures_util::future::join3;
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, OwnerReference, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use crate::context::Context;
use crate::feed::feed;
use crate::rounding::{Round, resolve};
use crate::{owner, pod};

/// An eviction that was allowed and did not happen by then did not happen.
const DELETION_TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) async fn run(context: Context) {
    let queue = Queue::default();
    let budgets = context.caches.of::<PodDisruptionBudget>();
    let own = feed(budgets.clone(), queue.clone(), |budget: &PodDisruptionBudget| [Key::of(budget)]);
    let pods = feed(context.caches.of::<Pod>(), queue.clone(), move |pod: &Pod| {
        let budgets = budgets.list_in(pod.metadata.namespace.as_deref().unwrap_or_default());
        let of_pod = budgets.iter().filter(|budget| {
            selector(budget).is_some_and(|selector| selector.matches_labels(pod.metadata.labels.as_ref()))
        });
        of_pod.map(|budget| Key::of(&**budget)).collect::<Vec<_>>()
    });
    join3(own, pods, queue.work("PodDisruptionBudget", |key| reconcile(&context, key))).await;
}

fn selector(budget: &PodDisruptionBudget) -> Option<LabelSelector> {
    LabelSelector::of(budget.spec.as_ref()?.selector.as_ref()).ok()
}

async fn reconcile(context: &Context, key: Key) -> Result<Option<Duration>, Error> {
    let (budgets, pods) = (context.caches.of::<PodDisruptionBudget>(), context.caches.of::<Pod>());
    pods.synced().await;
    let Some(budget) = budgets.get(&key) else { return Ok(None) };
    let Some(selector) = selector(&budget) else { return Ok(None) };
    let mut pods = pods.list_in(&key.namespace);
    pods.retain(|pod| selector.matches_labels(pod.metadata.labels.as_ref()));
    if pods.is_empty() {
        context.recorder.event(&*budget, Severity::Normal, "NoPods", "No matching pods found");
    }
    let now = Timestamp::now();
    let (counts, failure) = match expected(context, &budget, &pods).await {
        Ok(counts) => (counts, None),
        // Nothing may be disrupted while nobody knows what is there.
        Err(failure) => (Counts::default(), Some(failure)),
    };
    let (status, again) = status(&budget, &pods, counts, failure.as_ref(), now);
    write(context, &budget, status).await?;
    match failure {
        None => Ok(again),
        Some(Failure::Scale { source, .. }) => Err(source),
        Some(failure) => {
            let message = format!("Failed to calculate the number of expected pods: {failure}");
            context.recorder.event(&*budget, Severity::Warning, "CalculateExpectedPodCountFailed", message);
            Ok(again)
        }
    }
}

/// How many pods there should be, and how many of them must be healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    expected: i32,
    desired: i32,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("found no controllers for pod {0:?}")]
    NoController(String),
    #[error("{0} does not implement the scale subresource")]
    NotScalable(String),
    #[error("cannot read the scale of {of}")]
    Scale {
        of: String,
        #[source]
        source: Error,
    },
}

async fn expected(
    context: &Context,
    budget: &PodDisruptionBudget,
    pods: &[Arc<Pod>],
) -> Result<Counts, Failure> {
    let spec = budget.spec.clone().unwrap_or_default();
    let present = i32::try_from(pods.len()).unwrap_or(i32::MAX);
    match (&spec.max_unavailable, &spec.min_available) {
        (Some(most), _) => {
            let expected = scale_of(context, pods).await?;
            Ok(Counts { expected, desired: (expected - resolve(most, expected, Round::Up)).max(0) })
        }
        (None, Some(IntOrString::Int(least))) => Ok(Counts { expected: present, desired: *least }),
        (None, Some(part)) => {
            let expected = scale_of(context, pods).await?;
            Ok(Counts { expected, desired: resolve(part, expected, Round::Up) })
        }
        (None, None) => Ok(Counts::default()),
    }
}

/// The sum of the sizes of all that control the pods: pods that are not there yet count too.
async fn scale_of(context: &Context, pods: &[Arc<Pod>]) -> Result<i32, Failure> {
    let mut controllers: BTreeMap<String, (OwnerReference, String)> = BTreeMap::new();
    for pod in pods {
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let Some(controller) = owner::controller(&pod.metadata) else {
            return Err(Failure::NoController(pod.metadata.name.clone().unwrap_or_default()));
        };
        controllers.insert(controller.uid.clone(), (controller.clone(), namespace));
    }
    let (mut total, mut counted) = (0_i32, BTreeSet::new());
    for (mut reference, namespace) in controllers.into_values() {
        // A Deployment in the middle of an update has several sets: it is what is asked for that counts.
        if reference.kind == "ReplicaSet" {
            let set = context.caches.of::<k8s_openapi::api::apps::v1::ReplicaSet>();
            let set = set.get(&Key::new(&*namespace, &*reference.name));
            if let Some(above) = set.and_then(|set| owner::controller(&set.metadata).cloned()) {
                reference = above;
            }
        }
        if counted.insert(reference.uid.clone()) {
            total = total.saturating_add(size(context, &reference, &namespace).await?);
        }
    }
    Ok(total)
}

async fn size(context: &Context, controller: &OwnerReference, namespace: &str) -> Result<i32, Failure> {
    let of = format!("{} {:?}", controller.kind, controller.name);
    let (group, version) = controller.api_version.split_once('/').unwrap_or(("", &controller.api_version));
    let scalable = |kind: &&kinds::Kind| kind.subresource("scale").is_some();
    let Some(kind) = kinds::by_kind(group, version, &controller.kind).filter(scalable) else {
        return Err(Failure::NotScalable(of));
    };
    let path = Path::object_of(kind, &Key::new(namespace, &*controller.name)).child("scale");
    match context.client().send_json(Method::GET, path.as_str(), None).await {
        Ok(scale) => {
            let scale: Value = serde_json::from_slice(&scale).unwrap_or_default();
            let replicas = scale["spec"]["replicas"].as_i64().unwrap_or_default();
            Ok(i32::try_from(replicas).unwrap_or(i32::MAX))
        }
        Err(error) if error.is_not_found() => Ok(0),
        Err(source) => Err(Failure::Scale { of, source }),
    }
}

/// The status, and when an eviction that was allowed is to be forgotten.
fn status(
    budget: &PodDisruptionBudget,
    pods: &[Arc<Pod>],
    counts: Counts,
    failure: Option<&Failure>,
    now: Timestamp,
) -> (PodDisruptionBudgetStatus, Option<Duration>) {
    let before = budget.status.clone().unwrap_or_default();
    let (disrupted, again) = still_disrupted(&before, pods, now);
    let healthy = pods.iter().filter(|pod| {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        pod.metadata.deletion_timestamp.is_none() && !disrupted.contains_key(name) && pod::is_ready(pod)
    });
    let healthy = i32::try_from(healthy.count()).unwrap_or(i32::MAX);
    let allowed = if counts.expected > 0 { (healthy - counts.desired).max(0) } else { 0 };
    let status = PodDisruptionBudgetStatus {
        conditions: Some(conditions(budget, &before, allowed, failure, now)),
        current_healthy: Some(healthy),
        desired_healthy: Some(counts.desired),
        disrupted_pods: (!disrupted.is_empty()).then_some(disrupted),
        disruptions_allowed: Some(allowed),
        expected_pods: Some(counts.expected),
        observed_generation: budget.metadata.generation,
    };
    (status, again)
}

fn still_disrupted(
    before: &PodDisruptionBudgetStatus,
    pods: &[Arc<Pod>],
    now: Timestamp,
) -> (BTreeMap<String, Time>, Option<Duration>) {
    let (mut disrupted, mut again) = (BTreeMap::new(), None);
    for (name, time) in before.disrupted_pods.iter().flatten() {
        let staying = pods
            .iter()
            .any(|pod| pod.metadata.name.as_ref() == Some(name) && pod.metadata.deletion_timestamp.is_none());
        let passed = Duration::try_from(now.duration_since(time.0)).unwrap_or_default();
        let left = DELETION_TIMEOUT.saturating_sub(passed);
        if staying && !left.is_zero() {
            disrupted.insert(name.clone(), time.clone());
            again = again.into_iter().chain([left]).min();
        }
    }
    (disrupted, again)
}

fn conditions(
    budget: &PodDisruptionBudget,
    before: &PodDisruptionBudgetStatus,
    allowed: i32,
    failure: Option<&Failure>,
    now: Timestamp,
) -> Vec<Condition> {
    let (status, reason, message) = match failure {
        Some(failure) => ("False", "SyncFailed", failure.to_string()),
        None if allowed > 0 => ("True", "SufficientPods", String::new()),
        None => ("False", "InsufficientPods", String::new()),
    };
    let mut conditions = before.conditions.clone().unwrap_or_default();
    let old = conditions.iter().position(|condition| condition.type_ == "DisruptionAllowed");
    let old = old.map(|index| conditions.remove(index));
    let since = old.filter(|old| old.status == status).map_or(Time(now), |old| old.last_transition_time);
    conditions.push(Condition {
        type_: "DisruptionAllowed".into(),
        status: status.into(),
        reason: reason.into(),
        message,
        last_transition_time: since,
        observed_generation: budget.metadata.generation,
    });
    conditions
}

async fn write(
    context: &Context,
    budget: &PodDisruptionBudget,
    status: PodDisruptionBudgetStatus,
) -> Result<(), Error> {
    let status = Some(status);
    if budget.status == status {
        return Ok(());
    }
    context.write_status(&PodDisruptionBudget { status, ..budget.clone() }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::tests::pod;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_is_healthy_beyond_what_must_be_may_go() {
        let pods = [pod("a", "n", Some(1)), pod("b", "n", Some(1)), pod("c", "n", None)];
        let counts = Counts { expected: 3, desired: 1 };
        let mut budget = PodDisruptionBudget::default();
        let (first, again) = status(&budget, &pods, counts, None, at(10));
        assert_eq!((first.current_healthy, first.disruptions_allowed, again), (Some(2), Some(1), None));
        assert_eq!(first.conditions.as_ref().unwrap()[0].reason, "SufficientPods");
        budget.status = Some(PodDisruptionBudgetStatus {
            disrupted_pods: Some([("a".to_string(), Time(at(10)))].into()),
            ..first
        });
        let (spent, again) = status(&budget, &pods, counts, None, at(30));
        assert_eq!((spent.disruptions_allowed, again), (Some(0), Some(Duration::from_secs(100))));
        assert_eq!(spent.conditions.as_ref().unwrap()[0].reason, "InsufficientPods");
        let (forgotten, _) = status(&budget, &pods, counts, None, at(200));
        assert_eq!(forgotten.disruptions_allowed, Some(1));
    }
}
