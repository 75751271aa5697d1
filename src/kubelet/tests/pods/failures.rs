//! What does not work, and what people see of it.

use serde_json::json;

use crate::node::{Ground, container, phase, waits};

crate::tests![
    who_crashes_is_restarted_and_then_waits,
    an_image_that_is_not_there,
    another_image_need_not_wait,
    a_program_that_is_not_there,
    an_object_that_is_not_there,
    who_dies_in_the_middle_of_its_hook,
    a_pod_that_takes_too_long,
    a_pod_that_does_not_fit,
    a_pod_that_wants_a_profile,
    root_where_none_may_be,
];

async fn who_crashes_is_restarted_and_then_waits(ground: &Ground) {
    let agent = ground.agent().await;
    ground.pod("web", "echo I was here; exit 3", |_| {}).await;
    let pod = ground.until("web", |pod| waits(pod, "app") == "CrashLoopBackOff").await;
    let app = container(&pod, "app").unwrap();
    assert_eq!(app.restart_count, 1);
    let last = app.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (3, Some("Error")));
    let message = app.state.as_ref().unwrap().waiting.as_ref().unwrap().message.clone().unwrap();
    let uid = pod.metadata.uid.as_ref().unwrap();
    assert_eq!(message, format!("back-off 10s restarting failed container=app pod=web_shop({uid})"));
    assert_eq!(phase(&pod), "Running");
    let event = ground.event("web", "BackOff").await;
    assert_eq!(event, format!("Back-off restarting failed container app in pod web_shop({uid})"));
    ground.delete("web").await;
    ground.gone("web").await;
    agent.stop().await;
}

async fn who_dies_in_the_middle_of_its_hook(ground: &Ground) {
    let agent = ground.agent().await;
    let stay = "trap 'exit 0' TERM; echo begun; while :; do sleep 1000 & wait; done";
    let script = format!("if test -f /kept/again; then {stay}; fi; touch /kept/again; exit 3");
    let change = |spec: &mut serde_json::Value| {
        spec["volumes"] = json!([{"name": "kept", "emptyDir": {}}]);
        spec["containers"][0]["volumeMounts"] = json!([{"name": "kept", "mountPath": "/kept"}]);
        spec["containers"][0]["lifecycle"] = json!({"postStart": {"sleep": {"seconds": 3600}}});
        spec["terminationGracePeriodSeconds"] = 7200.into();
    };
    let pod = ground.pod("web", &script, change).await;
    let again = |pod: &k8s_openapi::api::core::v1::Pod| {
        container(pod, "app").is_some_and(|app| app.restart_count == 1)
    };
    ground.until("web", again).await;
    ground.said(&pod, 1, "begun").await;
    ground.delete("web").await;
    ground.gone("web").await;
    agent.stop().await;
}

async fn an_image_that_is_not_there(ground: &Ground) {
    let agent = ground.agent().await;
    ground
        .pod("never", "true", |spec| {
            spec["containers"][0]["image"] = "nowhere/nothing:1".into();
            spec["containers"][0]["imagePullPolicy"] = "Never".into();
        })
        .await;
    let pod = ground.until("never", |pod| waits(pod, "app") == "ErrImageNeverPull").await;
    assert_eq!(phase(&pod), "Pending");
    ground.pod("wrong", "true", |spec| spec["containers"][0]["image"] = "NO/Such:Image:1".into()).await;
    ground.until("wrong", |pod| waits(pod, "app") == "InvalidImageName").await;
    // Nothing listens there, in this network namespace least of all.
    ground.pod("away", "true", |spec| spec["containers"][0]["image"] = "127.0.0.1:1/nothing:1".into()).await;
    ground.until("away", |pod| waits(pod, "app") == "ErrImagePull").await;
    ground.until("away", |pod| waits(pod, "app") == "ImagePullBackOff").await;
    assert!(ground.event("away", "Failed").await.contains("127.0.0.1:1/nothing:1"));
    for name in ["never", "wrong", "away"] {
        ground.delete(name).await;
        ground.gone(name).await;
    }
    agent.stop().await;
}

/// Neither for the registry of the one before, nor for how that one ended.
async fn another_image_need_not_wait(ground: &Ground) {
    let agent = ground.agent().await;
    let image = |name: &str| json!([{"op": "replace", "path": "/spec/containers/0/image", "value": name}]);
    ground
        .pod("away", "exit 3", |spec| spec["containers"][0]["image"] = "127.0.0.1:1/nothing:1".into())
        .await;
    ground.until("away", |pod| waits(pod, "app") == "ImagePullBackOff").await;
    ground.patch("away", image(crate::image::NAME)).await;
    // The second of these waits is 20 seconds, the first 10: each begins anew with another image.
    let crashed = |times: i32| {
        move |pod: &k8s_openapi::api::core::v1::Pod| {
            let app = container(pod, "app").unwrap();
            let told = app.state.as_ref().and_then(|state| state.waiting.as_ref()?.message.clone());
            app.restart_count == times && told.is_some_and(|told| told.starts_with("back-off 10s"))
        }
    };
    ground.until("away", crashed(1)).await;
    ground.patch("away", image(crate::image::OTHER)).await;
    ground.until("away", crashed(2)).await;
    ground.delete("away").await;
    ground.gone("away").await;
    agent.stop().await;
}

async fn a_program_that_is_not_there(ground: &Ground) {
    let agent = ground.agent().await;
    ground
        .pod("web", "", |spec| {
            spec["restartPolicy"] = "Never".into();
            spec["containers"][0]["command"] = json!(["frobnicate"]);
        })
        .await;
    let pod = ground.until("web", |pod| phase(pod) == "Failed").await;
    let end = container(&pod, "app").unwrap().state.as_ref().unwrap().terminated.clone().unwrap();
    assert_eq!((end.exit_code, end.reason.as_deref()), (128, Some("StartError")));
    assert!(end.message.unwrap().contains("exec: \"frobnicate\": executable file not found in $PATH"));
    agent.stop().await;
}

async fn an_object_that_is_not_there(ground: &Ground) {
    let agent = ground.agent().await;
    ground
        .pod("variable", "true", |spec| {
            spec["containers"][0]["env"] =
                json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "a"}}}]);
        })
        .await;
    ground.until("variable", |pod| waits(pod, "app") == "CreateContainerConfigError").await;
    ground
        .pod("volume", "true", |spec| {
            spec["volumes"] = json!([{"name": "page", "configMap": {"name": "none"}}]);
            spec["containers"][0]["volumeMounts"] = json!([{"name": "page", "mountPath": "/page"}]);
        })
        .await;
    let message = ground.event("volume", "FailedMount").await;
    assert_eq!(message, "MountVolume.SetUp failed for volume \"page\" : configmap \"none\" not found");
    ground.until("volume", |pod| waits(pod, "app") == "ContainerCreating").await;
    for name in ["variable", "volume"] {
        ground.delete(name).await;
        ground.gone(name).await;
    }
    agent.stop().await;
}

async fn a_pod_that_takes_too_long(ground: &Ground) {
    let agent = ground.agent().await;
    let script = "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done";
    ground
        .pod("web", script, |spec| {
            spec["activeDeadlineSeconds"] = 1.into();
        })
        .await;
    let pod = ground.until("web", |pod| phase(pod) == "Failed").await;
    assert_eq!(pod.status.as_ref().unwrap().reason.as_deref(), Some("DeadlineExceeded"));
    agent.stop().await;
}

async fn a_pod_that_does_not_fit(ground: &Ground) {
    let agent = ground.agent().await;
    ground
        .pod("web", "true", |spec| {
            spec["containers"][0]["resources"] = json!({"requests": {"cpu": "100k"}});
        })
        .await;
    let pod = ground.until("web", |pod| phase(pod) == "Failed").await;
    let status = pod.status.as_ref().unwrap();
    assert_eq!(status.reason.as_deref(), Some("OutOfcpu"));
    let message = status.message.as_deref().unwrap();
    let expected =
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 100000000, used: 0, capacity: ";
    assert!(message.starts_with(expected), "{message}");
    agent.stop().await;
}

async fn a_pod_that_wants_a_profile(ground: &Ground) {
    let agent = ground.agent().await;
    let profile = json!({"appArmorProfile": {"type": "RuntimeDefault"}});
    ground.pod("web", "true", |spec| spec["securityContext"] = profile).await;
    let pod = ground.until("web", |pod| phase(pod) == "Failed").await;
    let status = pod.status.as_ref().unwrap();
    assert_eq!(status.reason.as_deref(), Some("AppArmor"));
    let message = status.message.as_deref().unwrap();
    let event = ground.event("web", "AppArmor").await;
    assert!(event.starts_with("Cannot enforce AppArmor: "), "{event}");
    assert_eq!(message, format!("Pod was rejected: {event}"));
    agent.stop().await;
}

async fn root_where_none_may_be(ground: &Ground) {
    let agent = ground.agent().await;
    ground.pod("web", "true", |spec| spec["securityContext"] = json!({"runAsNonRoot": true})).await;
    let pod = ground.until("web", |pod| waits(pod, "app") == "CreateContainerConfigError").await;
    let message =
        container(&pod, "app").unwrap().state.as_ref().unwrap().waiting.as_ref().unwrap().message.clone();
    assert!(
        message
            .unwrap()
            .starts_with("container has runAsNonRoot and image will run as root (pod: \"web_shop(")
    );
    ground.delete("web").await;
    ground.gone("web").await;
    agent.stop().await;
}
