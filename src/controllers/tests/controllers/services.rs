//! Who is behind a Service, in both forms of the API.

use k8s_openapi::api::core::v1::{Endpoints, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::json;

use crate::cluster::{Cluster, pod_spec};

async fn pod(cluster: &Cluster, name: &str) {
    let mut spec = pod_spec();
    spec["nodeName"] = "n1".into();
    cluster.create::<Pod>(json!({"metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec})).await;
}

/// The addresses of the one slice there is, and whether each is ready; none unless there is one slice.
fn endpoints(slices: &[std::sync::Arc<EndpointSlice>]) -> Option<Vec<(String, bool)>> {
    let [slice] = slices else { return None };
    let one = |endpoint: &k8s_openapi::api::discovery::v1::Endpoint| {
        (endpoint.addresses[0].clone(), endpoint.conditions.as_ref().unwrap().ready.unwrap())
    };
    Some(slice.endpoints.iter().flatten().map(one).collect())
}

#[tokio::test]
async fn endpoints_follow_the_pods_of_a_service() {
    let cluster = Cluster::start().await;
    let zone = json!({"topology.kubernetes.io/zone": "attic"});
    cluster.create::<Node>(json!({"metadata": {"name": "n1", "labels": zone}})).await;
    let spec = json!({"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]});
    cluster.create::<Service>(json!({"metadata": {"name": "web"}, "spec": spec})).await;
    cluster.until_all::<EndpointSlice>(|all| endpoints(all) == Some(vec![])).await;
    pod(&cluster, "a").await;
    cluster.run_pod("a", "10.42.0.7").await;
    let slices = cluster
        .until_all::<EndpointSlice>(|all| endpoints(all) == Some(vec![("10.42.0.7".into(), true)]))
        .await;
    let endpoint = &slices[0].endpoints.as_ref().unwrap()[0];
    assert_eq!((endpoint.zone.as_deref(), endpoint.node_name.as_deref()), (Some("attic"), Some("n1")));
    assert_eq!(slices[0].ports.as_ref().unwrap()[0].port, Some(8080));
    let labels = slices[0].metadata.labels.as_ref().unwrap();
    assert_eq!(labels["endpointslice.kubernetes.io/managed-by"], "endpointslice-controller.k8s.io");
    assert!(
        slices[0]
            .metadata
            .annotations
            .as_ref()
            .unwrap()
            .contains_key("endpoints.kubernetes.io/last-change-trigger-time")
    );
    cluster
        .until::<Endpoints>("web", |it| {
            it.and_then(|it| it.subsets.as_ref()).is_some_and(|subsets| {
                subsets[0].addresses.as_ref().is_some_and(|addresses| addresses[0].ip == "10.42.0.7")
            })
        })
        .await;

    cluster.set_status::<Pod>("a", json!({"conditions": [{"type": "Ready", "status": "False"}]})).await;
    cluster.until_all::<EndpointSlice>(|all| endpoints(all) == Some(vec![("10.42.0.7".into(), false)])).await;
    cluster.remove("a").await;
    cluster.until_all::<EndpointSlice>(|all| endpoints(all) == Some(vec![])).await;
    cluster.delete::<Service>("web", "Background").await;
    cluster.gone::<Endpoints>("web").await;
}

#[tokio::test]
async fn endpoints_that_a_person_writes_are_mirrored() {
    let cluster = Cluster::start().await;
    let one = |ip: &str| vec![(ip.to_owned(), true)];
    let subsets = |ip: &str| json!({"subsets": [{"addresses": [{"ip": ip}], "ports": [{"port": 80}]}]});
    let spec = json!({"clusterIP": "None", "ports": [{"port": 80}]});
    cluster.create::<Service>(json!({"metadata": {"name": "db"}, "spec": spec})).await;
    let mut written = subsets("10.1.2.3");
    written["metadata"] = json!({"name": "db"});
    cluster.create::<Endpoints>(written).await;
    let slices = cluster.until_all::<EndpointSlice>(|all| endpoints(all) == Some(one("10.1.2.3"))).await;
    assert_eq!(slices[0].ports.as_ref().unwrap()[0].port, Some(80));
    let labels = slices[0].metadata.labels.as_ref().unwrap();
    assert_eq!(labels["endpointslice.kubernetes.io/managed-by"], "endpointslicemirroring-controller.k8s.io");
    assert_eq!(labels["kubernetes.io/service-name"], "db");
    cluster.patch::<Endpoints>("db", subsets("10.2.3.4")).await;
    cluster.until_all::<EndpointSlice>(|all| endpoints(all) == Some(one("10.2.3.4"))).await;
    let alone = json!({"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}});
    cluster.patch::<Endpoints>("db", alone).await;
    cluster.until_all::<EndpointSlice>(<[_]>::is_empty).await;
    let again = json!({"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": null}}});
    cluster.patch::<Endpoints>("db", again).await;
    cluster.until_all::<EndpointSlice>(|all| endpoints(all) == Some(one("10.2.3.4"))).await;
    cluster.delete::<Endpoints>("db", "Background").await;
    cluster.until_all::<EndpointSlice>(<[_]>::is_empty).await;
}
