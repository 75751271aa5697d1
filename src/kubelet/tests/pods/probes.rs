//! Probes and hooks.

use client::{ListOptions, Path};
use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::json;

use crate::node::{Ground, condition, container, is_ready};

crate::tests![
    readiness_turns_both_ways,
    who_does_not_live_is_restarted,
    who_ends_is_no_longer_ready_and_no_longer_judged,
    hooks_run,
];

async fn readiness_turns_both_ways(ground: &Ground) {
    let agent = ground.agent().await;
    let script = "mkdir /www; echo ok > /www/up; httpd -f -p 8080 -h /www";
    let pod = ground
        .pod("web", script, |spec| {
            spec["terminationGracePeriodSeconds"] = 1.into();
            spec["containers"][0]["ports"] = json!([{"name": "http", "containerPort": 8080}]);
            spec["containers"][0]["readinessProbe"] =
                json!({"httpGet": {"path": "/up", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 60});
            spec["containers"][0]["livenessProbe"] = json!({"tcpSocket": {"port": 8080}, "initialDelaySeconds": 1, "failureThreshold": 1000});
        })
        .await;
    let ready = ground.until("web", is_ready).await;
    assert_eq!(container(&ready, "app").unwrap().restart_count, 0);
    // The page is taken away behind its back.
    let uid = pod.metadata.uid.as_ref().unwrap();
    let page = ground.path().join(format!("images/containers/{uid}_app_0/root/www/up"));
    std::fs::remove_file(page).unwrap();
    let unready = ground.until("web", |pod| !is_ready(pod)).await;
    assert_eq!(condition(&unready, "ContainersReady"), "False");
    // Among others, perhaps: a slow server is not there at once.
    let gone = "Readiness probe failed: HTTP probe failed with statuscode: 404";
    ground.event_that("web", "Unhealthy", |message| message == gone).await;
    ground.delete("web").await;
    ground.gone("web").await;
    agent.stop().await;
}

async fn who_does_not_live_is_restarted(ground: &Ground) {
    let agent = ground.agent().await;
    let script = "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done";
    ground
        .pod("web", script, |spec| {
            spec["containers"][0]["livenessProbe"] =
                json!({"exec": {"command": ["sh", "-c", "echo not well; exit 1"]}, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 60});
        })
        .await;
    let pod = ground.until("web", |pod| container(pod, "app").is_some_and(|app| app.restart_count > 0)).await;
    assert!(container(&pod, "app").unwrap().last_state.as_ref().unwrap().terminated.is_some());
    assert_eq!(ground.event("web", "Unhealthy").await, "Liveness probe failed: not well\n");
    assert_eq!(
        ground.event("web", "Killing").await,
        "Container app failed liveness probe, will be restarted"
    );
    ground.delete("web").await;
    ground.gone("web").await;
    agent.stop().await;
}

async fn who_ends_is_no_longer_ready_and_no_longer_judged(ground: &Ground) {
    let agent = ground.agent().await;
    let script = "trap 'touch /tmp/ending; until test -f /tmp/enough; do sleep 0.1; done; exit 0' TERM; echo begun; while :; do sleep 1000 & wait; done";
    let command = json!(["test", "!", "-f", "/tmp/ending"]);
    let probe = json!({"exec": {"command": command}, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 60});
    let pod = ground
        .pod("web", script, |spec| {
            spec["terminationGracePeriodSeconds"] = 3600.into();
            spec["containers"][0]["readinessProbe"] = probe.clone();
            spec["containers"][0]["livenessProbe"] = probe;
        })
        .await;
    ground.said(&pod, 0, "begun").await;
    ground.until("web", is_ready).await;
    ground.delete("web").await;
    let unready = ground.until("web", |pod| !is_ready(pod)).await;
    assert!(container(&unready, "app").unwrap().state.as_ref().unwrap().running.is_some());
    assert_eq!(ground.event("web", "Killing").await, "Stopping container app");
    assert_eq!(ground.event("web", "Unhealthy").await, "Readiness probe failed: ");
    let uid = pod.metadata.uid.as_ref().unwrap();
    std::fs::write(ground.path().join(format!("images/containers/{uid}_app_0/root/tmp/enough")), "").unwrap();
    ground.gone("web").await;
    let events = ground.client.list::<Event>(&Path::all::<Event>(), &ListOptions::default()).await.unwrap();
    let messages: Vec<String> = events.items.into_iter().filter_map(|event| event.message).collect();
    assert!(!messages.iter().any(|message| message.starts_with("Liveness")), "{messages:?}");
    agent.stop().await;
}

async fn hooks_run(ground: &Ground) {
    let agent = ground.agent().await;
    let script = "trap 'cat /tmp/after /tmp/before > /dev/termination-log; exit 0' TERM; echo begun; while :; do sleep 1000 & wait; done";
    let pod = ground
        .pod("web", script, |spec| {
            spec["containers"][0]["lifecycle"] = json!({
                "postStart": {"exec": {"command": ["sh", "-c", "echo after > /tmp/after"]}},
                "preStop": {"exec": {"command": ["sh", "-c", "echo before > /tmp/before"]}},
            });
        })
        .await;
    ground.until("web", is_ready).await;
    ground.said(&pod, 0, "begun").await;
    let ended = |pod: &Pod| container(pod, "app").and_then(|app| app.state.as_ref()?.terminated.clone());
    let last = ground.delete_until("web", |pod| ended(pod).is_some()).await;
    assert_eq!(ended(&last).unwrap().message.as_deref(), Some("after\nbefore\n"));
    ground.gone("web").await;
    agent.stop().await;
}
