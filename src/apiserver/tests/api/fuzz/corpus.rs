//! The requests that are damaged: one of each kind that clients send.

use api::kinds;
use http::Method;
use serde_json::{Value, json};

use super::Case;
use crate::Api;
use crate::services::with_networks;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// Objects that every case finds.
pub(super) async fn api() -> Api {
    let api = with_networks(&["10.43.0.0/16"]).await;
    for object in objects() {
        let path = path_of(&object).unwrap();
        let (folder, _) = path.rsplit_once('/').unwrap();
        let (code, answer) = api.post(folder, object.clone()).await;
        assert_eq!(code, 201, "{answer}");
    }
    api
}

/// Where an object lives; none for kinds that are not objects.
pub(super) fn path_of(object: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let api_version = text(&object["apiVersion"]);
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let kind = kinds::by_kind(group, version, object["kind"].as_str()?)?;
    let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{api_version}") };
    let within = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/namespaces/{namespace}"),
        None => String::new(),
    };
    Some(format!("{root}{within}/{}/{}", kind.plural, text(&object["metadata"]["name"])))
}

fn template() -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
        {"name": "web", "image": "nginx", "ports": [{"containerPort": 80, "name": "http"}],
         "env": [{"name": "A", "value": "b"}], "resources": {"limits": {"cpu": "100m", "memory": "1.5Gi"}},
         "readinessProbe": {"httpGet": {"path": "/", "port": "http"}}}],
        "volumes": [{"name": "v", "configMap": {"name": "page", "items": [{"key": "a", "path": "x/a"}]}}]}})
}

fn objects() -> Vec<Value> {
    let named =
        |name: &str| json!({"name": name, "namespace": "shop", "labels": {"app": "web", "tier": "front"}});
    vec![
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": named("page"), "data": {"a": "b", "c": "d"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": named("key"), "data": {"k": "dg=="}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": named("web"), "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"},
                "matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}, "template": template()}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": named("one"), "spec": template()["spec"]}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": named("web"), "spec": {
            "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http", "protocol": "TCP"}]}}),
        json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": named("often"), "spec": {
            "schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}]}}}}}}),
        json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": named("first"),
            "revision": 1, "data": {"any": [{"thing": null}]}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": named("closed"), "spec": {
            "podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8",
                "except": ["10.1.0.0/16"]}}], "ports": [{"port": 80}]}]}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": named("way"), "spec": {
            "rules": [{"host": "a.example", "http": {"paths": [{"path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}]}}),
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": named("some"), "spec": {
            "minAvailable": "50%", "selector": {"matchLabels": {"app": "web"}}}}),
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": named("web"), "spec": {
            "maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 60}}}]}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": named("reader"),
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": named("turn"), "spec": {
            "holderIdentity": "a", "leaseDurationSeconds": 40, "renewTime": "2026-11-21T12:00:00.000001Z"}}),
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "status": {
            "capacity": {"cpu": "4", "memory": "1Gi"}}}),
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"},
            "provisioner": "a.example/b"}),
    ]
}

fn case(method: Method, path: &str, content: &str, body: impl Into<Vec<u8>>) -> Case {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    Case {
        method,
        path: path.into(),
        query: query.split('&').filter_map(pair).collect(),
        content: content.into(),
        accept: JSON.into(),
        body: body.into(),
    }
}

pub(super) fn requests() -> Vec<Case> {
    let mut requests = Vec::new();
    for object in objects() {
        let path = path_of(&object).unwrap();
        let (folder, name) = path.rsplit_once('/').unwrap();
        let mut fresh = object.clone();
        fresh["metadata"]["name"] = "fresh".into();
        let sent = |object: &Value| object.to_string().into_bytes();
        requests.push(case(Method::POST, folder, JSON, sent(&fresh)));
        requests.push(case(Method::PUT, &path, JSON, sent(&object)));
        let binary = api::protobuf::encode(&sent(&fresh)).unwrap();
        let posted = Case { accept: PROTOBUF.into(), ..case(Method::POST, folder, PROTOBUF, binary) };
        requests.push(posted);
        let applied = format!("{path}?fieldManager=fuzz&force=true");
        requests.push(case(Method::PATCH, &applied, "application/apply-patch+yaml", sent(&object)));
        let strategic = "application/strategic-merge-patch+json";
        requests.push(case(Method::PATCH, &path, strategic, sent(&object)));
        requests.push(case(Method::PATCH, &path, "application/merge-patch+json", sent(&object)));
        requests.push(case(Method::GET, &path, "", []));
        requests.push(case(Method::GET, &format!("{folder}?limit=2&labelSelector=app=web"), "", []));
        let deletion = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 3,
            "propagationPolicy": "Background", "preconditions": {"uid": name}});
        requests.push(case(Method::DELETE, &path, JSON, sent(&deletion)));
    }
    requests.extend(patches());
    requests.extend(lists());
    requests.extend(below());
    requests
}

fn patches() -> Vec<Case> {
    const STRATEGIC: &str = "application/strategic-merge-patch+json";
    const OPERATIONS: &str = "application/json-patch+json";
    let web = "/apis/apps/v1/namespaces/shop/deployments/web";
    let page = "/api/v1/namespaces/shop/configmaps/page";
    vec![
        case(
            Method::PATCH,
            page,
            OPERATIONS,
            r#"[{"op":"add","path":"/data/x~1y~0z","value":"1"},
            {"op":"test","path":"/data/a","value":"b"},{"op":"copy","from":"/data","path":"/metadata/annotations"},
            {"op":"move","from":"/data/a","path":"/data/b"},{"op":"remove","path":"/data/c"},
            {"op":"replace","path":"/metadata/labels/app","value":"other"}]"#,
        ),
        case(
            Method::PATCH,
            web,
            OPERATIONS,
            r#"[{"op":"add","path":"/spec/template/spec/containers/-",
            "value":{"name":"b","image":"c"}},{"op":"remove","path":"/spec/template/spec/containers/0/env/0"}]"#,
        ),
        case(
            Method::PATCH,
            web,
            STRATEGIC,
            r#"{"spec":{"template":{"spec":{"$setElementOrder/containers":
            [{"name":"side"},{"name":"web"}],"containers":[{"name":"side","image":"s"},
            {"name":"web","env":[{"$patch":"delete","name":"A"}],"$setElementOrder/env":[]}],
            "volumes":[{"$retainKeys":["name","emptyDir"],"name":"v","emptyDir":{}}]}}}}"#,
        ),
        case(
            Method::PATCH,
            web,
            STRATEGIC,
            r#"{"metadata":{"$deleteFromPrimitiveList/finalizers":["a/b"],
            "finalizers":["c/d"],"labels":{"$patch":"replace","a":"b"}},"spec":{"strategy":{"$patch":"replace",
            "type":"Recreate"}}}"#,
        ),
        case(
            Method::PATCH,
            page,
            "application/merge-patch+json",
            r#"{"data":{"a":null,"n":"1"},"immutable":true}"#,
        ),
        case(
            Method::PATCH,
            &format!("{page}?fieldManager=other"),
            "application/apply-patch+yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: page, namespace: shop}\ndata: &d\n  a: \"x\"\n",
        ),
        case(
            Method::PATCH,
            page,
            "application/merge-patch+json",
            r#"{"metadata":{"managedFields":[{"manager":"m",
            "operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","time":"2026-01-01T00:00:00Z",
            "fieldsV1":{"f:data":{"f:a":{},".":{}},"k:{\"name\":\"x\"}":{},"v:1":{},"i:0":{}}}]}}"#,
        ),
    ]
}

fn lists() -> Vec<Case> {
    let token = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NSwic3RhcnQiOiIvcG9kcy9zaG9wL2EifQ";
    [
        "/api/v1/pods?fieldSelector=spec.nodeName=,status.phase!=Running&limit=1",
        "/api/v1/namespaces/shop/configmaps?labelSelector=app%20in%20(web,x),!none,tier!=back,n>1",
        "/api/v1/configmaps?resourceVersion=3&resourceVersionMatch=Exact",
        "/api/v1/namespaces/shop/pods?watch=true&resourceVersion=2&timeoutSeconds=1&allowWatchBookmarks=true",
        "/api/v1/namespaces/shop/secrets?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
        "/apis/apps/v1/deployments?pretty=true",
        "/openapi/v3/api/v1?hash=x",
        "/apis/apps/v1",
        "/api/v1/namespaces/shop/pods/one/log?tailLines=5&sinceSeconds=1&container=web",
        "/readyz?verbose&exclude=ping",
    ]
    .into_iter()
    .map(|path| case(Method::GET, path, "", []))
    .chain([
        case(Method::GET, &format!("/api/v1/namespaces/shop/pods?limit=1&continue={token}"), "", []),
        case(
            Method::DELETE,
            "/api/v1/namespaces/shop/secrets?labelSelector=app=none&fieldSelector=type=x",
            "",
            [],
        ),
    ])
    .collect()
}

fn below() -> Vec<Case> {
    let web = "/apis/apps/v1/namespaces/shop/deployments/web";
    let pod = "/api/v1/namespaces/shop/pods/one";
    vec![
        case(
            Method::PUT,
            &format!("{web}/scale"),
            JSON,
            r#"{"apiVersion":"autoscaling/v1","kind":"Scale",
            "metadata":{"name":"web","namespace":"shop"},"spec":{"replicas":3}}"#,
        ),
        case(
            Method::PATCH,
            &format!("{web}/scale"),
            "application/merge-patch+json",
            r#"{"spec":{"replicas":3}}"#,
        ),
        case(
            Method::PATCH,
            &format!("{web}/status"),
            "application/merge-patch+json",
            r#"{"status":{"replicas":1,
            "conditions":[{"type":"Available","status":"True"}]}}"#,
        ),
        case(
            Method::POST,
            &format!("{pod}/binding"),
            JSON,
            r#"{"apiVersion":"v1","kind":"Binding",
            "metadata":{"name":"one"},"target":{"apiVersion":"v1","kind":"Node","name":"n"}}"#,
        ),
        case(
            Method::POST,
            &format!("{pod}/eviction"),
            JSON,
            r#"{"apiVersion":"policy/v1","kind":"Eviction",
            "metadata":{"name":"one"},"deleteOptions":{"gracePeriodSeconds":1}}"#,
        ),
        case(
            Method::PATCH,
            &format!("{pod}/ephemeralcontainers"),
            "application/strategic-merge-patch+json",
            r#"{"spec":{"ephemeralContainers":[{"name":"debug","image":"busybox"}]}}"#,
        ),
        case(
            Method::PATCH,
            &format!("{pod}/resize"),
            "application/merge-patch+json",
            r#"{"spec":{"containers":[{"name":"web","image":"nginx","resources":{"limits":{"cpu":"200m"}}}]}}"#,
        ),
        case(
            Method::POST,
            "/api/v1/namespaces/shop/serviceaccounts/default/token",
            JSON,
            r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"audiences":["a"],
            "expirationSeconds":3600,"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"one"}}}"#,
        ),
        case(
            Method::POST,
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            JSON,
            r#"{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{"user":"a",
            "groups":["b"],"resourceAttributes":{"verb":"get","resource":"pods","namespace":"shop"}}}"#,
        ),
        case(
            Method::PUT,
            "/api/v1/namespaces/shop/finalize",
            JSON,
            r#"{"apiVersion":"v1","kind":"Namespace",
            "metadata":{"name":"shop"},"spec":{"finalizers":["kubernetes"]}}"#,
        ),
        case(
            Method::POST,
            "/apis/extensions/v1beta1/namespaces/shop/ingresses",
            JSON,
            r#"{"apiVersion":"extensions/v1beta1","kind":"Ingress","metadata":{"name":"old"},"spec":{"backend":
            {"serviceName":"web","servicePort":"http"}}}"#,
        ),
        case(
            Method::POST,
            "/apis/autoscaling/v2beta1/namespaces/shop/horizontalpodautoscalers",
            JSON,
            r#"{"metadata":{"name":"old"},"spec":{"maxReplicas":3,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},
            "metrics":[{"type":"Resource","resource":{"name":"cpu","targetAverageUtilization":60}}]}}"#,
        ),
        case(
            Method::POST,
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            JSON,
            r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":
            {"name":"as.b.example"},"spec":{"group":"b.example","scope":"Namespaced","names":{"plural":"as","kind":"A"},
            "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object",
            "properties":{"spec":{"type":"object","not":{"items":{"anyOf":[{"default":{"a":1}}]}}}}}}}]}}"#,
        ),
        case(
            Method::POST,
            "/api/v1/namespaces/shop/events",
            JSON,
            r#"{"apiVersion":"v1","kind":"Event","metadata":
            {"generateName":"e-"},"involvedObject":{"kind":"Pod","name":"one","namespace":"shop"},"type":"Normal",
            "reason":"R","message":"m","count":1,"firstTimestamp":"2026-01-01T00:00:00Z"}"#,
        ),
    ]
}
