//! What a pod asks for and what a node has, as numbers.

use std::collections::BTreeMap;

use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

/// What a container that asks for nothing counts as when nodes are compared: otherwise such pods would all
/// look free and gather on one node.
const ASSUMED_CPU: i64 = 100;
const ASSUMED_MEMORY: i64 = 200 << 20;

/// Amounts by resource: CPU in thousandths, everything else in whole units.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Resources {
    pub(crate) cpu: i64,
    pub(crate) memory: i64,
    pub(crate) storage: i64,
    pub(crate) others: BTreeMap<String, i64>,
}

impl Resources {
    pub(crate) fn of(list: Option<&BTreeMap<String, Written>>) -> Self {
        let mut resources = Self::default();
        for (name, written) in list.into_iter().flatten() {
            resources.set(name, written);
        }
        resources
    }

    /// The API server has let through only what is a quantity; anything else counts as none.
    fn set(&mut self, name: &str, written: &Written) {
        let quantity: Quantity = written.0.parse().unwrap_or(Quantity::ZERO);
        match name {
            "cpu" => self.cpu = quantity.milli_value(),
            "memory" => self.memory = quantity.value(),
            "ephemeral-storage" => self.storage = quantity.value(),
            _ => {
                self.others.insert(name.to_string(), quantity.value());
            }
        }
    }

    pub(crate) fn add(&mut self, more: &Self) {
        self.join(more, i64::saturating_add);
    }

    pub(crate) fn remove(&mut self, less: &Self) {
        self.join(less, i64::saturating_sub);
    }

    /// At least as much as `other` of everything.
    fn raise_to(&mut self, other: &Self) {
        self.join(other, i64::max);
    }

    fn join(&mut self, other: &Self, by: fn(i64, i64) -> i64) {
        self.cpu = by(self.cpu, other.cpu);
        self.memory = by(self.memory, other.memory);
        self.storage = by(self.storage, other.storage);
        for (name, amount) in &other.others {
            let ours = self.others.entry(name.clone()).or_default();
            *ours = by(*ours, *amount);
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.cpu == 0
            && self.memory == 0
            && self.storage == 0
            && self.others.values().all(|amount| *amount == 0)
    }

    pub(crate) fn other(&self, name: &str) -> i64 {
        self.others.get(name).copied().unwrap_or_default()
    }
}

/// What the node must have free for a pod: the most it needs at any moment of its life.
pub(crate) fn requests(pod: &Pod) -> Resources {
    needs(pod, |resources| resources)
}

/// The same, with something assumed for containers that say nothing.
pub(crate) fn requests_for_scoring(pod: &Pod) -> Resources {
    needs(pod, assume)
}

fn assume(mut resources: Resources) -> Resources {
    if resources.cpu == 0 {
        resources.cpu = ASSUMED_CPU;
    }
    if resources.memory == 0 {
        resources.memory = ASSUMED_MEMORY;
    }
    resources
}

/// Containers run together, init containers before them one by one, sidecars from their turn on.
fn needs(pod: &Pod, adjust: fn(Resources) -> Resources) -> Resources {
    let Some(spec) = &pod.spec else { return Resources::default() };
    let of = |container| adjust(of_container(pod, container));
    let mut running = Resources::default();
    spec.containers.iter().for_each(|container| running.add(&of(container)));
    let (mut sidecars, mut peak) = (Resources::default(), Resources::default());
    for container in spec.init_containers.iter().flatten() {
        let own = of(container);
        if is_sidecar(container) {
            running.add(&own);
            sidecars.add(&own);
            peak.raise_to(&sidecars);
        } else {
            let mut during = own;
            during.add(&sidecars);
            peak.raise_to(&during);
        }
    }
    running.raise_to(&peak);
    of_whole_pod(spec, &mut running);
    running.add(&Resources::of(spec.overhead.as_ref()));
    running
}

/// What the pod asks for as a whole replaces the sum of what its containers ask for.
fn of_whole_pod(spec: &PodSpec, sum: &mut Resources) {
    let requests = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    for (name, written) in requests.into_iter().flatten() {
        if matches!(name.as_str(), "cpu" | "memory") || name.starts_with("hugepages-") {
            sum.set(name, written);
        }
    }
}

pub(crate) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// While a container is being resized it may hold as much as was asked, was granted, or is in use.
fn of_container(pod: &Pod, container: &Container) -> Resources {
    let asked = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let mut needs = Resources::of(asked);
    let status = pod.status.as_ref();
    let statuses = status.iter().flat_map(|status| {
        status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten())
    });
    for status in statuses.filter(|status| status.name == container.name) {
        needs.raise_to(&Resources::of(status.allocated_resources.as_ref()));
        let used = status.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        needs.raise_to(&Resources::of(used));
    }
    needs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::pod;

    #[test]
    fn a_pod_needs_the_most_of_any_moment_of_its_life() {
        let cpu = |cpu: &str| json!({"requests": {"cpu": cpu}});
        let pod = pod(
            "p",
            json!({
                "containers": [{"name": "a", "resources": cpu("1")}, {"name": "b", "resources": {"requests": {"memory": "1Ki", "example.com/gpu": "2"}}}],
                "initContainers": [
                    {"name": "first", "resources": cpu("1500m")},
                    {"name": "side", "restartPolicy": "Always", "resources": cpu("200m")},
                    {"name": "late", "resources": cpu("1900m")},
                ],
                "overhead": {"cpu": "10m"},
            }),
        );
        let needs = requests(&pod);
        assert_eq!((needs.cpu, needs.memory, needs.other("example.com/gpu")), (2110, 1024, 2));
    }

    #[test]
    fn the_pod_as_a_whole_overrules_its_containers() {
        let pod = pod(
            "p",
            json!({
                "containers": [{"name": "a", "resources": {"requests": {"cpu": "1", "memory": "1Mi"}}}],
                "resources": {"requests": {"cpu": "3"}},
            }),
        );
        assert_eq!((requests(&pod).cpu, requests(&pod).memory), (3000, 1 << 20));
    }

    #[test]
    fn a_resize_under_way_counts_with_the_larger_size() {
        let mut resized =
            pod("p", json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}]}));
        resized.status = serde_json::from_value(json!({"containerStatuses": [{
            "name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 0,
            "allocatedResources": {"cpu": "2"},
        }]}))
        .unwrap();
        assert_eq!(requests(&resized).cpu, 2000);
    }

    #[test]
    fn nothing_asked_counts_as_something_where_nodes_are_compared() {
        let pod = pod(
            "p",
            json!({"containers": [{"name": "a"}, {"name": "b", "resources": {"requests": {"cpu": "1"}}}]}),
        );
        assert!(!requests(&pod).is_zero());
        let assumed = requests_for_scoring(&pod);
        assert_eq!((assumed.cpu, assumed.memory), (1100, 2 * ASSUMED_MEMORY));
    }
}
