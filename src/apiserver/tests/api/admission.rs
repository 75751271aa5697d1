//! What is added to objects, and refused, by rules that know more than the object.

use super::*;

const PODS: &str = "/api/v1/namespaces/shop/pods";

#[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
fn pod(spec: Value) -> Value {
    let mut pod = json!({"metadata": {"name": "web"},
        "spec": {"containers": [{"name": "a", "image": "i"}], "initContainers": [{"name": "b", "image": "i"}]}});
    for (field, value) in spec.as_object().unwrap() {
        pod["spec"][field] = value.clone();
    }
    pod
}

#[tokio::test]
async fn a_pod_acts_as_an_account_and_finds_its_token() {
    let api = Api::start().await;
    let (code, made) = api.post(PODS, pod(json!({}))).await;
    assert_eq!(code, 201, "{made}");
    let spec = &made["spec"];
    assert_eq!(
        (&spec["serviceAccountName"], &spec["serviceAccount"]),
        (&json!("default"), &json!("default"))
    );
    let name = spec["volumes"][0]["name"].as_str().unwrap();
    assert!(name.starts_with("kube-api-access-") && name.len() == 21, "{name}");
    let mount = json!([{"name": name, "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]);
    assert_eq!(spec["containers"][0]["volumeMounts"], mount);
    assert_eq!(spec["initContainers"][0]["volumeMounts"], mount);
    let sources = &spec["volumes"][0]["projected"]["sources"];
    assert_eq!(sources[0]["serviceAccountToken"], json!({"expirationSeconds": 3607, "path": "token"}));
    assert_eq!(sources[1]["configMap"]["name"], "kube-root-ca.crt");
    let tolerations: Vec<_> = spec["tolerations"].as_array().unwrap().iter().map(|one| &one["key"]).collect();
    assert_eq!(tolerations, ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]);
    assert_eq!((&spec["priority"], &spec["preemptionPolicy"]), (&json!(0), &json!("PreemptLowerPriority")));
    let (code, same) = api.put(&format!("{PODS}/web"), made.clone()).await;
    assert_eq!((code, &same["metadata"]["resourceVersion"]), (200, &made["metadata"]["resourceVersion"]));
}

#[tokio::test]
async fn accounts_decide_what_pods_mount() {
    let api = Api::start().await;
    let account = json!({"metadata": {"name": "till"}, "automountServiceAccountToken": false,
        "imagePullSecrets": [{"name": "registry"}]});
    assert_eq!(api.post("/api/v1/namespaces/shop/serviceaccounts", account).await.0, 201);
    let (_, quiet) = api.post(PODS, pod(json!({"serviceAccountName": "till"}))).await;
    assert_eq!(quiet["spec"].get("volumes"), None);
    assert_eq!(quiet["spec"]["imagePullSecrets"], json!([{"name": "registry"}]));
    let mut other = pod(json!({"serviceAccountName": "till", "automountServiceAccountToken": true}));
    other["metadata"]["name"] = "other".into();
    let (_, other) = api.post(PODS, other).await;
    assert_eq!(other["spec"]["volumes"].as_array().unwrap().len(), 1);
    let (code, refused) = api.post(PODS, pod(json!({"serviceAccountName": "none"}))).await;
    assert_eq!(code, 403);
    assert_eq!(
        refused["message"],
        "pods \"web\" is forbidden: error looking up service account shop/none: serviceaccount \"none\" not found"
    );
}

#[tokio::test]
async fn a_pod_waits_for_the_account_of_a_fresh_namespace() {
    let api = Api::start().await;
    api.post("/api/v1/namespaces", json!({"metadata": {"name": "new"}})).await;
    let made = async { api.post("/api/v1/namespaces/new/pods", pod(json!({}))).await };
    let controller = async {
        tokio::task::yield_now().await;
        api.post("/api/v1/namespaces/new/serviceaccounts", json!({"metadata": {"name": "default"}})).await
    };
    let ((code, answer), _) = tokio::join!(made, controller);
    assert_eq!(code, 201, "{answer}");
}

#[tokio::test]
async fn priorities_come_from_their_classes() {
    let api = Api::start().await;
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    let class = |name: &str, value: i64, default: bool| json!({"metadata": {"name": name}, "value": value, "globalDefault": default, "preemptionPolicy": "Never"});
    assert_eq!(api.post(classes, class("high", 1000, false)).await.0, 201);
    assert_eq!(api.post(classes, class("usual", 7, true)).await.0, 201);
    let (code, second) = api.post(classes, class("other", 8, true)).await;
    assert_eq!(code, 403);
    assert!(
        second["message"]
            .as_str()
            .unwrap()
            .ends_with("PriorityClass usual is already marked as default. Only one default can exist")
    );
    let (_, made) = api.post(&format!("{PODS}?dryRun=All"), pod(json!({"priorityClassName": "high"}))).await;
    assert_eq!(
        (&made["spec"]["priority"], &made["spec"]["preemptionPolicy"]),
        (&json!(1000), &json!("Never"))
    );
    let (_, made) = api.post(&format!("{PODS}?dryRun=All"), pod(json!({}))).await;
    assert_eq!((&made["spec"]["priority"], &made["spec"]["priorityClassName"]), (&json!(7), &json!("usual")));
    let (code, refused) = api.post(PODS, pod(json!({"priorityClassName": "none"}))).await;
    assert_eq!(
        (code, &refused["message"]),
        (403, &json!("pods \"web\" is forbidden: no PriorityClass with name none was found"))
    );
    let (code, _) = api.post(PODS, pod(json!({"priorityClassName": "high", "priority": 5}))).await;
    assert_eq!(code, 403);
}

#[tokio::test]
async fn nodes_and_storage_are_held_and_classed() {
    let api = Api::start().await;
    let (_, node) = api.post("/api/v1/nodes", json!({"metadata": {"name": "n"}})).await;
    assert_eq!(
        node["spec"]["taints"],
        json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}])
    );
    let class = json!({"metadata": {"name": "local", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "example.com/local"});
    assert_eq!(api.post("/apis/storage.k8s.io/v1/storageclasses", class).await.0, 201);
    let claim = json!({"metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let (code, claim) = api.post("/api/v1/namespaces/shop/persistentvolumeclaims", claim).await;
    assert_eq!(code, 201, "{claim}");
    assert_eq!(claim["spec"]["storageClassName"], "local");
    assert_eq!(claim["metadata"]["finalizers"], json!(["kubernetes.io/pvc-protection"]));
}

#[tokio::test]
async fn some_namespaces_never_go() {
    let api = Api::start().await;
    api.post("/api/v1/namespaces", json!({"metadata": {"name": "default"}})).await;
    let (code, refused) = api.delete("/api/v1/namespaces/default", None).await;
    assert_eq!(
        (code, &refused["message"]),
        (403, &json!("namespaces \"default\" is forbidden: this namespace may not be deleted"))
    );
}

#[tokio::test]
async fn limits_fill_in_and_refuse() {
    let api = Api::start().await;
    let limits = json!({"metadata": {"name": "l"}, "spec": {"limits": [
        {"type": "Container", "max": {"cpu": "1"}, "min": {"memory": "32Mi"}, "default": {"cpu": "500m"},
         "defaultRequest": {"cpu": "100m", "memory": "64Mi"}, "maxLimitRequestRatio": {"cpu": "10"}},
        {"type": "Pod", "max": {"cpu": "1200m"}}]}});
    let (code, made) = api.post("/api/v1/namespaces/shop/limitranges", limits).await;
    assert_eq!(code, 201, "{made}");
    let one = |resources: Value| {
        pod(
            json!({"initContainers": [], "containers": [{"name": "a", "image": "i", "resources": resources}]}),
        )
    };
    let dry = format!("{PODS}?dryRun=All");
    let (code, made) = api.post(&dry, one(json!({}))).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(
        made["spec"]["containers"][0]["resources"],
        json!({"limits": {"cpu": "500m"}, "requests": {"cpu": "100m", "memory": "64Mi"}})
    );
    assert_eq!(
        made["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
        "LimitRanger plugin set: cpu, memory request for container a; cpu limit for container a"
    );
    assert_eq!(made["status"]["qosClass"], "Burstable", "what was filled in counts");
    let (code, refused) = api
        .post(&dry, one(json!({"limits": {"cpu": "2"}, "requests": {"cpu": "100m", "memory": "1Mi"}})))
        .await;
    assert_eq!(code, 403);
    assert_eq!(
        refused["message"],
        "pods \"web\" is forbidden: [minimum memory usage per Container is 32Mi, but request is 1Mi, maximum cpu usage per \
         Container is 1, but limit is 2, cpu max limit to request ratio per Container is 10, but provided ratio is 20.000000, \
         maximum cpu usage per Pod is 1200m, but limit is 2]"
    );
}

#[tokio::test]
async fn a_claim_grows_if_its_class_lets_it() {
    let api = Api::start().await;
    for (name, grows) in [("fixed", json!(null)), ("elastic", json!(true))] {
        let class = json!({"metadata": {"name": name}, "provisioner": "example.com/p", "allowVolumeExpansion": grows});
        assert_eq!(api.post("/apis/storage.k8s.io/v1/storageclasses", class).await.0, 201);
        let claims = "/api/v1/namespaces/shop/persistentvolumeclaims";
        let claim = json!({"metadata": {"name": name}, "spec": {"storageClassName": name, "volumeName": "v",
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        assert_eq!(api.post(claims, claim).await.0, 201);
        let path = format!("{claims}/{name}");
        let merge = async |path: &str, patch: Value| {
            api.call(Method::PATCH, path, "application/merge-patch+json", Some(patch)).await
        };
        let bound = json!({"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}});
        assert_eq!(merge(&format!("{path}/status"), bound).await.0, 200);
        let (code, answer) =
            merge(&path, json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}})).await;
        assert_eq!(code, if name == "elastic" { 200 } else { 403 }, "{answer}");
        assert_eq!(merge(&path, json!({"metadata": {"labels": {"a": "b"}}})).await.0, 200);
    }
}

#[tokio::test]
async fn the_namespace_comes_before_what_is_looked_for_in_it() {
    let api = Api::start().await;
    let (code, refused) = api.post("/api/v1/namespaces/none/pods", pod(json!({}))).await;
    assert_eq!((code, &refused["message"]), (404, &json!("namespaces \"none\" not found")));
}
