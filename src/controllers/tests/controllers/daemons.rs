//! A pod on every node.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::json;

use crate::cluster::{Cluster, is_ready, pod_spec};

/// A node that has become ready.
async fn node(cluster: &Cluster, name: &str) {
    cluster.create::<Node>(json!({"metadata": {"name": name}})).await;
    cluster.patch::<Node>(name, json!({"spec": {"taints": null}})).await;
}

async fn daemon_set(cluster: &Cluster) {
    let labels = json!({"app": "agent"});
    let template = json!({"metadata": {"labels": labels}, "spec": pod_spec()});
    let spec = json!({"selector": {"matchLabels": labels}, "template": template});
    cluster.create::<DaemonSet>(json!({"metadata": {"name": "agent"}, "spec": spec})).await;
}

fn image(pod: &Arc<Pod>) -> &str {
    pod.spec.as_ref().unwrap().containers[0].image.as_deref().unwrap()
}

fn node_of(pod: &Pod) -> String {
    let affinity = pod.spec.as_ref().unwrap().affinity.as_ref().unwrap().node_affinity.as_ref().unwrap();
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref().unwrap();
    required.node_selector_terms[0].match_fields.as_ref().unwrap()[0].values.as_ref().unwrap()[0].clone()
}

/// What a kubelet does to each pod that does not run yet.
async fn run_all(cluster: &Cluster, pods: &[Arc<Pod>]) {
    for (index, pod) in pods.iter().enumerate().filter(|(_, pod)| !is_ready(pod)) {
        let name = pod.metadata.name.as_deref().unwrap();
        cluster.run_pod(name, &format!("10.42.0.{}", index + 2)).await;
    }
}

fn status(set: &DaemonSet) -> (i32, i32, i32, i32) {
    let Some(status) = &set.status else { return (-1, 0, 0, 0) };
    let updated = status.updated_number_scheduled.unwrap_or_default();
    (status.desired_number_scheduled, status.number_ready, updated, status.number_misscheduled)
}

#[tokio::test]
async fn a_pod_on_every_node_and_a_rolling_update() {
    let cluster = Cluster::start().await;
    node(&cluster, "n1").await;
    node(&cluster, "n2").await;
    daemon_set(&cluster).await;
    let pods = cluster.until_all::<Pod>(|pods| pods.len() == 2).await;
    let mut nodes: Vec<_> = pods.iter().map(|pod| node_of(pod)).collect();
    nodes.sort();
    assert_eq!(nodes, ["n1", "n2"]);
    run_all(&cluster, &pods).await;
    cluster.until::<DaemonSet>("agent", |set| set.is_some_and(|set| status(set) == (2, 2, 2, 0))).await;

    node(&cluster, "n3").await;
    let pods = cluster.until_all::<Pod>(|pods| pods.len() == 3).await;
    run_all(&cluster, &pods).await;
    cluster.until::<DaemonSet>("agent", |set| set.is_some_and(|set| status(set) == (3, 3, 3, 0))).await;

    let container = json!([{"name": "web", "image": "web:2"}]);
    cluster
        .patch::<DaemonSet>("agent", json!({"spec": {"template": {"spec": {"containers": container}}}}))
        .await;
    for done in 0..3 {
        let pods = cluster
            .until_all::<Pod>(|pods| {
                pods.len() == 3 && pods.iter().filter(|pod| image(pod) == "web:2").count() == done + 1
            })
            .await;
        assert!(pods.iter().filter(|pod| is_ready(pod)).count() >= 2, "one at a time");
        run_all(&cluster, &pods).await;
    }
    cluster.until::<DaemonSet>("agent", |set| set.is_some_and(|set| status(set) == (3, 3, 3, 0))).await;
    let revisions = cluster.until_all::<ControllerRevision>(|all| all.len() == 2).await;
    let mut numbers: Vec<_> = revisions.iter().map(|revision| revision.revision).collect();
    numbers.sort();
    assert_eq!(numbers, [Some(1), Some(2)]);
}

#[tokio::test]
async fn a_failed_daemon_is_replaced() {
    let cluster = Cluster::start().await;
    node(&cluster, "n1").await;
    daemon_set(&cluster).await;
    let pods = cluster.until_all::<Pod>(|pods| pods.len() == 1).await;
    let name = pods[0].metadata.name.clone().unwrap();
    cluster.set_status::<Pod>(&name, json!({"phase": "Failed"})).await;
    cluster.until_all::<Pod>(|all| all.len() == 1 && all[0].metadata.uid != pods[0].metadata.uid).await;
}
