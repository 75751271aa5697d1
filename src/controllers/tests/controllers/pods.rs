//! Pods that nobody else takes away.

use client::Key;
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::json;

use crate::cluster::{Cluster, pod_spec};

#[tokio::test]
async fn a_pod_that_was_deleted_before_it_had_a_node_does_not_stay() {
    let cluster = Cluster::start().await;
    cluster.create::<Node>(json!({"metadata": {"name": "n1"}})).await;
    cluster.create::<Pod>(json!({"metadata": {"name": "placed"}, "spec": pod_spec()})).await;
    // As an older server left it: with a grace that nobody will end.
    let held = json!({"name": "left", "finalizers": ["example.com/hold"]});
    cluster.create::<Pod>(json!({"metadata": held, "spec": pod_spec()})).await;
    cluster.delete::<Pod>("left", "Background").await;
    let failed = |pod: Option<&Pod>| {
        pod.is_some_and(|pod| pod.status.as_ref().unwrap().phase.as_deref() == Some("Failed"))
    };
    cluster.until::<Pod>("left", failed).await;
    cluster.patch::<Pod>("left", json!({"metadata": {"finalizers": null}})).await;
    cluster.gone::<Pod>("left").await;
    assert!(cluster.client.get::<Pod>(&Key::new("shop", "placed")).await.is_ok());
}
