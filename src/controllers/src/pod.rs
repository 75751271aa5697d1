//! What controllers ask of a pod, and which of several pods they can do without.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::jiff::Timestamp;

/// Still of use: neither finished nor being deleted.
pub(crate) fn is_active(pod: &Pod) -> bool {
    !is_finished(pod) && pod.metadata.deletion_timestamp.is_none()
}

pub(crate) fn is_finished(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether what is `shown` in the place of a pod means that its deletion has begun.
pub(crate) fn is_deleted(pod: &Pod, shown: Option<&Pod>) -> bool {
    shown.is_none_or(|shown| {
        shown.metadata.uid != pod.metadata.uid || shown.metadata.deletion_timestamp.is_some()
    })
}

/// On its way out, and not there yet.
pub(crate) fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some() && !is_finished(pod)
}

pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

pub(crate) fn is_ready(pod: &Pod) -> bool {
    ready_condition(pod).is_some_and(|condition| condition.status == "True")
}

fn ready_condition(pod: &Pod) -> Option<&PodCondition> {
    let status = pod.status.as_ref()?;
    status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready")
}

fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let condition = ready_condition(pod).filter(|condition| condition.status == "True")?;
    condition.last_transition_time.as_ref().map(|time| time.0)
}

/// When it last became ready or ceased to be.
pub(crate) fn ready_changed(pod: &Pod) -> Option<Timestamp> {
    ready_condition(pod)?.last_transition_time.as_ref().map(|time| time.0)
}

/// Whether a pod counts as available, or how long until it does if nothing happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    Available,
    In(Duration),
    NotReady,
}

/// How long a pod has been as it is since a time that it tells.
pub(crate) type Age<'a> = &'a (dyn Fn(&Pod, Timestamp) -> Duration + Sync);

/// Available is who has been ready for `min_ready_seconds`.
pub(crate) fn availability(pod: &Pod, min_ready_seconds: i32, age: Age<'_>) -> Availability {
    if !is_ready(pod) {
        return Availability::NotReady;
    }
    let Ok(needed) = u64::try_from(min_ready_seconds) else { return Availability::Available };
    if needed == 0 {
        return Availability::Available;
    }
    let Some(since) = ready_since(pod) else { return Availability::NotReady };
    match Duration::from_secs(needed).checked_sub(age(pod, since)).filter(|left| !left.is_zero()) {
        Some(left) => Availability::In(left),
        None => Availability::Available,
    }
}

/// When the next pod becomes available by time alone: nothing else will tell us.
pub(crate) fn next_available<'a>(
    pods: impl IntoIterator<Item = &'a Arc<Pod>>,
    min_ready_seconds: i32,
    age: Age<'_>,
) -> Option<Duration> {
    let waits = pods.into_iter().filter_map(|pod| match availability(pod, min_ready_seconds, age) {
        Availability::In(wait) => Some(wait),
        Availability::Available | Availability::NotReady => None,
    });
    waits.min()
}

/// Sorts pods so that those one can best do without come first: as upstream, unassigned before assigned, pending before
/// running, not ready before ready, cheap before dear (`controller.kubernetes.io/pod-deletion-cost`), those with more
/// siblings on their node, the later ready, the more often restarted, the newer.
pub(crate) fn sort_by_use(pods: &mut [Arc<Pod>], siblings: &[Arc<Pod>]) {
    let mut per_node: HashMap<String, usize> = HashMap::new();
    for pod in siblings.iter().filter(|pod| is_active(pod)) {
        *per_node.entry(node(pod).to_string()).or_default() += 1;
    }
    let crowd = |pod: &Pod| per_node.get(node(pod)).copied().unwrap_or_default();
    pods.sort_by(|a, b| compare_use(a, b, crowd(a), crowd(b)));
}

fn compare_use(a: &Pod, b: &Pod, crowd_of_a: usize, crowd_of_b: usize) -> Ordering {
    let assigned = |pod: &Pod| !node(pod).is_empty();
    let newer_first = |a: Option<Timestamp>, b: Option<Timestamp>| match (a, b) {
        (Some(a), Some(b)) => b.cmp(&a),
        // What has no time yet is newer than anything.
        (a, b) => a.is_some().cmp(&b.is_some()),
    };
    let ready_times = match (is_ready(a), is_ready(b)) {
        (true, true) => newer_first(ready_since(a), ready_since(b)),
        _ => Ordering::Equal,
    };
    assigned(a)
        .cmp(&assigned(b))
        .then(progress(a).cmp(&progress(b)))
        .then(is_ready(a).cmp(&is_ready(b)))
        .then(deletion_cost(a).cmp(&deletion_cost(b)))
        .then(crowd_of_b.cmp(&crowd_of_a))
        .then(ready_times)
        .then(restarts(b).cmp(&restarts(a)))
        .then(newer_first(created(a), created(b)))
}

fn node(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

fn progress(pod: &Pod) -> u8 {
    match phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        "Running" => 2,
        _ => 0,
    }
}

fn deletion_cost(pod: &Pod) -> i32 {
    let annotations = pod.metadata.annotations.as_ref();
    let cost =
        annotations.and_then(|annotations| annotations.get("controller.kubernetes.io/pod-deletion-cost"));
    cost.and_then(|cost| cost.parse().ok()).unwrap_or_default()
}

fn restarts(pod: &Pod) -> i32 {
    let statuses =
        pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    statuses.iter().map(|status| status.restart_count).max().unwrap_or_default()
}

fn created(pod: &Pod) -> Option<Timestamp> {
    pod.metadata.creation_timestamp.as_ref().map(|time| time.0)
}

#[cfg(test)]
pub(crate) mod tests {
    use k8s_openapi::api::core::v1::{PodSpec, PodStatus};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

    use super::*;

    /// A running pod on `node`, ready since `ready` seconds after the epoch if at all.
    pub(crate) fn pod(name: &str, node: &str, ready: Option<i64>) -> Arc<Pod> {
        let time = |second| Some(Time(Timestamp::from_second(second).unwrap()));
        let condition = PodCondition {
            type_: "Ready".into(),
            status: if ready.is_some() { "True" } else { "False" }.into(),
            last_transition_time: time(ready.unwrap_or_default()),
            ..PodCondition::default()
        };
        Arc::new(Pod {
            metadata: ObjectMeta {
                name: Some(name.into()),
                namespace: Some("default".into()),
                uid: Some(format!("uid-{name}")),
                creation_timestamp: time(0),
                ..ObjectMeta::default()
            },
            spec: Some(PodSpec { node_name: Some(node.into()), ..PodSpec::default() }),
            status: Some(PodStatus {
                phase: Some(if node.is_empty() { "Pending" } else { "Running" }.into()),
                conditions: Some(vec![condition]),
                ..PodStatus::default()
            }),
        })
    }

    /// By a clock that shows so many seconds and that nobody ever set.
    pub(crate) fn aged(now: i64) -> impl Fn(&Pod, Timestamp) -> Duration + Sync {
        move |_, began| {
            Timestamp::from_second(now).unwrap().duration_since(began).try_into().unwrap_or_default()
        }
    }

    #[test]
    fn availability_waits_for_min_ready_seconds() {
        let pod = self::pod("a", "n", Some(100));
        assert_eq!(availability(&pod, 0, &aged(100)), Availability::Available);
        assert_eq!(availability(&pod, 10, &aged(104)), Availability::In(Duration::from_secs(6)));
        assert_eq!(availability(&pod, 10, &aged(110)), Availability::Available);
        assert_eq!(availability(&self::pod("a", "n", None), 0, &aged(100)), Availability::NotReady);
    }

    #[test]
    fn the_least_useful_pod_comes_first() {
        let mut cheap = Pod::clone(&pod("cheap", "n1", Some(1)));
        cheap.metadata.annotations =
            Some([("controller.kubernetes.io/pod-deletion-cost".to_string(), "-5".to_string())].into());
        let all = [
            pod("alone", "n2", Some(5)),
            pod("old", "n1", Some(5)),
            pod("young", "n1", Some(9)),
            Arc::new(cheap),
            pod("starting", "n1", None),
            pod("unassigned", "", None),
        ];
        let mut pods = all.to_vec();
        sort_by_use(&mut pods, &all);
        let names: Vec<_> = pods.iter().map(|pod| pod.metadata.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["unassigned", "starting", "cheap", "young", "old", "alone"]);
    }
}
