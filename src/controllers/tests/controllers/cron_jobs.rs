//! Jobs that begin by the clock.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::json;

use crate::cluster::{Cluster, names};

#[tokio::test]
async fn a_cron_job_that_is_due_begins_a_job_and_forgets_old_ones() {
    let cluster = Cluster::start().await;
    let container = json!({"name": "work", "image": "work:1"});
    let pod = json!({"spec": {"restartPolicy": "Never", "containers": [container]}});
    let spec = json!({"schedule": "@every 1s", "concurrencyPolicy": "Forbid", "successfulJobsHistoryLimit": 0,
        "jobTemplate": {"spec": {"template": pod}}});
    cluster.create::<CronJob>(json!({"metadata": {"name": "tick"}, "spec": spec})).await;
    let jobs = cluster.until_all::<Job>(|jobs| jobs.len() == 1).await;
    let name = names(&jobs)[0].to_string();
    cluster
        .until::<CronJob>("tick", |cron| {
            let status = cron.unwrap().status.as_ref();
            status
                .is_some_and(|it| it.active.iter().flatten().count() == 1 && it.last_schedule_time.is_some())
        })
        .await;
    let pods = cluster.until_all::<Pod>(|pods| pods.len() == 1).await;
    cluster.patch::<CronJob>("tick", json!({"spec": {"suspend": true}})).await;
    cluster.set_status::<Pod>(names(&pods)[0], json!({"phase": "Succeeded"})).await;
    cluster.gone::<Job>(&name).await;
    let done = |cron: Option<&CronJob>| {
        let status = cron.unwrap().status.as_ref().unwrap();
        status.active.is_none() && status.last_successful_time.is_some()
    };
    cluster.until::<CronJob>("tick", done).await;
}

#[tokio::test]
async fn a_cron_job_is_looked_at_when_the_clock_is_set() {
    let cluster = Cluster::start().await;
    let pod =
        json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "work", "image": "work:1"}]}});
    // Idle until next year, but for what it tells at each look: a Job of its own that it did not make.
    let template = json!({"spec": {"template": pod}});
    let spec = json!({"schedule": "0 0 1 1 *", "jobTemplate": template});
    cluster.create::<CronJob>(json!({"metadata": {"name": "yearly"}, "spec": spec})).await;
    let cron = cluster.until::<CronJob>("yearly", |cron| cron.is_some()).await.unwrap();
    let owner = json!({"apiVersion": "batch/v1", "kind": "CronJob", "name": "yearly",
        "uid": cron.metadata.uid, "controller": true});
    let metadata = json!({"name": "strange", "ownerReferences": [owner]});
    // Nobody else touches it.
    let spec = json!({"managedBy": "example.com/nobody", "template": pod});
    cluster.create::<Job>(json!({"metadata": metadata, "spec": spec})).await;
    let told = |times: i32| {
        move |events: &[Arc<Event>]| {
            let mut strange = events.iter().filter(|event| event.reason.as_deref() == Some("UnexpectedJob"));
            strange.any(|event| event.count >= Some(times))
        }
    };
    cluster.until_all::<Event>(told(1)).await;
    if task::set_clock_for_test() {
        cluster.until_all::<Event>(told(2)).await;
    }
}
