//! Pods that others make room for.

use k8s_openapi::api::scheduling::v1::PriorityClass;
use serde_json::json;

use crate::cluster::{Cluster, condition, node_of};

#[tokio::test]
async fn the_important_get_room_from_the_least_important() {
    let cluster = Cluster::start().await;
    for (name, value) in [("low", 1), ("middle", 5), ("high", 10)] {
        cluster.create::<PriorityClass>(json!({"metadata": {"name": name}, "value": value})).await;
    }
    cluster.node("a", "2", json!({})).await;
    for (name, class) in [("stays", "middle"), ("goes", "low")] {
        cluster.pod(name, "1", json!({"priorityClassName": class})).await;
        cluster.placed(name).await;
    }
    let vip = cluster.pod("vip", "1", json!({"priorityClassName": "high"})).await;
    let victim = cluster.until("goes", |pod| pod.metadata.deletion_timestamp.is_some()).await;
    let disruption = condition(&victim, "DisruptionTarget").unwrap();
    assert_eq!(disruption.reason.as_deref(), Some("PreemptionByScheduler"));
    let nominated = |pod: &k8s_openapi::api::core::v1::Pod| {
        pod.status.as_ref().and_then(|status| status.nominated_node_name.as_deref()) == Some("a")
    };
    cluster.until("vip", nominated).await;
    cluster.event("Preempted", &format!("Preempted by pod {} on node a", vip.metadata.uid.unwrap())).await;
    // Comes too early: the room is promised.
    cluster.pod("opportunist", "1", json!({"priorityClassName": "low"})).await;
    cluster.remove("goes").await;
    assert_eq!(cluster.placed("vip").await, "a");
    assert_eq!(node_of(&*cluster.until("opportunist", |_| true).await), None);
    assert_eq!(cluster.placed("stays").await, "a");
}
