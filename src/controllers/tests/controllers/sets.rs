//! StatefulSets, how many of their pods may be disrupted, and ReplicationControllers.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ReplicationController};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::{Value, json};

use crate::cluster::{Cluster, is_ready, names, pod_spec};

async fn stateful_set(cluster: &Cluster, mut spec: Value) {
    let labels = json!({"app": "db"});
    spec["selector"] = json!({"matchLabels": labels});
    spec["serviceName"] = "db".into();
    spec["template"] = json!({"metadata": {"labels": labels}, "spec": pod_spec()});
    let claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    spec["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": claim}]);
    cluster.create::<StatefulSet>(json!({"metadata": {"name": "db"}, "spec": spec})).await;
}

/// Waits for the pods of these names, and runs those that do not run yet.
async fn run(cluster: &Cluster, wanted: &[&str]) -> Vec<Arc<Pod>> {
    let pods = cluster.until_all::<Pod>(|pods| names(pods) == wanted).await;
    for pod in pods.iter().filter(|pod| !is_ready(pod)) {
        cluster.run_pod(pod.metadata.name.as_deref().unwrap(), "10.42.0.9").await;
    }
    pods
}

fn counts(set: Option<&StatefulSet>) -> Option<(i32, i32, i32)> {
    let status = set?.status.as_ref()?;
    let count = Option::unwrap_or_default;
    Some((status.replicas, count(status.ready_replicas), count(status.updated_replicas)))
}

#[tokio::test]
async fn the_pods_of_a_stateful_set_keep_their_names_and_claims() {
    let cluster = Cluster::start().await;
    stateful_set(&cluster, json!({"replicas": 2})).await;
    let pods = run(&cluster, &["db-0"]).await;
    let spec = pods[0].spec.as_ref().unwrap();
    assert_eq!((spec.hostname.as_deref(), spec.subdomain.as_deref()), (Some("db-0"), Some("db")));
    run(&cluster, &["db-0", "db-1"]).await;
    let set = cluster.until::<StatefulSet>("db", |set| counts(set) == Some((2, 2, 2))).await.unwrap();
    let first = set.status.as_ref().unwrap().current_revision.clone();
    let claims = cluster.until_all::<PersistentVolumeClaim>(|claims| claims.len() == 2).await;
    assert_eq!(names(&claims), ["data-db-0", "data-db-1"]);

    let container = json!([{"name": "web", "image": "web:2"}]);
    let template = json!({"spec": {"template": {"spec": {"containers": container}}}});
    cluster.patch::<StatefulSet>("db", template).await;
    let is_new = |pod: &Arc<Pod>| pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some("web:2");
    cluster.until_all::<Pod>(|pods| pods.len() == 2 && is_new(&pods[1]) && !is_new(&pods[0])).await;
    run(&cluster, &["db-0", "db-1"]).await;
    cluster.until_all::<Pod>(|pods| pods.len() == 2 && pods.iter().all(is_new)).await;
    run(&cluster, &["db-0", "db-1"]).await;
    let set = cluster
        .until::<StatefulSet>("db", |set| {
            set.and_then(|set| set.status.as_ref()).is_some_and(|status| status.current_revision != first)
        })
        .await
        .unwrap();
    assert_eq!(counts(Some(&set)), Some((2, 2, 2)));
    cluster.until_all::<ControllerRevision>(|revisions| revisions.len() == 2).await;

    cluster.patch::<StatefulSet>("db", json!({"spec": {"replicas": 1}})).await;
    cluster.until_all::<Pod>(|pods| names(pods) == ["db-0"]).await;
    assert_eq!(cluster.until_all::<PersistentVolumeClaim>(|_| true).await.len(), 2, "the data stays");
}

#[tokio::test]
async fn a_replication_controller_keeps_its_pods_and_lets_go_of_what_it_does_not_select() {
    let cluster = Cluster::start().await;
    let labels = json!({"app": "db"});
    let orphan = json!({"metadata": {"name": "orphan", "labels": labels}, "spec": pod_spec()});
    cluster.create::<Pod>(orphan).await;
    let template = json!({"metadata": {"labels": labels}, "spec": pod_spec()});
    let spec = json!({"replicas": 2, "selector": labels, "template": template});
    cluster.create::<ReplicationController>(json!({"metadata": {"name": "db"}, "spec": spec})).await;
    let owned = |pod: &Pod| {
        let owners = pod.metadata.owner_references.iter().flatten();
        owners.into_iter().any(|owner| (&*owner.kind, &*owner.name) == ("ReplicationController", "db"))
    };
    let pods = cluster.until_all::<Pod>(|pods| pods.len() == 2 && pods.iter().all(|pod| owned(pod))).await;
    assert!(names(&pods).contains(&"orphan"), "adopted");
    for name in names(&pods) {
        cluster.run_pod(name, "10.42.0.9").await;
    }
    let ready = |wanted: (i32, i32)| {
        move |set: Option<&ReplicationController>| {
            set.and_then(|set| set.status.as_ref())
                .is_some_and(|status| (status.replicas, status.ready_replicas.unwrap_or_default()) == wanted)
        }
    };
    cluster.until::<ReplicationController>("db", ready((2, 2))).await;

    cluster.patch::<Pod>("orphan", json!({"metadata": {"labels": {"app": "other"}}})).await;
    cluster
        .until_all::<Pod>(|pods| pods.len() == 3 && pods.iter().filter(|pod| owned(pod)).count() == 2)
        .await;
    cluster.remove("orphan").await;

    cluster.patch::<ReplicationController>("db", json!({"spec": {"replicas": 1}})).await;
    cluster.until_all::<Pod>(|pods| pods.len() == 1).await;
    cluster.until::<ReplicationController>("db", ready((1, 1))).await;
    cluster.delete::<ReplicationController>("db", "Background").await;
    cluster.until_all::<Pod>(<[_]>::is_empty).await;
}

#[tokio::test]
async fn a_pod_that_was_ready_before_the_clock_was_set_is_not_available_for_that() {
    let cluster = Cluster::start().await;
    let labels = json!({"app": "web"});
    let template = json!({"metadata": {"labels": labels}, "spec": pod_spec()});
    let spec = json!({"minReadySeconds": 3600, "selector": {"matchLabels": labels}, "template": template});
    cluster.create::<ReplicaSet>(json!({"metadata": {"name": "web"}, "spec": spec})).await;
    let pods = cluster.until_all::<Pod>(|pods| pods.len() == 1).await;
    let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:00:09Z"});
    let status = json!({"phase": "Running", "conditions": [ready]});
    cluster.set_status::<Pod>(pods[0].metadata.name.as_deref().unwrap(), status).await;
    let counts = |set: &ReplicaSet| {
        let status = set.status.clone().unwrap_or_default();
        (status.ready_replicas.unwrap_or_default(), status.available_replicas.unwrap_or_default())
    };
    let set = cluster.until::<ReplicaSet>("web", |set| set.is_some_and(|set| counts(set).0 == 1)).await;
    assert_eq!(counts(&set.unwrap()), (1, 0));
}

#[tokio::test]
async fn a_budget_counts_what_may_be_disrupted() {
    let cluster = Cluster::start().await;
    stateful_set(&cluster, json!({"replicas": 2, "podManagementPolicy": "Parallel"})).await;
    let spec = json!({"maxUnavailable": 1, "selector": {"matchLabels": {"app": "db"}}});
    cluster.create::<PodDisruptionBudget>(json!({"metadata": {"name": "db"}, "spec": spec})).await;
    let allowed = |wanted: (i32, i32)| {
        move |budget: Option<&PodDisruptionBudget>| {
            budget.and_then(|budget| budget.status.as_ref()).is_some_and(|status| {
                (status.expected_pods, status.disruptions_allowed) == (Some(wanted.0), Some(wanted.1))
            })
        }
    };
    cluster.until::<PodDisruptionBudget>("db", allowed((2, 0))).await;
    run(&cluster, &["db-0", "db-1"]).await;
    cluster.until::<PodDisruptionBudget>("db", allowed((2, 1))).await;
}
