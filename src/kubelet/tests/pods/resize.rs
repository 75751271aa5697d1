//! Other amounts for pods that are there already.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;
use oci::cgroup::{Cgroup, Hierarchy, Limits};
use serde_json::json;

use crate::node::{Ground, condition, container, is_ready, until, waits};

crate::tests![
    other_amounts_for_a_running_container,
    a_memory_limit_that_needs_a_restart,
    other_amounts_for_a_container_that_crashes,
    a_restart_grants_nothing,
    amounts_after_a_return_of_the_agent,
];

const FOREVER: &str = "trap 'exit 0' TERM; echo begun; while :; do sleep 1000 & wait; done";

/// The pod's control groups hold this in that file, at `below` the pod's own.
fn limit(ground: &Ground, pod: &Pod, below: &str, controller: &str, files: [&str; 2]) -> String {
    let group = group(ground, pod).join(below);
    value(&group, controller, files)
}

fn group(ground: &Ground, pod: &Pod) -> PathBuf {
    burstable(ground).join(format!("pod{}", pod.metadata.uid.as_ref().unwrap()))
}

fn burstable(ground: &Ground) -> PathBuf {
    ground.cgroup().join("kubepods/burstable")
}

/// The first word in that file of a group, by its name in version 1 and in version 2.
fn value(group: &Path, controller: &str, files: [&str; 2]) -> String {
    let group = group.strip_prefix("/").unwrap();
    let [old, new] = files;
    let old = Path::new("/sys/fs/cgroup").join(controller).join(group).join(old);
    let new = Path::new("/sys/fs/cgroup").join(group).join(new);
    let text = std::fs::read_to_string(old).or_else(|_| std::fs::read_to_string(new)).unwrap();
    text.split_whitespace().next().unwrap().to_owned()
}

fn quota(ground: &Ground, pod: &Pod, below: &str) -> String {
    limit(ground, pod, below, "cpu", ["cpu.cfs_quota_us", "cpu.max"])
}

fn memory(ground: &Ground, pod: &Pod, below: &str) -> String {
    limit(ground, pod, below, "memory", ["memory.limit_in_bytes", "memory.max"])
}

/// What the status says that the container has.
fn has(pod: &Pod, resource: &str) -> String {
    let resources = container(pod, "app").and_then(|app| app.resources.clone()).unwrap_or_default();
    resources.limits.and_then(|limits| limits.get(resource).cloned()).unwrap_or_default().0
}

async fn other_amounts_for_a_running_container(ground: &Ground) {
    let agent = ground.agent().await;
    let amounts = json!({"requests": {"cpu": "10m"}, "limits": {"cpu": "100m", "memory": "64Mi"}});
    ground.pod("web", FOREVER, |spec| spec["containers"][0]["resources"] = amounts).await;
    let pod = ground.until("web", is_ready).await;
    assert_eq!((quota(ground, &pod, "app_0"), quota(ground, &pod, "")), ("10000".into(), "10000".into()));
    let more = json!({"requests": {"cpu": "20m"}, "limits": {"cpu": "200m", "memory": "32Mi"}});
    ground.resize("web", more).await;
    let pod = ground.until("web", |pod| has(pod, "cpu") == "200m").await;
    for below in ["app_0", ""] {
        assert_eq!(quota(ground, &pod, below), "20000", "{below}");
        assert_eq!(memory(ground, &pod, below), (32 << 20).to_string(), "{below}");
    }
    let app = container(&pod, "app").unwrap();
    assert_eq!((app.restart_count, &*app.allocated_resources.as_ref().unwrap()["cpu"].0), (0, "20m"));
    // More than any machine has: it keeps what it has, and other pods find the room that it does not take.
    ground
        .resize("web", json!({"requests": {"cpu": "100k"}, "limits": {"cpu": "200k", "memory": "32Mi"}}))
        .await;
    let pod = ground.until("web", |pod| condition(pod, "PodResizePending") == "True").await;
    assert_eq!((has(&pod, "cpu"), quota(ground, &pod, "app_0")), ("200m".into(), "20000".into()));
    ground
        .pod("other", FOREVER, |spec| {
            spec["containers"][0]["resources"] = json!({"requests": {"cpu": "10m"}});
        })
        .await;
    ground.until("other", is_ready).await;
    ground
        .resize("web", json!({"requests": {"cpu": "20m"}, "limits": {"cpu": "300m", "memory": "32Mi"}}))
        .await;
    let pod = ground.until("web", |pod| has(pod, "cpu") == "300m").await;
    assert_eq!(condition(&pod, "PodResizePending"), "");
    agent.stop().await;
}

async fn a_memory_limit_that_needs_a_restart(ground: &Ground) {
    let agent = ground.agent().await;
    let change = |spec: &mut serde_json::Value| {
        spec["restartPolicy"] = "OnFailure".into();
        spec["containers"][0]["resources"] =
            json!({"limits": {"cpu": "100m", "memory": "64Mi"}, "requests": {"cpu": "10m"}});
        spec["containers"][0]["resizePolicy"] =
            json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
    };
    let pod = ground.pod("web", FOREVER, change).await;
    ground.said(&pod, 0, "begun").await;
    ground.until("web", is_ready).await;
    ground
        .resize("web", json!({"limits": {"cpu": "100m", "memory": "32Mi"}, "requests": {"cpu": "10m"}}))
        .await;
    let again = |pod: &Pod| is_ready(pod) && container(pod, "app").is_some_and(|app| app.restart_count == 1);
    let pod = ground.until("web", again).await;
    assert_eq!(has(&pod, "memory"), "32Mi");
    assert_eq!(memory(ground, &pod, "app_1"), (32 << 20).to_string());
    until(|| memory(ground, &pod, "") == (32 << 20).to_string()).await;
    let killed = ground.event("web", "Killing").await;
    assert_eq!(killed, "Container app resize requires restart, will be restarted");
    agent.stop().await;
}

async fn other_amounts_for_a_container_that_crashes(ground: &Ground) {
    let agent = ground.agent().await;
    let amounts = json!({"requests": {"cpu": "10m"}, "limits": {"cpu": "100m", "memory": "32Mi"}});
    ground.pod("web", "exit 1", |spec| spec["containers"][0]["resources"] = amounts).await;
    let pod = ground.until("web", |pod| waits(pod, "app") == "CrashLoopBackOff").await;
    assert_eq!(memory(ground, &pod, ""), (32 << 20).to_string());
    let more = json!({"requests": {"cpu": "10m"}, "limits": {"cpu": "100m", "memory": "64Mi"}});
    ground.resize("web", more).await;
    // Its next start would not get beyond what the pod as a whole may use.
    until(|| memory(ground, &pod, "") == (64 << 20).to_string()).await;
    agent.stop().await;
}

async fn a_restart_grants_nothing(ground: &Ground) {
    let agent = ground.agent().await;
    let amounts = json!({"requests": {"cpu": "10m"}, "limits": {"cpu": "100m", "memory": "32Mi"}});
    // Ends when its file goes.
    let script = "touch /tmp/stay; echo begun; while test -f /tmp/stay; do sleep 0.05; done; exit 5";
    let pod = ground.pod("web", script, |spec| spec["containers"][0]["resources"] = amounts).await;
    ground.until("web", is_ready).await;
    ground.said(&pod, 0, "begun").await;
    let weight = || value(&burstable(ground), "cpu", ["cpu.shares", "cpu.weight"]);
    let before = weight();
    ground
        .resize("web", json!({"requests": {"cpu": "100k"}, "limits": {"cpu": "200k", "memory": "32Mi"}}))
        .await;
    ground.until("web", |pod| condition(pod, "PodResizePending") == "True").await;
    let uid = pod.metadata.uid.as_ref().unwrap();
    std::fs::remove_file(ground.path().join(format!("images/containers/{uid}_app_0/root/tmp/stay"))).unwrap();
    let again = |pod: &Pod| is_ready(pod) && container(pod, "app").is_some_and(|app| app.restart_count == 1);
    let pod = ground.until("web", again).await;
    assert_eq!((has(&pod, "cpu"), quota(ground, &pod, "app_1")), ("100m".into(), "10000".into()));
    assert_eq!(condition(&pod, "PodResizePending"), "True");
    assert_eq!(container(&pod, "app").unwrap().allocated_resources.as_ref().unwrap()["cpu"].0, "10m");
    assert_eq!(weight(), before, "the class weighs what its pods were given");
    agent.stop().await;
}

async fn amounts_after_a_return_of_the_agent(ground: &Ground) {
    let agent = ground.agent().await;
    let amounts = json!({"requests": {"cpu": "10m"}, "limits": {"cpu": "100m", "memory": "32Mi"}});
    ground.pod("web", FOREVER, |spec| spec["containers"][0]["resources"] = amounts).await;
    let pod = ground.until("web", is_ready).await;
    agent.stop().await;
    // As it is left by an agent that ended in the middle of a change.
    let hierarchy = Hierarchy::detect().unwrap();
    let unlimited = Limits { cpu_quota: Some(-1), memory: Some(-1), ..Limits::default() };
    Cgroup::new(&hierarchy, group(ground, &pod)).limit(&unlimited).unwrap();
    let agent = ground.agent().await;
    until(|| memory(ground, &pod, "") == (32 << 20).to_string()).await;
    let more = json!({"requests": {"cpu": "10m"}, "limits": {"cpu": "200m", "memory": "64Mi"}});
    ground.resize("web", more).await;
    until(|| quota(ground, &pod, "app_0") == "20000").await;
    until(|| memory(ground, &pod, "") == (64 << 20).to_string()).await;
    agent.stop().await;
}
