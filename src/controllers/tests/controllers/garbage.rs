//! What becomes of objects whose owners go, in each of the three ways to delete.

use std::sync::Arc;

use client::Object;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use serde_json::{Value, json};

use crate::cluster::{Cluster, pod_spec};

async fn deployment(cluster: &Cluster) -> Vec<Arc<Pod>> {
    let labels = json!({"app": "web"});
    let template = json!({"metadata": {"labels": labels}, "spec": pod_spec()});
    let spec = json!({"replicas": 2, "selector": {"matchLabels": labels}, "template": template});
    cluster.create::<Deployment>(json!({"metadata": {"name": "web"}, "spec": spec})).await;
    cluster.until_all::<Pod>(|pods| pods.len() == 2).await
}

fn owned_by<K: Object>(owner: &K, name: &str, blocks: bool) -> Value {
    let metadata = owner.metadata();
    let reference = json!({"apiVersion": K::API_VERSION, "kind": K::KIND, "name": metadata.name,
        "uid": metadata.uid, "blockOwnerDeletion": blocks});
    json!({"metadata": {"name": name, "ownerReferences": [reference]}})
}

#[tokio::test]
async fn what_is_owned_goes_with_its_owner() {
    let cluster = Cluster::start().await;
    deployment(&cluster).await;
    cluster.delete::<Deployment>("web", "Background").await;
    cluster.until_all::<ReplicaSet>(<[_]>::is_empty).await;
    cluster.until_all::<Pod>(<[_]>::is_empty).await;
}

#[tokio::test]
async fn orphans_stay() {
    let cluster = Cluster::start().await;
    let pods = deployment(&cluster).await;
    cluster.delete::<Deployment>("web", "Orphan").await;
    cluster.gone::<Deployment>("web").await;
    let free = |set: &Arc<ReplicaSet>| set.metadata.owner_references.iter().flatten().count() == 0;
    cluster.until_all::<ReplicaSet>(|sets| sets.len() == 1 && sets.iter().all(free)).await;
    let kept = cluster.until_all::<Pod>(|_| true).await;
    assert_eq!(
        kept.iter().map(|pod| &pod.metadata.uid).collect::<Vec<_>>(),
        pods.iter().map(|pod| &pod.metadata.uid).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn in_the_foreground_the_owner_goes_last() {
    let cluster = Cluster::start().await;
    let owner = cluster.create::<ConfigMap>(json!({"metadata": {"name": "owner"}})).await;
    let mut blocking = owned_by(&owner, "blocking", true);
    blocking["metadata"]["finalizers"] = json!(["example.com/hold"]);
    cluster.create::<ConfigMap>(blocking).await;
    cluster.create::<ConfigMap>(owned_by(&owner, "other", false)).await;
    cluster.delete::<ConfigMap>("owner", "Foreground").await;
    cluster.gone::<ConfigMap>("other").await;
    cluster
        .until::<ConfigMap>("blocking", |it| it.is_some_and(|it| it.metadata.deletion_timestamp.is_some()))
        .await;
    assert!(cluster.until::<ConfigMap>("owner", |_| true).await.is_some(), "it waits for what blocks it");
    cluster.patch::<ConfigMap>("blocking", json!({"metadata": {"finalizers": null}})).await;
    cluster.gone::<ConfigMap>("owner").await;
}

#[tokio::test]
async fn an_owner_that_is_not_there_owns_nothing_for_long() {
    let cluster = Cluster::start().await;
    let there = cluster.create::<ConfigMap>(json!({"metadata": {"name": "there"}})).await;
    let mut other = there.clone();
    other.metadata.uid = Some("another".into());
    cluster.create::<ConfigMap>(owned_by(&other, "stray", false)).await;
    cluster.gone::<ConfigMap>("stray").await;

    let mut both = owned_by(&there, "both", false);
    let absent = owned_by(&other, "", false)["metadata"]["ownerReferences"][0].clone();
    both["metadata"]["ownerReferences"].as_array_mut().unwrap().push(absent);
    cluster.create::<ConfigMap>(both).await;
    let owners = |it: &ConfigMap| it.metadata.owner_references.iter().flatten().count();
    cluster.until::<ConfigMap>("both", |it| it.is_some_and(|it| owners(it) == 1)).await;
}
