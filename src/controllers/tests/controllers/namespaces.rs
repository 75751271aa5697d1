//! What a namespace gets when it is made, and its end.

use client::Key;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use serde_json::json;

use crate::cluster::{Cluster, pod_spec};

#[tokio::test]
async fn every_namespace_has_an_account_and_the_ca() {
    let cluster = Cluster::start().await;
    let ca = |map: &ConfigMap| map.data.as_ref().is_some_and(|data| data["ca.crt"] == "THE CA");
    cluster.until::<ServiceAccount>("default", |account| account.is_some()).await;
    cluster.until::<ConfigMap>("kube-root-ca.crt", |map| map.is_some_and(ca)).await;

    let first = cluster.client.get::<ServiceAccount>(&Key::new("shop", "default")).await.unwrap();
    cluster.delete::<ServiceAccount>("default", "Background").await;
    let again = |account: &ServiceAccount| account.metadata.uid != first.metadata.uid;
    cluster.until::<ServiceAccount>("default", |account| account.is_some_and(again)).await;
    cluster.patch::<ConfigMap>("kube-root-ca.crt", json!({"data": {"ca.crt": "forged"}})).await;
    cluster.until::<ConfigMap>("kube-root-ca.crt", |map| map.is_some_and(ca)).await;
}

#[tokio::test]
async fn a_deleted_namespace_is_emptied_pods_first() {
    let cluster = Cluster::start().await;
    let held = json!({"name": "held", "finalizers": ["example.com/hold"]});
    cluster.create::<Pod>(json!({"metadata": held, "spec": pod_spec()})).await;
    cluster.create::<ConfigMap>(json!({"metadata": {"name": "page"}})).await;
    cluster.delete::<Namespace>("shop", "Background").await;
    let namespace = cluster
        .until::<Namespace>("shop", |namespace| {
            let status = namespace.and_then(|namespace| namespace.status.as_ref());
            status.is_some_and(|status| status.conditions.iter().flatten().count() == 5)
        })
        .await
        .unwrap();
    let conditions = namespace.status.as_ref().unwrap().conditions.as_ref().unwrap();
    assert_eq!(
        conditions[3].message.as_deref(),
        Some("Some resources are remaining: pods. has 1 resource instances")
    );
    assert_eq!(conditions[4].reason.as_deref(), Some("SomeFinalizersRemain"));
    cluster.client.get::<ConfigMap>(&Key::new("shop", "page")).await.expect("pods go first");

    cluster.patch::<Pod>("held", json!({"metadata": {"finalizers": null}})).await;
    cluster.gone::<ConfigMap>("page").await;
    cluster.gone::<Namespace>("shop").await;
}
