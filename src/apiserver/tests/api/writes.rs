//! What a write may touch, and what whoever writes too much is told.

use super::*;

const MAPS: &str = "/api/v1/namespaces/shop/configmaps";
const JOBS: &str = "/apis/batch/v1/namespaces/shop/jobs";
const MERGE: &str = "application/merge-patch+json";

/// Code and message of a refusal.
fn told((code, answer): Answer) -> (u16, String) {
    (code, answer["message"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_deletion_is_not_begun_by_a_write() {
    let api = Api::start().await;
    let ends = "2030-01-01T00:00:00Z";
    let sent = json!({"metadata": {"name": "a", "deletionTimestamp": ends, "deletionGracePeriodSeconds": 3}});
    let (code, mut map) = api.post(MAPS, sent).await;
    assert_eq!((code, map["metadata"].get("deletionTimestamp")), (201, None), "{map}");
    assert_eq!(map["metadata"].get("deletionGracePeriodSeconds"), None);
    map["metadata"]["deletionTimestamp"] = ends.into();
    assert_eq!(
        told(api.put(&format!("{MAPS}/a"), map).await),
        (
            422,
            "ConfigMap \"a\" is invalid: metadata.deletionTimestamp: Invalid value: 2030-01-01 00:00:00 +0000 UTC: \
             field is immutable"
                .into()
        )
    );
    let patch = json!({"metadata": {"deletionGracePeriodSeconds": 0}});
    assert_eq!(
        told(api.call(Method::PATCH, &format!("{MAPS}/a"), MERGE, Some(patch)).await),
        (
            422,
            "ConfigMap \"a\" is invalid: metadata.deletionGracePeriodSeconds: Invalid value: 0: field is immutable".into()
        )
    );
}

#[tokio::test]
async fn what_has_no_namespace_loses_the_one_that_it_names() {
    let api = Api::start().await;
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let (code, mut role) = api.post(roles, json!({"metadata": {"name": "r", "namespace": "shop"}})).await;
    assert_eq!((code, role["metadata"].get("namespace")), (201, None), "{role}");
    role["metadata"]["namespace"] = "shop".into();
    role["metadata"]["labels"] = json!({"a": "b"});
    let (code, role) = api.put(&format!("{roles}/r"), role).await;
    assert_eq!((code, role["metadata"].get("namespace")), (200, None), "{role}");
    let config = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "s", "namespace": "shop"}});
    let path = format!("{roles}/s?fieldManager=ann");
    for expected in [201, 200] {
        let applied =
            api.call(Method::PATCH, &path, "application/apply-patch+yaml", Some(config.clone())).await;
        assert_eq!((applied.0, applied.1["metadata"].get("namespace")), (expected, None), "{}", applied.1);
    }
}

#[tokio::test]
async fn a_name_that_is_about_to_be_free_is_said_to_be() {
    let api = Api::start().await;
    let held = json!({"metadata": {"name": "a", "finalizers": ["example.com/hold"]}});
    assert_eq!(api.post(MAPS, held.clone()).await.0, 201);
    let taken = "configmaps \"a\" already exists";
    assert_eq!(told(api.post(MAPS, held.clone()).await), (409, taken.into()));
    assert_eq!(api.delete(&format!("{MAPS}/a"), None).await.0, 200);
    assert_eq!(told(api.post(MAPS, held).await), (409, format!("object is being deleted: {taken}")));
}

#[tokio::test]
async fn some_kinds_are_replaced_only_by_who_names_the_revision() {
    let api = Api::start().await;
    let budgets = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets";
    let (code, mut budget) = api.post(budgets, json!({"metadata": {"name": "b"}})).await;
    assert_eq!(code, 201, "{budget}");
    budget["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    assert_eq!(
        told(api.put(&format!("{budgets}/b"), budget).await),
        (
            422,
            "poddisruptionbudgets.policy \"b\" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be \
             specified for an update"
                .into()
        )
    );
}

#[tokio::test]
async fn a_limit_range_needs_no_name() {
    let api = Api::start().await;
    let (code, range) = api.post("/api/v1/namespaces/shop/limitranges", json!({"metadata": {}})).await;
    assert_eq!((code, &range["metadata"]["name"]), (201, &range["metadata"]["uid"]), "{range}");
}

fn job() -> Value {
    json!({"metadata": {"name": "j"}, "spec": {"template":
        {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "i"}]}}}})
}

#[tokio::test]
async fn the_pods_of_a_job_stay_where_nobody_says_otherwise() {
    let api = Api::start().await;
    let delete = async |query: &str| {
        let request = Request::builder().method(Method::DELETE).uri(format!("{JOBS}/j{query}"));
        api.send(request.extension(User::new("root", ["system:masters"])).body(Full::default()).unwrap())
            .await
    };
    assert_eq!(api.post(JOBS, job()).await.0, 201);
    let answer = delete("").await;
    assert_eq!(
        answer.headers()["warning"],
        "299 - \"child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove \
         them or set propagationPolicy=Orphan to suppress this warning\""
    );
    let (_, left) = api.get(&format!("{JOBS}/j")).await;
    assert_eq!(left["metadata"]["finalizers"], json!(["orphan"]), "{left}");
    let answer = delete("?propagationPolicy=Background").await;
    assert_eq!((answer.status().as_u16(), answer.headers().get("warning")), (200, None));
    assert_eq!(api.get(&format!("{JOBS}/j")).await.0, 404);
}

#[tokio::test]
async fn a_status_is_not_all_that_some_statuses_could_change() {
    let api = Api::start().await;
    let attachments = "/apis/storage.k8s.io/v1/volumeattachments";
    let sent = json!({"metadata": {"name": "a", "labels": {"kept": "yes"}},
        "spec": {"attacher": "a.io", "nodeName": "n", "source": {"persistentVolumeName": "v"}}});
    let (code, made) = api.post(attachments, sent).await;
    assert_eq!(code, 201, "{made}");
    let patch = json!({"metadata": {"labels": {"kept": "no"}, "finalizers": ["a.io/b"]}, "status": {"attached": true}});
    let path = format!("{attachments}/a/status");
    let (code, patched) = api.call(Method::PATCH, &path, MERGE, Some(patch)).await;
    assert_eq!((code, &patched["status"]["attached"]), (200, &json!(true)), "{patched}");
    assert_eq!(patched["metadata"]["labels"], json!({"kept": "yes"}));
    assert_eq!(patched["metadata"].get("finalizers"), None);
}

#[tokio::test]
async fn a_definition_remembers_every_version_that_it_stored() {
    let api = Api::start().await;
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let version = |name: &str, storage: bool| json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": {"type": "object"}}});
    let sent = json!({"metadata": {"name": "tools.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
        "names": {"plural": "tools", "kind": "Tool"}, "versions": [version("v1", true)]}});
    let (code, mut made) = api.post(definitions, sent).await;
    assert_eq!((code, &made["status"]["storedVersions"]), (201, &json!(["v1"])), "{made}");
    made["spec"]["versions"] = json!([version("v1", false), version("v2", true)]);
    let (code, next) = api.put(&format!("{definitions}/tools.example.com"), made).await;
    assert_eq!((code, &next["status"]["storedVersions"]), (200, &json!(["v1", "v2"])), "{next}");
}

#[tokio::test]
async fn a_service_of_this_server_is_available_at_once() {
    let api = Api::start().await;
    let sent = json!({"metadata": {"name": "v1.example.com"}, "spec": {"group": "example.com", "version": "v1",
        "groupPriorityMinimum": 1, "versionPriority": 1}});
    let (code, made) = api.post("/apis/apiregistration.k8s.io/v1/apiservices", sent).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(
        made["status"]["conditions"],
        json!([{"type": "Available", "status": "True", "reason": "Local",
            "message": "Local APIServices are always available",
            "lastTransitionTime": made["metadata"]["creationTimestamp"]}])
    );
}
