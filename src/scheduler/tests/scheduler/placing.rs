//! Pods that find a node, at once or when something helps.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::json;

use crate::cluster::{Cluster, node_of, placement};

#[tokio::test]
async fn many_pods_at_once_are_spread_and_no_node_is_overfull() {
    let cluster = Cluster::start().await;
    cluster.node("a", "2", json!({})).await;
    cluster.node("b", "1", json!({})).await;
    for number in 0..30 {
        cluster.pod(&format!("p{number}"), "100m", json!({})).await;
    }
    let pods =
        cluster.until_all::<Pod>(|all| all.iter().filter(|pod| node_of(pod).is_some()).count() == 30).await;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    pods.iter().for_each(|pod| *counts.entry(node_of(pod).unwrap()).or_default() += 1);
    assert_eq!(counts, [("a", 20), ("b", 10)].into());
    assert!(pods.iter().all(|pod| placement(pod).is_some_and(|condition| condition.status == "True")));
    let node = node_of(&pods[0]).unwrap();
    let name = pods[0].metadata.name.as_deref().unwrap();
    cluster.event("Scheduled", &format!("Successfully assigned shop/{name} to {node}")).await;
}

#[tokio::test]
async fn a_pod_of_another_scheduler_is_left_alone() {
    let cluster = Cluster::start().await;
    cluster.node("a", "2", json!({})).await;
    cluster.pod("theirs", "1", json!({"schedulerName": "other"})).await;
    cluster.pod("ours", "1", json!({})).await;
    cluster.placed("ours").await;
    assert_eq!(node_of(&*cluster.until("theirs", |_| true).await), None);
}

#[tokio::test]
async fn a_gate_keeps_a_pod_back_until_it_is_gone() {
    let cluster = Cluster::start().await;
    cluster.node("a", "2", json!({})).await;
    cluster.pod("gated", "1", json!({"schedulingGates": [{"name": "example.com/wait"}]})).await;
    let says = |pod: &Pod| {
        placement(pod).is_some_and(|condition| condition.reason.as_deref() == Some("SchedulingGated"))
    };
    cluster.until("gated", says).await;
    cluster
        .patch::<Pod>(&client::Key::new("shop", "gated"), json!({"spec": {"schedulingGates": null}}))
        .await;
    assert_eq!(cluster.placed("gated").await, "a");
}

#[tokio::test]
async fn an_event_that_helps_brings_a_pod_back() {
    let cluster = Cluster::start().await;
    cluster.pod("p", "1", json!({})).await;
    cluster.refused("p", "no nodes available to schedule pods").await;
    let taint = json!({"taints": [{"key": "key", "value": "value", "effect": "NoSchedule"}]});
    cluster.node("a", "2", taint).await;
    let tainted = "0/1 nodes are available: 1 node(s) had untolerated taint {key: value}. \
        preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    cluster.refused("p", tainted).await;
    cluster.event("FailedScheduling", tainted).await;
    cluster.patch::<Node>(&client::Key::new("", "a"), json!({"spec": {"taints": null}})).await;
    assert_eq!(cluster.placed("p").await, "a");
}
