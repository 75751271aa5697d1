//! Pods that find none yet, and what they are told.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use serde_json::json;

use crate::cluster::Cluster;

#[tokio::test]
async fn room_that_becomes_free_is_used() {
    let cluster = Cluster::start().await;
    cluster.node("a", "1", json!({})).await;
    cluster.pod("first", "1", json!({})).await;
    cluster.placed("first").await;
    cluster.pod("second", "1", json!({})).await;
    cluster
        .refused(
            "second",
            "0/1 nodes are available: 1 Insufficient cpu. \
             preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
        )
        .await;
    cluster.remove("first").await;
    assert_eq!(cluster.placed("second").await, "a");
}

#[tokio::test]
async fn a_missing_claim_is_named() {
    let cluster = Cluster::start().await;
    cluster.node("a", "1", json!({})).await;
    let volume = json!({"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]});
    cluster.pod("p", "1", volume).await;
    let not_helpful = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    cluster
        .refused(
            "p",
            &format!("0/1 nodes are available: persistentvolumeclaim \"data\" not found. {not_helpful}"),
        )
        .await;
    let claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""});
    cluster.create::<PersistentVolumeClaim>(json!({"metadata": {"name": "data"}, "spec": claim})).await;
    cluster
        .refused(
            "p",
            &format!(
                "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. {not_helpful}"
            ),
        )
        .await;
}

#[tokio::test]
async fn a_pod_that_was_deleted_takes_no_room() {
    let cluster = Cluster::start().await;
    cluster.node("a", "1", json!({})).await;
    for _ in 0..5 {
        cluster.pod("p", "1", json!({})).await;
        assert_eq!(cluster.placed("p").await, "a");
        cluster.remove("p").await;
        cluster.until_all::<Pod>(<[_]>::is_empty).await;
    }
}
