//! What nodes get, what is said of them, and which pods leave them.

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

use crate::cluster::{Cluster, pod_spec};

fn taints(node: &Node) -> Vec<String> {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.map(|taint| format!("{}:{}", taint.key, taint.effect)).collect()
}

fn ready(status: &str) -> Value {
    let now = k8s_openapi::jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({"conditions": [{"type": "Ready", "status": status, "reason": "KubeletReady", "message": "",
        "lastHeartbeatTime": now, "lastTransitionTime": now}]})
}

#[tokio::test]
async fn every_node_has_its_own_part_of_the_pod_network() {
    let cluster = Cluster::start().await;
    for name in ["a", "b", "c"] {
        cluster.create::<Node>(json!({"metadata": {"name": name}})).await;
    }
    let part = |node: &Node| node.spec.as_ref().and_then(|spec| spec.pod_cidr.clone());
    let nodes =
        cluster.until_all::<Node>(|all| all.len() == 3 && all.iter().all(|node| part(node).is_some())).await;
    let mut parts: Vec<String> = nodes.iter().filter_map(|node| part(node)).collect();
    parts.sort();
    assert_eq!(parts, ["10.42.0.0/24", "10.42.1.0/24", "10.42.2.0/24"]);
    cluster.delete::<Node>("b", "Background").await;
    cluster.gone::<Node>("b").await;
    cluster.create::<Node>(json!({"metadata": {"name": "d"}})).await;
    let new = cluster.until::<Node>("d", |node| node.and_then(part).is_some()).await.unwrap();
    assert_eq!(part(&new).as_deref(), Some("10.42.3.0/24"), "what was just freed rests");
}

#[tokio::test]
async fn a_node_is_tainted_as_its_conditions_say() {
    let cluster = Cluster::start().await;
    let made = cluster.create::<Node>(json!({"metadata": {"name": "a"}})).await;
    assert_eq!(taints(&made), ["node.kubernetes.io/not-ready:NoSchedule"]);
    cluster.set_status::<Node>("a", ready("True")).await;
    cluster.until::<Node>("a", |node| node.is_some_and(|node| taints(node).is_empty())).await;
    cluster.patch::<Node>("a", json!({"spec": {"unschedulable": true}})).await;
    let cordoned = ["node.kubernetes.io/unschedulable:NoSchedule"];
    cluster.until::<Node>("a", |node| node.is_some_and(|node| taints(node) == cordoned)).await;
    cluster.patch::<Node>("a", json!({"spec": {"unschedulable": null}})).await;
    cluster.set_status::<Node>("a", ready("False")).await;
    let sick = ["node.kubernetes.io/not-ready:NoSchedule"];
    cluster.until::<Node>("a", |node| node.is_some_and(|node| taints(node) == sick)).await;
}

#[tokio::test]
async fn pods_that_do_not_tolerate_what_becomes_of_their_node_go() {
    let cluster = Cluster::start().await;
    cluster.create::<Node>(json!({"metadata": {"name": "a"}})).await;
    let pod = |name: &str, tolerations: Value| {
        let mut spec = pod_spec();
        spec["nodeName"] = "a".into();
        spec["tolerations"] = tolerations;
        json!({"metadata": {"name": name}, "spec": spec})
    };
    let tolerate = |seconds: Option<i64>| json!([{"key": "maintenance", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}]);
    cluster.create::<Pod>(pod("fragile", json!([]))).await;
    cluster.create::<Pod>(pod("patient", tolerate(Some(1)))).await;
    cluster.create::<Pod>(pod("tough", tolerate(None))).await;
    let taint = json!({"spec": {"taints": [{"key": "maintenance", "effect": "NoExecute"}]}});
    cluster.patch::<Node>("a", taint).await;
    for name in ["fragile", "patient"] {
        let going = |pod: Option<&Pod>| pod.is_some_and(|pod| pod.metadata.deletion_timestamp.is_some());
        let going = cluster.until::<Pod>(name, going).await.unwrap();
        let conditions = going.status.as_ref().unwrap().conditions.as_ref().unwrap();
        let said = conditions.iter().find(|condition| condition.type_ == "DisruptionTarget").unwrap();
        assert_eq!(said.reason.as_deref(), Some("DeletionByTaintManager"));
    }
    let tough = cluster.until::<Pod>("tough", |pod| pod.is_some()).await.unwrap();
    assert_eq!(tough.metadata.deletion_timestamp, None);
}
