//! Objects read and written in another version than they are stored in.

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use crate::Api;

const INGRESSES: &str = "/apis/extensions/v1beta1/namespaces/shop/ingresses";
const STORED: &str = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/web";

fn ingress() -> Value {
    json!({"apiVersion": "extensions/v1beta1", "kind": "Ingress", "metadata": {"name": "web"},
        "spec": {"rules": [{"http": {"paths": [{"backend": {"serviceName": "a", "servicePort": 80}}]}}]}})
}

fn backend(ingress: &Value) -> &Value {
    &ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]
}

#[tokio::test]
async fn every_verb_speaks_the_old_version() {
    let api = Api::start().await;
    let (code, made) = api.post(INGRESSES, ingress()).await;
    assert_eq!((code, &made["apiVersion"]), (201, &json!("extensions/v1beta1")), "{made}");
    assert_eq!(*backend(&made), json!({"serviceName": "a", "servicePort": 80}));
    let (_, stored) = api.get(STORED).await;
    assert_eq!(*backend(&stored), json!({"service": {"name": "a", "port": {"number": 80}}}));
    let one = format!("{INGRESSES}/web");
    let change =
        json!([{"op": "replace", "path": "/spec/rules/0/http/paths/0/backend/servicePort", "value": "http"}]);
    let (code, patched) = api.call(Method::PATCH, &one, "application/json-patch+json", Some(change)).await;
    assert_eq!((code, &backend(&patched)["servicePort"]), (200, &json!("http")), "{patched}");
    let mut next = patched;
    next["spec"]["rules"][0]["http"]["paths"][0]["backend"]["serviceName"] = "b".into();
    assert_eq!(api.put(&one, next).await.0, 200);
    let (_, list) = api.get(INGRESSES).await;
    assert_eq!((&list["apiVersion"], &list["kind"]), (&json!("extensions/v1beta1"), &json!("IngressList")));
    assert_eq!(*backend(&list["items"][0]), json!({"serviceName": "b", "servicePort": "http"}));
    assert_eq!(list["items"][0].get("apiVersion"), None);
    let mut applied = ingress();
    applied["spec"]["rules"][0]["http"]["paths"][0]["backend"]["serviceName"] = "c".into();
    let apply = format!("{one}?fieldManager=me&force=true");
    let (code, laid) = api.call(Method::PATCH, &apply, "application/apply-patch+yaml", Some(applied)).await;
    assert_eq!((code, &backend(&laid)["serviceName"]), (200, &json!("c")), "{laid}");
    assert_eq!(api.delete(&one, None).await.0, 200);
    assert_eq!(api.get(STORED).await.0, 404);
}

#[tokio::test]
async fn a_watch_speaks_it_too_and_warns() {
    let api = Api::start().await;
    assert_eq!(api.post(INGRESSES, ingress()).await.0, 201);
    let request = Request::builder().uri(format!("{INGRESSES}?watch=1&resourceVersion=0"));
    let request = request.extension(apiserver::User::new("root", ["system:masters"]));
    let mut answer = api.send(request.body(Full::default()).unwrap()).await;
    assert_eq!(
        answer.headers()["warning"],
        "299 - \"extensions/v1beta1 Ingress is deprecated in v1.14+, unavailable in v1.22+; use networking.k8s.io/v1 Ingress\""
    );
    let line = answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    let event: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["apiVersion"]),
        (&json!("ADDED"), &json!("extensions/v1beta1"))
    );
    assert_eq!(backend(&event["object"])["servicePort"], 80);
}

#[tokio::test]
async fn an_autoscaler_is_one_object_in_four_versions() {
    let api = Api::start().await;
    let path =
        |version: &str| format!("/apis/autoscaling/{version}/namespaces/shop/horizontalpodautoscalers");
    let sent = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"}, "spec":
        {"maxReplicas": 3, "targetCPUUtilizationPercentage": 70,
        "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}});
    let (code, made) = api.post(&path("v1"), sent).await;
    assert_eq!((code, &made["spec"]["targetCPUUtilizationPercentage"]), (201, &json!(70)), "{made}");
    let target = json!({"type": "Utilization", "averageUtilization": 70});
    for (version, field, expected) in [
        ("v2", "target", &target),
        ("v2beta2", "target", &target),
        ("v2beta1", "targetAverageUtilization", &json!(70)),
    ] {
        let (_, read) = api.get(&format!("{}/a", path(version))).await;
        assert_eq!(read["apiVersion"], format!("autoscaling/{version}"));
        assert_eq!(&read["spec"]["metrics"][0]["resource"][field], expected, "{version}");
    }
    let merge = json!({"spec": {"targetCPUUtilizationPercentage": 60}});
    let one = format!("{}/a", path("v1"));
    let (code, merged) = api.call(Method::PATCH, &one, "application/merge-patch+json", Some(merge)).await;
    assert_eq!((code, &merged["spec"]["targetCPUUtilizationPercentage"]), (200, &json!(60)), "{merged}");
}

#[tokio::test]
async fn events_are_selected_by_the_names_of_their_version() {
    let api = Api::start().await;
    let events = "/apis/events.k8s.io/v1/namespaces/shop/events";
    let event = |name: &str, pod: &str| {
        json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name, "namespace": "shop"},
            "regarding": {"kind": "Pod", "name": pod, "namespace": "shop"}, "note": "hi", "reason": "R", "action": "A",
            "eventTime": "2026-01-02T03:04:05.000006Z", "type": "Normal", "reportingController": "c/d",
            "reportingInstance": "i"})
    };
    for (name, pod) in [("a", "x"), ("b", "y")] {
        let (code, made) = api.post(events, event(name, pod)).await;
        assert_eq!((code, &made["note"]), (201, &json!("hi")), "{made}");
    }
    let (_, found) = api.get(&format!("{events}?fieldSelector=regarding.name%3Dy")).await;
    let names: Vec<&Value> =
        found["items"].as_array().unwrap().iter().map(|item| &item["metadata"]["name"]).collect();
    assert_eq!(names, ["b"]);
    let (_, core) = api.get("/api/v1/namespaces/shop/events/a").await;
    assert_eq!((&core["message"], &core["involvedObject"]["name"]), (&json!("hi"), &json!("x")));
}

#[tokio::test]
async fn what_the_old_version_does_not_have_is_refused() {
    let api = Api::start().await;
    let mut wrong = ingress();
    wrong["spec"]["nonsense"] = 1.into();
    let (code, refused) = api.post(&format!("{INGRESSES}?fieldValidation=Strict"), wrong).await;
    assert_eq!(code, 400);
    assert!(refused["message"].as_str().unwrap().contains("unknown field \"spec.nonsense\""), "{refused}");
    assert_eq!(api.get("/apis/extensions/v1beta1/namespaces/shop/deployments/a/scale").await.0, 404);
}

#[tokio::test]
async fn what_only_the_new_version_has_the_old_one_does_not_know() {
    let api = Api::start().await;
    let scalers =
        |version: &str| format!("/apis/autoscaling/{version}/namespaces/shop/horizontalpodautoscalers");
    let scaler = |version: &str, more: Value| {
        let mut spec = json!({"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"apiVersion": format!("autoscaling/{version}"), "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "a"}, "spec": spec})
    };
    let utilization = json!({"type": "Utilization", "averageUtilization": 7});
    let metrics = json!([{"type": "Resource", "resource": {"name": "memory", "target": utilization}}]);
    let tolerant = json!({"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 5}], "tolerance": "0.5"}});
    let mut new = ingress();
    new["spec"]["defaultBackend"] = json!({"service": {"name": "a", "port": {"number": 80}}});
    for (path, body, field) in [
        (scalers("v1"), scaler("v1", json!({"metrics": metrics})), "spec.metrics"),
        (scalers("v1"), scaler("v1", json!({"behavior": tolerant})), "spec.behavior"),
        (
            scalers("v2beta1"),
            scaler("v2beta1", json!({"metrics": metrics})),
            "spec.metrics[0].resource.target",
        ),
        (
            scalers("v2beta2"),
            scaler("v2beta2", json!({"behavior": tolerant})),
            "spec.behavior.scaleDown.tolerance",
        ),
        (INGRESSES.to_owned(), new, "spec.defaultBackend"),
    ] {
        let (code, refused) =
            api.post(&format!("{path}?fieldValidation=Strict&dryRun=All"), body.clone()).await;
        let why = format!("strict decoding error: unknown field \"{field}\"");
        assert!(code == 400 && refused["message"].as_str().unwrap().ends_with(&why), "{refused}");
        let apply = format!("{path}/{}?fieldManager=me", body["metadata"]["name"].as_str().unwrap());
        let (code, refused) =
            api.call(Method::PATCH, &apply, "application/apply-patch+yaml", Some(body)).await;
        let why = format!(".{field}: field not declared in schema");
        assert!(code == 500 && refused["message"].as_str().unwrap().ends_with(&why), "{refused}");
    }
    let (code, made) = api.post(&scalers("v1"), scaler("v1", json!({"metrics": metrics}))).await;
    assert_eq!((code, &made["spec"]["targetCPUUtilizationPercentage"]), (201, &json!(80)), "dropped: {made}");
}

#[tokio::test]
async fn an_autoscaler_loses_nothing_by_a_change_in_an_old_version() {
    let api = Api::start().await;
    let path =
        |version: &str| format!("/apis/autoscaling/{version}/namespaces/shop/horizontalpodautoscalers");
    let sent = json!({"metadata": {"name": "a"}, "spec": {"maxReplicas": 3,
        "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
        "behavior": {"scaleDown": {"tolerance": "500m", "stabilizationWindowSeconds": 0}},
        "metrics": [{"type": "Object", "object": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "2"},
            "describedObject": {"kind": "Service", "name": "s", "apiVersion": "v1"}}}]}});
    let (code, made) = api.post(&path("v2"), sent).await;
    assert_eq!(code, 201, "{made}");
    for version in ["v1", "v2beta1", "v2beta2"] {
        let one = format!("{}/a", path(version));
        let (_, mut read) = api.get(&one).await;
        read["metadata"]["labels"] = json!({"seen": version});
        let (code, written) = api.put(&one, read).await;
        assert_eq!((code, &written["metadata"]["labels"]["seen"]), (200, &json!(version)), "{written}");
        let (_, now) = api.get(&format!("{}/a", path("v2"))).await;
        assert_eq!((&now["spec"], now["metadata"].get("annotations")), (&made["spec"], None), "{version}");
        assert_eq!(now["metadata"]["generation"], 1);
    }
}
