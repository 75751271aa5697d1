//! Pods and nodes for tests.

#![expect(clippy::needless_pass_by_value, reason = "a literal is best handed over as it is written")]

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

use crate::demand::Demand;
use crate::facts::{NodeFacts, PodFacts};
use crate::node_affinity::NodeAffinity;
use crate::spreading::Spreading;

fn labels(labels: &[(&str, &str)]) -> Value {
    labels
        .iter()
        .map(|(key, value)| ((*key).to_string(), Value::from(*value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

pub(crate) fn pod(name: &str, spec: Value) -> Pod {
    serde_json::from_value(
        json!({"metadata": {"namespace": "default", "name": name, "uid": name}, "spec": spec}),
    )
    .unwrap()
}

pub(crate) fn facts(name: &str, spec: Value) -> PodFacts {
    PodFacts::new(Arc::new(pod(name, spec)))
}

pub(crate) fn with_labels(name: &str, pairs: &[(&str, &str)], spec: Value) -> PodFacts {
    let mut pod = pod(name, spec);
    pod.metadata.labels = serde_json::from_value(labels(pairs)).unwrap();
    PodFacts::new(Arc::new(pod))
}

pub(crate) fn with_priority(name: &str, priority: i32, mut spec: Value) -> PodFacts {
    spec["priority"] = priority.into();
    facts(name, spec)
}

/// What a pod without volumes and Services asks for.
pub(crate) fn demand(pod: PodFacts) -> Demand {
    Demand {
        nodes: NodeAffinity::of(&pod.pod),
        spreading: Spreading::of(&pod.pod, None),
        volumes: Vec::new(),
        pod: Arc::new(pod),
    }
}

/// The spec of a pod that asks for this and nothing else.
pub(crate) fn cpu(amount: &str) -> Value {
    json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": amount}}}]})
}

/// Ten pods, 8 Gi of memory.
pub(crate) fn node(name: &str, cpu: &str) -> Node {
    let allocatable = json!({"cpu": cpu, "memory": "8Gi", "pods": "10"});
    serde_json::from_value(json!({"metadata": {"name": name}, "status": {"allocatable": allocatable}}))
        .unwrap()
}

pub(crate) fn labelled_node(name: &str, pairs: &[(&str, &str)]) -> NodeFacts {
    let mut node = node(name, "4");
    node.metadata.labels = serde_json::from_value(labels(pairs)).unwrap();
    NodeFacts::new(Arc::new(node))
}
