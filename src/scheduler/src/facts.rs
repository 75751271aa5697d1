//! What scheduling asks of pods and nodes, worked out once when they change and not at every attempt.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::Key;
use k8s_openapi::api::core::v1::{Container, Node, Pod, PodSpec, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::pod_affinity::Terms;
use crate::resources::{self, Resources, is_sidecar};

/// A pod, placed or not.
#[derive(Debug)]
pub(crate) struct PodFacts {
    pub(crate) pod: Arc<Pod>,
    pub(crate) key: Key,
    pub(crate) requests: Resources,
    /// With something assumed for containers that ask for nothing.
    pub(crate) assumed_requests: Resources,
    pub(crate) ports: Vec<HostPort>,
    /// None for the many that care about no other pod.
    pub(crate) terms: Option<Box<Terms>>,
}

/// A port of the node that a pod takes for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    protocol: String,
    port: i32,
    /// Empty for all addresses.
    address: String,
}

impl PodFacts {
    pub(crate) fn new(pod: Arc<Pod>) -> Self {
        Self {
            key: Key::of(&*pod),
            requests: resources::requests(&pod),
            assumed_requests: resources::requests_for_scoring(&pod),
            ports: pod.spec.as_ref().map(host_ports).unwrap_or_default(),
            terms: Terms::of(&pod).map(Box::new),
            pod,
        }
    }

    pub(crate) fn metadata(&self) -> &ObjectMeta {
        &self.pod.metadata
    }

    pub(crate) fn labels(&self) -> Option<&BTreeMap<String, String>> {
        self.pod.metadata.labels.as_ref()
    }

    pub(crate) fn uid(&self) -> &str {
        self.pod.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(crate) fn priority(&self) -> i32 {
        self.pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or_default()
    }

    pub(crate) fn tolerations(&self) -> &[Toleration] {
        self.pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default()
    }

    pub(crate) fn containers(&self) -> impl Iterator<Item = &Container> {
        self.pod
            .spec
            .iter()
            .flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()))
    }

    pub(crate) fn is_terminating(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some()
    }
}

fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let sidecars = spec.init_containers.iter().flatten().filter(|container| is_sidecar(container));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    let taken = ports.filter_map(|port| {
        let number = port.host_port.filter(|number| *number > 0)?;
        let address = port.host_ip.clone().filter(|address| address != "0.0.0.0" && address != "::");
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_string());
        Some(HostPort { protocol, port: number, address: address.unwrap_or_default() })
    });
    taken.collect()
}

impl HostPort {
    pub(crate) fn conflicts_with(&self, other: &Self) -> bool {
        let overlap = self.address.is_empty() || other.address.is_empty() || self.address == other.address;
        self.port == other.port && self.protocol == other.protocol && overlap
    }
}

/// A node and the pods that are on it, or will be as soon as the API server has agreed.
#[derive(Clone, Debug)]
pub(crate) struct NodeFacts {
    pub(crate) node: Arc<Node>,
    pub(crate) name: String,
    pub(crate) allocatable: Resources,
    pub(crate) most_pods: usize,
    pods: Vec<Arc<PodFacts>>,
    pub(crate) requested: Resources,
    pub(crate) assumed_requested: Resources,
}

impl NodeFacts {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        let status = node.status.as_ref();
        let mut allocatable = Resources::of(status.and_then(|status| status.allocatable.as_ref()));
        let most_pods = allocatable.others.remove("pods").unwrap_or_default();
        Self {
            name: node.metadata.name.clone().unwrap_or_default(),
            allocatable,
            most_pods: usize::try_from(most_pods).unwrap_or_default(),
            pods: Vec::new(),
            requested: Resources::default(),
            assumed_requested: Resources::default(),
            node,
        }
    }

    /// The same pods on what the node has become.
    pub(crate) fn renewed(&self, node: Arc<Node>) -> Self {
        let mut renewed = Self::new(node);
        renewed.pods.clone_from(&self.pods);
        renewed.requested.clone_from(&self.requested);
        renewed.assumed_requested.clone_from(&self.assumed_requested);
        renewed
    }

    pub(crate) fn pods(&self) -> &[Arc<PodFacts>] {
        &self.pods
    }

    /// Puts a pod here, in place of what was known of it before.
    pub(crate) fn put(&mut self, pod: Arc<PodFacts>) {
        self.take(&pod.key);
        self.requested.add(&pod.requests);
        self.assumed_requested.add(&pod.assumed_requests);
        self.pods.push(pod);
    }

    pub(crate) fn take(&mut self, key: &Key) -> Option<Arc<PodFacts>> {
        let index = self.pods.iter().position(|pod| pod.key == *key)?;
        let pod = self.pods.swap_remove(index);
        self.requested.remove(&pod.requests);
        self.assumed_requested.remove(&pod.assumed_requests);
        Some(pod)
    }

    pub(crate) fn labels(&self) -> Option<&BTreeMap<String, String>> {
        self.node.metadata.labels.as_ref()
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.labels()?.get(key).map(String::as_str)
    }

    pub(crate) fn taints(&self) -> &[Taint] {
        self.node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
    }

    pub(crate) fn is_unschedulable(&self) -> bool {
        self.node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::{node, pod};

    #[test]
    fn ports_conflict_on_one_address_or_on_all() {
        let ports = |address: &str, protocol: &str| {
            let port = json!({"containerPort": 80, "hostPort": 80, "hostIP": address, "protocol": protocol});
            let spec = json!({"containers": [{"name": "c", "ports": [port]}]});
            PodFacts::new(Arc::new(pod("p", spec))).ports.remove(0)
        };
        let all = ports("0.0.0.0", "TCP");
        assert!(all.conflicts_with(&ports("10.0.0.1", "TCP")));
        assert!(!all.conflicts_with(&ports("10.0.0.1", "UDP")));
        assert!(!ports("10.0.0.2", "TCP").conflicts_with(&ports("10.0.0.1", "TCP")));
    }

    #[test]
    fn what_is_put_twice_counts_once() {
        let mut facts = NodeFacts::new(Arc::new(node("n", "4")));
        let spec = json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]});
        let one = Arc::new(PodFacts::new(Arc::new(pod("p", spec))));
        facts.put(one.clone());
        facts.put(one.clone());
        assert_eq!((facts.requested.cpu, facts.pods().len()), (1000, 1));
        facts.take(&one.key);
        assert_eq!((facts.requested.cpu, facts.pods().len()), (0, 0));
    }
}
