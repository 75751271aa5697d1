//! The agent ends and comes back; the machine too.

use k8s_openapi::api::core::v1::Pod;

use crate::node::{Ground, container, is_ready, phase, until};

crate::tests![
    pods_outlive_the_agent,
    what_ended_meanwhile_is_noticed,
    what_was_deleted_meanwhile_is_removed,
    who_cannot_be_taken_over_is_made_anew,
    addresses_are_taken_back_when_the_network_opens_late,
    pods_return_after_a_cold_boot,
    pods_return_without_a_server,
];

const FOREVER: &str = "trap 'exit 0' TERM; echo begun; while :; do sleep 1000 & wait; done";

fn started(pod: &Pod) -> Option<String> {
    let running = container(pod, "app")?.state.as_ref()?.running.as_ref()?;
    Some(running.started_at.as_ref()?.0.to_string())
}

async fn pods_outlive_the_agent(ground: &Ground) {
    let agent = ground.agent().await;
    ground.pod("web", FOREVER, |_| {}).await;
    let before = ground.until("web", is_ready).await;
    agent.stop().await;
    let agent = ground.agent().await;
    ground.pod("other", FOREVER, |_| {}).await;
    ground.until("other", is_ready).await;
    let after = ground.until("web", is_ready).await;
    ground.said(&after, 0, "begun").await;
    assert_eq!(
        (started(&after), after.status.as_ref().unwrap().pod_ip.clone()),
        (started(&before), before.status.as_ref().unwrap().pod_ip.clone())
    );
    assert_eq!(container(&after, "app").unwrap().restart_count, 0);
    for name in ["web", "other"] {
        ground.delete(name).await;
        ground.gone(name).await;
    }
    ground.cleared().await;
    agent.stop().await;
}

async fn what_ended_meanwhile_is_noticed(ground: &Ground) {
    let agent = ground.agent().await;
    // Ends when its file goes.
    let pod = ground
        .pod(
            "web",
            "touch /tmp/stay; echo begun; while test -f /tmp/stay; do sleep 0.05; done; exit 5",
            |spec| {
                spec["restartPolicy"] = "Never".into();
            },
        )
        .await;
    ground.until("web", is_ready).await;
    ground.said(&pod, 0, "begun").await;
    agent.stop().await;
    let uid = pod.metadata.uid.as_ref().unwrap();
    std::fs::remove_file(ground.path().join(format!("images/containers/{uid}_app_0/root/tmp/stay"))).unwrap();
    let agent = ground.agent().await;
    let failed = ground.until("web", |pod| phase(pod) == "Failed").await;
    let end = container(&failed, "app").unwrap().state.as_ref().unwrap().terminated.clone().unwrap();
    assert_eq!(end.exit_code, 5);
    agent.stop().await;
}

async fn what_was_deleted_meanwhile_is_removed(ground: &Ground) {
    let agent = ground.agent().await;
    ground.pod("web", FOREVER, |_| {}).await;
    ground.pod("forced", FOREVER, |_| {}).await;
    ground.until("web", is_ready).await;
    ground.until("forced", is_ready).await;
    agent.stop().await;
    ground.delete("web").await;
    let now = client::DeleteOptions { grace_period_seconds: Some(0), ..client::DeleteOptions::default() };
    ground.client.delete::<Pod>(&client::Key::new("shop", "forced"), &now).await.unwrap();
    let agent = ground.agent().await;
    ground.gone("web").await;
    ground.cleared().await;
    agent.stop().await;
}

async fn who_cannot_be_taken_over_is_made_anew(ground: &Ground) {
    let agent = ground.agent().await;
    let pod = ground.pod("web", FOREVER, |_| {}).await;
    ground.until("web", is_ready).await;
    agent.stop().await;
    let file = ground.path().join("sandboxes").join(pod.metadata.uid.as_ref().unwrap()).join("pod.json");
    // As another version could have written it.
    let text = std::fs::read_to_string(&file).unwrap().replace("\"boot\"", "\"start\"");
    std::fs::write(&file, text).unwrap();
    let agent = ground.agent().await;
    let again = |pod: &Pod| is_ready(pod) && container(pod, "app").is_some_and(|app| app.restart_count == 1);
    ground.until("web", again).await;
    ground.delete("web").await;
    ground.gone("web").await;
    ground.cleared().await;
    agent.stop().await;
}

async fn addresses_are_taken_back_when_the_network_opens_late(ground: &Ground) {
    let agent = ground.agent().await;
    for name in ["web", "forced", "stays"] {
        ground.pod(name, FOREVER, |_| {}).await;
        ground.until(name, is_ready).await;
    }
    agent.stop().await;
    ground.delete("web").await;
    let now = client::DeleteOptions { grace_period_seconds: Some(0), ..client::DeleteOptions::default() };
    ground.client.delete::<Pod>(&client::Key::new("shop", "forced"), &now).await.unwrap();
    let agent = ground.agent_without_network(ground.client.clone());
    // Both kinds are cleared away while there is no network: one that ends, and one that nobody knows.
    ground.gone("web").await;
    let sandboxes = || std::fs::read_dir(ground.path().join("sandboxes")).unwrap().count();
    until(|| sandboxes() == 1).await;
    agent.open(ground.network().await);
    let addresses = || {
        let files = std::fs::read_dir(ground.path().join("addresses")).unwrap();
        files.filter(|file| !file.as_ref().unwrap().file_name().to_string_lossy().starts_with('.')).count()
    };
    until(|| addresses() == 1).await;
    ground.delete("stays").await;
    ground.gone("stays").await;
    until(|| addresses() == 0).await;
    agent.stop().await;
}

/// What the machine loses when it is switched off: processes, namespaces, mounts.
async fn power_off(ground: &Ground) {
    let (pods, _) = oci::Pods::open(ground.path().join("sandboxes")).unwrap().adopt().await.unwrap();
    for pod in pods {
        pod.remove().await.unwrap();
    }
    std::fs::remove_dir_all(ground.path().join("run")).unwrap();
}

async fn pods_return_after_a_cold_boot(ground: &Ground) {
    let agent = ground.agent().await;
    ground.pod("web", FOREVER, |_| {}).await;
    ground
        .pod("job", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done", |spec| {
            spec["restartPolicy"] = "Never".into();
        })
        .await;
    ground.until("web", is_ready).await;
    ground.until("job", is_ready).await;
    agent.stop().await;
    power_off(ground).await;
    let agent = ground.agent().await;
    let again = |pod: &Pod| is_ready(pod) && container(pod, "app").is_some_and(|app| app.restart_count == 1);
    let pod = ground.until("web", again).await;
    let last = container(&pod, "app").unwrap().last_state.as_ref().unwrap().terminated.clone().unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (255, Some("Unknown")));
    ground.until("job", |pod| phase(pod) == "Failed").await;
    ground.delete("web").await;
    ground.gone("web").await;
    agent.stop().await;
}

async fn pods_return_without_a_server(ground: &Ground) {
    let agent = ground.agent().await;
    let pod = ground.pod("web", FOREVER, |_| {}).await;
    ground.until("web", is_ready).await;
    ground.said(&pod, 0, "begun").await;
    agent.stop().await;
    power_off(ground).await;
    let silent = tower::service_fn(|_: http::Request<kube::client::Body>| {
        std::future::pending::<Result<http::Response<kube::client::Body>, std::convert::Infallible>>()
    });
    let agent = ground.agent_of(kube::Client::new(silent, "default").into()).await;
    let path = ground
        .path()
        .join("logs")
        .join(format!("shop_web_{}", pod.metadata.uid.as_ref().unwrap()))
        .join("app");
    // The second container's log appears when it runs.
    until(|| has_begun_twice(&path)).await;
    agent.stop().await;
}

fn has_begun_twice(folder: &std::path::Path) -> bool {
    let logs = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let text: String = logs.filter_map(|log| std::fs::read_to_string(log.path()).ok()).collect();
    text.matches("begun").count() == 2
}
