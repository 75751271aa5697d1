//! Jobs to their end, good or bad.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::{Value, json};

use crate::cluster::Cluster;

async fn job(cluster: &Cluster, mut spec: Value) {
    let container = json!({"name": "work", "image": "work:1"});
    spec["template"] = json!({"spec": {"restartPolicy": "Never", "containers": [container]}});
    cluster.create::<Job>(json!({"metadata": {"name": "work"}, "spec": spec})).await;
}

fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap()
}

fn running(pods: &[Arc<Pod>]) -> Vec<&Arc<Pod>> {
    let phase = |pod: &Pod| pod.status.as_ref().unwrap().phase.clone().unwrap();
    pods.iter().filter(|pod| phase(pod) == "Pending").collect()
}

/// Long ago, so that nobody has to wait for another try.
async fn end(cluster: &Cluster, pod: &Pod, phase: &str, code: i32) {
    let terminated = json!({"exitCode": code, "finishedAt": "2026-01-02T00:00:00Z"});
    let status = json!({"name": "work", "image": "work:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": terminated}});
    cluster.set_status::<Pod>(name(pod), json!({"phase": phase, "containerStatuses": [status]})).await;
}

/// Type and reason of each condition that holds.
fn conditions(job: &Job) -> Vec<(String, String)> {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let holding = conditions.filter(|condition| condition.status == "True");
    holding.map(|it| (it.type_.clone(), it.reason.clone().unwrap_or_default())).collect()
}

fn says(job: Option<&Job>, wanted: &[(&str, &str)]) -> bool {
    let wanted: Vec<_> = wanted.iter().map(|(kind, reason)| ((*kind).into(), (*reason).into())).collect();
    job.is_some_and(|job| conditions(job) == wanted)
}

#[tokio::test]
async fn a_job_that_fails_twice_and_then_succeeds_is_complete() {
    let cluster = Cluster::start().await;
    job(&cluster, json!({})).await;
    for failures in 0..3 {
        let pods =
            cluster.until_all::<Pod>(|pods| pods.len() == failures + 1 && running(pods).len() == 1).await;
        let pod = running(&pods)[0];
        assert_eq!(pod.metadata.labels.as_ref().unwrap()["batch.kubernetes.io/job-name"], "work");
        let phase = if failures < 2 { "Failed" } else { "Succeeded" };
        end(&cluster, pod, phase, i32::from(failures < 2)).await;
    }
    let reached = "CompletionsReached";
    let job = cluster
        .until::<Job>("work", |job| says(job, &[("SuccessCriteriaMet", reached), ("Complete", reached)]))
        .await
        .unwrap();
    let status = job.status.as_ref().unwrap();
    assert_eq!((status.succeeded, status.failed, status.active), (Some(1), Some(2), None));
    assert!(status.completion_time.is_some() && status.start_time.is_some());
    cluster.until_all::<Event>(|all| all.iter().any(|it| it.reason.as_deref() == Some("Completed"))).await;
    let pods = cluster.until_all::<Pod>(|_| true).await;
    assert!(pods.iter().all(|pod| pod.metadata.finalizers.is_none()), "all are counted and free");

    cluster.delete::<Job>("work", "Background").await;
    cluster.until_all::<Pod>(<[_]>::is_empty).await;
}

#[tokio::test]
async fn too_many_failures_end_a_job_and_stop_what_runs() {
    let cluster = Cluster::start().await;
    job(&cluster, json!({"parallelism": 2, "completions": 4, "backoffLimit": 0})).await;
    let pods = cluster.until_all::<Pod>(|pods| pods.len() == 2).await;
    end(&cluster, &pods[0], "Failed", 1).await;
    let reason = "BackoffLimitExceeded";
    let job = cluster
        .until::<Job>("work", |job| says(job, &[("FailureTarget", reason), ("Failed", reason)]))
        .await
        .unwrap();
    assert_eq!(job.status.as_ref().unwrap().failed, Some(2));
    let left = cluster.until_all::<Pod>(|pods| pods.len() == 1).await;
    assert_eq!(name(&left[0]), name(&pods[0]), "what failed stays to be looked at");
}

#[tokio::test]
async fn an_indexed_job_does_every_index_once() {
    let cluster = Cluster::start().await;
    job(&cluster, json!({"parallelism": 2, "completions": 3, "completionMode": "Indexed"})).await;
    let index = |pod: &Pod| {
        pod.metadata.annotations.as_ref().unwrap()["batch.kubernetes.io/job-completion-index"].clone()
    };
    for round in 0..3 {
        let open = (3 - round).min(2);
        let pods =
            cluster.until_all::<Pod>(|pods| pods.len() == round + open && running(pods).len() == open).await;
        let pod = running(&pods).into_iter().min_by_key(|pod| index(pod)).unwrap();
        assert_eq!(index(pod), round.to_string());
        assert_eq!(pod.spec.as_ref().unwrap().hostname, Some(format!("work-{round}")));
        end(&cluster, pod, "Succeeded", 0).await;
    }
    let done =
        |job: &Job| job.status.as_ref().and_then(|it| it.completed_indexes.clone()) == Some("0-2".into());
    cluster.until::<Job>("work", |job| job.is_some_and(|job| done(job) && conditions(job).len() == 2)).await;
}

#[tokio::test]
async fn a_pod_that_matches_is_adopted_and_counted() {
    let cluster = Cluster::start().await;
    let labels = json!({"work": "mine"});
    let container = json!({"name": "work", "image": "work:1"});
    let pod = json!({"restartPolicy": "Never", "containers": [container]});
    cluster.create::<Pod>(json!({"metadata": {"name": "old", "labels": labels}, "spec": pod})).await;
    cluster.set_status::<Pod>("old", json!({"phase": "Succeeded"})).await;
    let template = json!({"metadata": {"labels": labels}, "spec": pod});
    let spec = json!({"manualSelector": true, "selector": {"matchLabels": labels}, "template": template});
    cluster.create::<Job>(json!({"metadata": {"name": "work"}, "spec": spec})).await;
    cluster.until::<Job>("work", |job| job.is_some_and(|job| conditions(job).len() == 2)).await;
    let pods = cluster.until_all::<Pod>(|_| true).await;
    assert_eq!(name(&pods[0]), "old", "nothing was left to do");
}

#[tokio::test]
async fn a_suspended_job_gives_its_pods_back() {
    let cluster = Cluster::start().await;
    job(&cluster, json!({"ttlSecondsAfterFinished": 0})).await;
    cluster.until_all::<Pod>(|pods| pods.len() == 1).await;
    cluster.patch::<Job>("work", json!({"spec": {"suspend": true}})).await;
    cluster.until_all::<Pod>(<[_]>::is_empty).await;
    let job = cluster.until::<Job>("work", |job| says(job, &[("Suspended", "JobSuspended")])).await.unwrap();
    assert_eq!(job.status.as_ref().unwrap().failed, None, "they did not fail");
    cluster.patch::<Job>("work", json!({"spec": {"suspend": false}})).await;
    let pods = cluster.until_all::<Pod>(|pods| pods.len() == 1).await;
    end(&cluster, &pods[0], "Succeeded", 0).await;
    cluster.gone::<Job>("work").await;
}
