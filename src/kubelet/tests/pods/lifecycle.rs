//! From created to gone.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use crate::node::{Ground, condition, container, is_ready, phase};

crate::tests![
    a_pod_becomes_ready_and_goes,
    init_containers_run_first_and_sidecars_stay,
    a_job_succeeds_or_fails,
    any_number_of_seconds_may_be_asked_for,
    a_pod_knows_its_place,
    another_image_is_another_container,
    the_node_is_registered,
];

async fn a_pod_becomes_ready_and_goes(ground: &Ground) {
    let agent = ground.agent().await;
    let script = "trap 'echo bye; exit 0' TERM; echo hello $FROM_IMAGE; while :; do sleep 1000 & wait; done";
    ground.pod("web", script, |_| {}).await;
    let pod = ground.until("web", is_ready).await;
    assert_eq!(phase(&pod), "Running");
    let status = pod.status.as_ref().unwrap();
    assert_eq!(status.host_ip.as_deref(), Some("192.168.9.9"));
    assert!(status.pod_ip.as_deref().unwrap().starts_with("10.42.0."));
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    for type_ in ["PodReadyToStartContainers", "Initialized", "ContainersReady", "PodScheduled"] {
        assert_eq!(condition(&pod, type_), "True", "{type_}");
    }
    let app = container(&pod, "app").unwrap();
    assert!(app.ready && app.started == Some(true) && app.restart_count == 0);
    assert!(app.image_id.starts_with("sha256:"), "{}", app.image_id);
    let uid = pod.metadata.uid.as_ref().unwrap();
    assert_eq!(app.container_id.as_deref().unwrap(), format!("skiff://{uid}_app_0"));
    assert_eq!(ground.event("web", "Started").await, "Container started");
    ground.said(&pod, 0, "hello yes").await;

    let last = ground.delete_until("web", |pod| phase(pod) != "Running").await;
    let end = container(&last, "app").unwrap().state.as_ref().unwrap().terminated.clone().unwrap();
    assert_eq!((end.exit_code, end.reason.as_deref()), (0, Some("Completed")));
    assert_eq!(phase(&last), "Succeeded");
    ground.gone("web").await;
    assert_eq!(ground.event("web", "Killing").await, "Stopping container app");
    ground.cleared().await;
    agent.stop().await;
}

async fn init_containers_run_first_and_sidecars_stay(ground: &Ground) {
    let agent = ground.agent().await;
    let image = crate::image::NAME;
    let volumes = json!([{"name": "shared", "emptyDir": {}}]);
    let mounts = json!([{"name": "shared", "mountPath": "/shared"}]);
    ground
        .pod("web", "cat /shared/order", |spec| {
            spec["restartPolicy"] = "Never".into();
            spec["volumes"] = volumes;
            spec["containers"][0]["volumeMounts"] = mounts.clone();
            spec["initContainers"] = json!([
                {"name": "one", "image": image, "args": ["echo one >> /shared/order"], "volumeMounts": mounts},
                {"name": "side", "image": image, "restartPolicy": "Always", "volumeMounts": mounts,
                    "args": ["echo side >> /shared/order; touch /shared/up; trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"],
                    "startupProbe": {"exec": {"command": ["test", "-f", "/shared/up"]}, "periodSeconds": 1, "failureThreshold": 1000}},
                {"name": "two", "image": image, "args": ["echo two >> /shared/order"], "volumeMounts": mounts},
            ]);
        })
        .await;
    let pod = ground.until("web", |pod| phase(pod) == "Succeeded").await;
    assert_eq!(ground.log(&pod, "app", 0), ["one", "side", "two"]);
    let code = |name: &str| {
        container(&pod, name).unwrap().state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code
    };
    assert_eq!(["one", "side", "two", "app"].map(code), [0; 4]);
    agent.stop().await;
}

async fn a_job_succeeds_or_fails(ground: &Ground) {
    let agent = ground.agent().await;
    for (name, code, expected) in [("good", 0, "Succeeded"), ("bad", 3, "Failed")] {
        let script = format!("printf 'so it went' > /dev/termination-log; exit {code}");
        ground.pod(name, &script, |spec| spec["restartPolicy"] = "Never".into()).await;
        let pod = ground.until(name, |pod| matches!(phase(pod), "Succeeded" | "Failed")).await;
        assert_eq!(phase(&pod), expected);
        let end = container(&pod, "app").unwrap().state.as_ref().unwrap().terminated.clone().unwrap();
        assert_eq!((end.exit_code, end.message.as_deref()), (code, Some("so it went")));
    }
    agent.stop().await;
}

async fn any_number_of_seconds_may_be_asked_for(ground: &Ground) {
    let agent = ground.agent().await;
    let script = "trap 'exit 0' TERM; echo begun; while :; do sleep 1000 & wait; done";
    let change = |spec: &mut serde_json::Value| {
        spec["terminationGracePeriodSeconds"] = i64::MAX.into();
        spec["activeDeadlineSeconds"] = i32::MAX.into();
    };
    let pod = ground.pod("web", script, change).await;
    ground.until("web", is_ready).await;
    ground.said(&pod, 0, "begun").await;
    ground.delete("web").await;
    ground.gone("web").await;
    agent.stop().await;
}

async fn a_pod_knows_its_place(ground: &Ground) {
    let agent = ground.agent().await;
    let page = json!({"metadata": {"name": "page", "namespace": "shop"}, "data": {"title": "hello"}});
    ground.create::<ConfigMap>(page).await;
    let script = "hostname; echo $TITLE $MY_IP; cat /page/title; echo; cat /etc/hostname; grep $MY_IP /etc/hosts; cat /etc/resolv.conf; id -u; id -G; echo $0";
    let pod = ground
        .pod("web", script, |spec| {
            spec["restartPolicy"] = "Never".into();
            spec["hostname"] = "named".into();
            spec["volumes"] = json!([{"name": "page", "configMap": {"name": "page"}}]);
            spec["securityContext"] = json!({"runAsUser": 33, "supplementalGroups": [7]});
            spec["containers"][0]["env"] = json!([
                {"name": "TITLE", "valueFrom": {"configMapKeyRef": {"name": "page", "key": "title"}}},
                {"name": "MY_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            ]);
            spec["containers"][0]["args"] = json!([script, "$(TITLE)"]);
            spec["containers"][0]["volumeMounts"] = json!([{"name": "page", "mountPath": "/page"}]);
        })
        .await;
    let done = ground.until("web", |pod| phase(pod) == "Succeeded").await;
    let log = ground.log(&pod, "app", 0);
    let ip = done.status.as_ref().unwrap().pod_ip.clone().unwrap();
    assert_eq!(
        log[..5],
        ["named", &format!("hello {ip}"), "hello", "named", &format!("{ip}\tnamed")],
        "{log:?}"
    );
    assert!(log[5].starts_with("search shop.svc.cluster.local svc.cluster.local cluster.local"), "{log:?}");
    assert!(
        log.contains(&"nameserver 10.43.0.10".to_owned()) && log.contains(&"options ndots:5".to_owned()),
        "{log:?}"
    );
    assert_eq!(log[log.len() - 3..], ["33", "33 7", "hello"]);
    agent.stop().await;
}

async fn another_image_is_another_container(ground: &Ground) {
    let agent = ground.agent().await;
    ground.pod("web", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done", |_| {}).await;
    ground.until("web", is_ready).await;
    let other = crate::image::OTHER;
    ground.patch("web", json!([{"op": "replace", "path": "/spec/containers/0/image", "value": other}])).await;
    let again = |pod: &k8s_openapi::api::core::v1::Pod| {
        is_ready(pod) && container(pod, "app").is_some_and(|app| app.restart_count == 1)
    };
    let pod = ground.until("web", again).await;
    assert_eq!(container(&pod, "app").unwrap().image, other);
    assert_eq!(ground.event("web", "Killing").await, "Container app definition changed, will be restarted");
    ground.delete("web").await;
    ground.gone("web").await;
    agent.stop().await;
}

async fn the_node_is_registered(ground: &Ground) {
    let agent = ground.agent().await;
    let ready = |node: &k8s_openapi::api::core::v1::Node| {
        let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    let node = ground.node(ready).await;
    let labels = node.metadata.labels.as_ref().unwrap();
    assert_eq!(labels["kubernetes.io/hostname"], "board");
    let status = node.status.as_ref().unwrap();
    assert_eq!(status.capacity.as_ref().unwrap()["pods"].0, "110");
    assert_eq!(status.images.as_ref().unwrap().len(), 1);
    assert_eq!(status.node_info.as_ref().unwrap().kubelet_version, "v1.37.0");
    agent.stop().await;
    // A node that comes back is the same node.
    let agent = ground.agent().await;
    assert_eq!(ground.node(ready).await.metadata.uid, node.metadata.uid);
    agent.stop().await;
}
