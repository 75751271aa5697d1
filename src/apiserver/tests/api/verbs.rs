//! The verbs, on the kinds that need nothing else.

use super::*;

const MAPS: &str = "/api/v1/namespaces/shop/configmaps";

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": name}}, "data": {"k": "v"}})
}

pub(super) fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_replacement_need_not_repeat_its_namespace() {
    let api = Api::start().await;
    let map = json!({"metadata": {"name": "a"}, "data": {"k": "v"}});
    assert_eq!(api.post("/api/v1/namespaces/shop/configmaps", map.clone()).await.0, 201);
    let (code, replaced) = api.put("/api/v1/namespaces/shop/configmaps/a", map).await;
    assert_eq!((code, &replaced["metadata"]["namespace"]), (200, &json!("shop")), "{replaced}");
}

#[tokio::test]
async fn an_object_lives_and_ends() {
    let api = Api::start().await;
    let (code, made) = api.post(MAPS, map("a")).await;
    assert_eq!(code, 201);
    assert_eq!((&made["kind"], &made["data"]["k"]), (&json!("ConfigMap"), &json!("v")));
    assert!(made["metadata"]["uid"].as_str().unwrap().len() == 36);
    assert_eq!(api.get(&format!("{MAPS}/a")).await, (200, made.clone()));
    let (code, again) = api.post(MAPS, map("a")).await;
    assert_eq!((code, &again["reason"]), (409, &json!("AlreadyExists")));
    assert_eq!(again["message"], "configmaps \"a\" already exists");
    let mut next = made.clone();
    next["data"]["k"] = "w".into();
    let (code, changed) = api.put(&format!("{MAPS}/a"), next.clone()).await;
    assert_eq!((code, &changed["data"]["k"]), (200, &json!("w")));
    let (code, conflict) = api.put(&format!("{MAPS}/a"), next).await;
    assert_eq!((code, &conflict["reason"]), (409, &json!("Conflict")));
    let (code, same) = api.put(&format!("{MAPS}/a"), changed.clone()).await;
    assert_eq!((code, same), (200, changed), "a change of nothing is none");
    let (code, gone) = api.delete(&format!("{MAPS}/a"), None).await;
    assert_eq!((code, &gone["status"]), (200, &json!("Success")));
    let (code, missing) = api.get(&format!("{MAPS}/a")).await;
    assert_eq!((code, &missing["message"]), (404, &json!("configmaps \"a\" not found")));
}

#[tokio::test]
async fn lists_select_and_go_on_where_they_stopped() {
    let api = Api::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        api.post(MAPS, map(name)).await;
    }
    let (_, page) = api.get(&format!("{MAPS}?limit=2")).await;
    assert_eq!((names(&page), &page["metadata"]["remainingItemCount"]), (vec!["a", "b"], &json!(3)));
    let token = page["metadata"]["continue"].as_str().unwrap();
    // What happens between the pages does not show: the list is of one moment.
    api.delete(&format!("{MAPS}/c"), None).await;
    api.post(MAPS, map("cc")).await;
    let (_, rest) = api.get(&format!("{MAPS}?limit=9&continue={token}")).await;
    assert_eq!(names(&rest), ["c", "d", "e"]);
    assert_eq!(rest["metadata"]["resourceVersion"], page["metadata"]["resourceVersion"]);
    let (_, now) = api.get(MAPS).await;
    assert_eq!(names(&now), ["a", "b", "cc", "d", "e"]);
    assert_eq!(now["items"][0].get("kind"), None, "as upstream for built-in kinds");
    let (_, labelled) = api.get(&format!("{MAPS}?labelSelector=app+in+(b,cc)")).await;
    assert_eq!(names(&labelled), ["b", "cc"]);
    let (_, named) = api.get(&format!("{MAPS}?fieldSelector=metadata.name%3Dd")).await;
    assert_eq!(names(&named), ["d"]);
    let (code, refused) = api.get(&format!("{MAPS}?fieldSelector=spec.x%3Dd")).await;
    assert_eq!(code, 400, "{refused}");
    let (_, everywhere) = api.get("/api/v1/configmaps").await;
    assert_eq!(names(&everywhere).len(), 5);
    assert_eq!(api.get(&format!("{MAPS}?continue=x")).await.0, 400);
}

#[tokio::test]
async fn a_watch_tells_what_happened_since() {
    let api = Api::start().await;
    let (_, first) = api.post(MAPS, map("a")).await;
    let since = first["metadata"]["resourceVersion"].as_str().unwrap();
    api.post(MAPS, map("b")).await;
    let merge = "application/merge-patch+json";
    let moved = json!({"metadata": {"labels": {"app": "other"}}});
    api.call(Method::PATCH, &format!("{MAPS}/b"), merge, Some(moved)).await;
    api.delete(&format!("{MAPS}/b"), None).await;
    let lines = |answer: Answer| -> Vec<String> {
        let text = answer.1.as_str().unwrap().to_string();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events
            .map(|event| {
                format!("{} {}", event["type"].as_str().unwrap(), event["object"]["metadata"]["name"])
            })
            .collect()
    };
    let watched = api.get(&format!("{MAPS}?watch=1&resourceVersion={since}&timeoutSeconds=1")).await;
    assert_eq!(lines(watched), ["ADDED \"b\"", "MODIFIED \"b\"", "DELETED \"b\""]);
    let selected = api
        .get(&format!("{MAPS}?watch=1&resourceVersion={since}&timeoutSeconds=1&labelSelector=app%3Db"))
        .await;
    assert_eq!(lines(selected), ["ADDED \"b\"", "DELETED \"b\""], "who no longer matches is gone");
    let (code, future) = api.get(&format!("{MAPS}?watch=1&resourceVersion=99999999")).await;
    assert_eq!(code, 504, "{future}");
}

#[tokio::test]
async fn patches_that_name_no_revision_all_count_however_many_come_at_once() {
    let api = Api::start().await;
    let map = json!({"metadata": {"name": "page", "namespace": "shop"}});
    api.post("/api/v1/namespaces/shop/configmaps", map).await;
    let one = |number: usize| {
        let patch = json!({"data": {number.to_string(): "here"}});
        api.call(
            Method::PATCH,
            "/api/v1/namespaces/shop/configmaps/page",
            "application/merge-patch+json",
            Some(patch),
        )
    };
    let answers = futures_util::future::join_all((0..12).map(one)).await;
    assert!(answers.iter().all(|(code, _)| *code == 200), "{answers:?}");
    let (_, page) = api.get("/api/v1/namespaces/shop/configmaps/page").await;
    assert_eq!(page["data"].as_object().unwrap().len(), 12);
}

#[tokio::test]
async fn patches_change_what_they_name() {
    let api = Api::start().await;
    api.post(MAPS, map("a")).await;
    let path = format!("{MAPS}/a");
    let patch = |content: &'static str, body: Value| api.call(Method::PATCH, &path, content, Some(body));
    let (_, merged) = patch("application/merge-patch+json", json!({"data": {"k": null, "x": "1"}})).await;
    assert_eq!(merged["data"], json!({"x": "1"}));
    let operations = json!([{"op": "add", "path": "/data/y", "value": "2"}, {"op": "test", "path": "/data/x", "value": "1"}]);
    let (_, added) = patch("application/json-patch+json", operations).await;
    assert_eq!(added["data"], json!({"x": "1", "y": "2"}));
    let (_, strategic) =
        patch("application/strategic-merge-patch+json", json!({"data": {"$patch": "replace", "z": "3"}}))
            .await;
    assert_eq!(strategic["data"], json!({"z": "3"}));
    let (code, unknown) = patch("application/merge-patch+json", json!({"metadata": {"name": "b"}})).await;
    assert_eq!(code, 400, "{unknown}");
    assert_eq!(patch("text/plain", json!({})).await.0, 415);
}

#[tokio::test]
async fn applied_fields_have_owners() {
    let api = Api::start().await;
    let apply = |manager: &'static str, force: bool, data: Value| {
        let path = format!("{MAPS}/a?fieldManager={manager}&force={force}");
        let object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
        let api = &api;
        async move { api.call(Method::PATCH, &path, "application/apply-patch+yaml", Some(object)).await }
    };
    let (code, made) = apply("ann", false, json!({"k": "1", "mine": "x"})).await;
    assert_eq!((code, &made["data"]), (201, &json!({"k": "1", "mine": "x"})));
    let (code, conflict) = apply("bob", false, json!({"k": "2"})).await;
    assert_eq!((code, &conflict["details"]["causes"][0]["reason"]), (409, &json!("FieldManagerConflict")));
    assert_eq!(conflict["message"], "Apply failed with 1 conflict: conflict with \"ann\": .data.k");
    let (code, forced) = apply("bob", true, json!({"k": "2"})).await;
    assert_eq!((code, &forced["data"]), (200, &json!({"k": "2", "mine": "x"})));
    let (_, dropped) = apply("ann", false, json!({})).await;
    assert_eq!(dropped["data"], json!({"k": "2"}), "what ann alone owned and no longer states is gone");
    let managers: Vec<_> = dropped["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["manager"])
        .collect();
    assert!(managers.contains(&&json!("bob")), "{managers:?}");
    let nobody =
        api.call(Method::PATCH, &format!("{MAPS}/a"), "application/apply-patch+yaml", Some(json!({}))).await;
    assert_eq!(nobody.0, 422);
}

#[tokio::test]
async fn finalizers_and_namespaces_hold_what_is_deleted() {
    let api = Api::start().await;
    let mut held = map("a");
    held["metadata"]["finalizers"] = json!(["example.com/wait"]);
    api.post(MAPS, held).await;
    let (code, begun) = api.delete(&format!("{MAPS}/a"), None).await;
    assert_eq!(code, 200);
    assert!(begun["metadata"]["deletionTimestamp"].is_string());
    let free = json!({"metadata": {"finalizers": null}});
    let (code, _) =
        api.call(Method::PATCH, &format!("{MAPS}/a"), "application/merge-patch+json", Some(free)).await;
    assert_eq!(code, 200);
    assert_eq!(api.get(&format!("{MAPS}/a")).await.0, 404);
    let (_, made) = api.post(MAPS, map("b")).await;
    let other = json!({"preconditions": {"uid": "another"}});
    let (code, refused) = api.delete(&format!("{MAPS}/b"), Some(other)).await;
    assert_eq!((code, &refused["reason"]), (409, &json!("Conflict")));
    let this = json!({"preconditions": {"uid": made["metadata"]["uid"]}});
    assert_eq!(api.delete(&format!("{MAPS}/b"), Some(this)).await.0, 200);
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong() {
    let api = Api::start().await;
    let (code, missing) = api.post("/api/v1/namespaces/nowhere/configmaps", map("a")).await;
    assert_eq!((code, &missing["message"]), (404, &json!("namespaces \"nowhere\" not found")));
    let (code, invalid) = api.post(MAPS, json!({"metadata": {"name": "Not A Name"}})).await;
    assert_eq!((code, &invalid["details"]["causes"][0]["field"]), (422, &json!("metadata.name")));
    let (code, typed) = api.post(MAPS, json!({"metadata": {"name": "a"}, "data": {"k": 1}})).await;
    assert_eq!(code, 400, "{typed}");
    let (code, strict) = api
        .post(&format!("{MAPS}?fieldValidation=Strict"), json!({"metadata": {"name": "a"}, "date": {}}))
        .await;
    assert_eq!(code, 400);
    assert!(
        strict["message"].as_str().unwrap().ends_with("strict decoding error: unknown field \"date\""),
        "{strict}"
    );
    assert_eq!(api.post(MAPS, json!([1])).await.0, 400);
    assert_eq!(api.put(&format!("{MAPS}/b"), map("a")).await.0, 400);
    assert_eq!(api.get("/api/v1/nothing").await.0, 404);
    assert_eq!(api.call(Method::DELETE, "/version", "application/json", None).await.0, 405);
    let (code, large) = api.post(MAPS, json!({"data": {"k": "x".repeat(4 << 20)}})).await;
    assert_eq!((code, &large["reason"]), (413, &json!("RequestEntityTooLarge")));
}

#[tokio::test]
async fn the_unknown_and_the_unentitled_are_refused() {
    let api = Api::start().await;
    let unknown = api.send(Request::get(MAPS).body(Full::default()).unwrap()).await;
    assert_eq!(unknown.status(), 401);
    let request = Request::get(MAPS).extension(User::new("eve", [""; 0])).body(Full::default()).unwrap();
    let refused = api.send(request).await;
    assert_eq!(refused.status(), 403);
    let body: Value =
        serde_json::from_slice(&refused.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(
        body["message"],
        "configmaps is forbidden: User \"eve\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"shop\""
    );
    let alive = api.send(Request::get("/livez").body(Full::default()).unwrap()).await;
    assert_eq!(alive.status(), 200);
}

#[tokio::test]
async fn the_server_tells_how_it_does() {
    let api = Api::start().await;
    api.post(MAPS, map("a")).await;
    assert_eq!(api.get(&format!("{MAPS}/none")).await.0, 404);
    let watched = api.send(
        Request::get(format!("{MAPS}?watch=1"))
            .extension(User::new("root", ["system:masters"]))
            .body(Full::default())
            .unwrap(),
    );
    let watched = watched.await;
    let text = async || api.get("/metrics").await.1.as_str().unwrap().to_owned();
    let of = |verb: &str, scope: &str| {
        format!(
            "component=\"apiserver\",group=\"\",resource=\"configmaps\",scope=\"{scope}\",subresource=\"\",verb=\"{verb}\",version=\"v1\""
        )
    };
    let told = text().await;
    for line in [
        format!("apiserver_request_total{{code=\"201\",{}}} 1", of("POST", "resource")),
        format!("apiserver_request_total{{code=\"404\",{}}} 1", of("GET", "resource")),
        format!("apiserver_request_duration_seconds_count{{{}}} 1", of("POST", "resource")),
        format!("apiserver_longrunning_requests{{{}}} 1", of("WATCH", "namespace")),
        "apiserver_storage_objects{resource=\"configmaps\"} 1".to_owned(),
    ] {
        assert!(told.lines().any(|told| told == line), "{line} is missing in\n{told}");
    }
    assert!(told.contains("process_resident_memory_bytes "), "{told}");
    drop(watched);
    let ended = format!("apiserver_longrunning_requests{{{}}} 0", of("WATCH", "namespace"));
    assert!(text().await.lines().any(|told| told == ended), "a watch ends when nobody reads it");
}

/// Somebody who may do this in the namespace, to all that is in it.
async fn user(api: &Api, verbs: &[&str]) -> User {
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop";
    let role = json!({"metadata": {"name": "some"}, "rules": [{"verbs": verbs, "apiGroups": ["*"], "resources": ["*"]}]});
    assert_eq!(api.post(&format!("{roles}/roles"), role).await.0, 201);
    let binding = json!({"metadata": {"name": "some"}, "subjects": [{"kind": "User", "name": "ann",
        "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "some"}});
    assert_eq!(api.post(&format!("{roles}/rolebindings"), binding).await.0, 201);
    api.server.read_access_rights();
    User::new("ann", [""; 0])
}

#[tokio::test]
async fn an_update_of_what_is_not_there_makes_it_where_upstream_does() {
    let api = Api::start().await;
    let leases = "/apis/coordination.k8s.io/v1/namespaces/shop/leases";
    let lease = |more: Value| {
        let mut lease = json!({"metadata": {"name": "turn"}, "spec": {"holderIdentity": "a"}});
        lease["metadata"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        lease
    };
    let path = format!("{leases}/turn");
    let (code, gone) = api.put(&path, lease(json!({"uid": "u"}))).await;
    assert_eq!((code, &gone["reason"]), (409, &json!("Conflict")), "{gone}");
    assert!(
        gone["message"].as_str().unwrap().ends_with("UID in precondition: u, UID in object meta: "),
        "{gone}"
    );
    let (code, made) = api.put(&path, lease(json!({}))).await;
    assert_eq!((code, &made["spec"]["holderIdentity"]), (201, &json!("a")), "{made}");
    assert_eq!(api.put(&path, made).await.0, 200);
    assert_eq!(api.put(&format!("{MAPS}/none"), map("none")).await.0, 404);
    assert_eq!(
        api.put("/apis/storage.k8s.io/v1/csinodes/n", json!({"metadata": {"name": "n"}})).await.0,
        404
    );
}

#[tokio::test]
async fn whoever_makes_something_by_a_change_must_be_allowed_to_make_it() {
    let api = Api::start().await;
    let ann = user(&api, &["update", "patch"]).await;
    let send = async |method: Method, path: &str, content: &str, body: Value| {
        let request = Request::builder().method(method).uri(path).header("content-type", content);
        let request = request.extension(ann.clone()).body(Full::from(body.to_string())).unwrap();
        let answer = api.send(request).await;
        let code = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (code, serde_json::from_slice::<Value>(&body).unwrap()["message"].clone())
    };
    let lease = json!({"metadata": {"name": "turn"}});
    let path = "/apis/coordination.k8s.io/v1/namespaces/shop/leases/turn";
    let (code, message) = send(Method::PUT, path, "application/json", lease).await;
    let sentence = "leases.coordination.k8s.io \"turn\" is forbidden: User \"ann\" cannot create resource \"leases\" in API \
                    group \"coordination.k8s.io\" in the namespace \"shop\"";
    assert_eq!((code, message), (403, json!(sentence)));
    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let path = format!("{MAPS}/a?fieldManager=t");
    assert_eq!(send(Method::PATCH, &path, "application/apply-patch+yaml", applied.clone()).await.0, 403);
    assert_eq!(api.post(MAPS, map("a")).await.0, 201);
    assert_eq!(send(Method::PATCH, &path, "application/apply-patch+yaml", applied).await.0, 200);
}

#[tokio::test]
async fn a_new_object_has_no_revision_and_no_other_birthday() {
    let api = Api::start().await;
    let mut copied = map("a");
    copied["metadata"]["resourceVersion"] = "7".into();
    let (code, refused) = api.post(MAPS, copied.clone()).await;
    let sentence = "resourceVersion should not be set on objects to be created";
    assert_eq!((code, &refused["message"], refused.get("reason")), (500, &json!(sentence), None));
    assert_eq!(api.post(&format!("{MAPS}?dryRun=All"), copied).await.0, 201);
    let (_, made) = api.post(MAPS, map("a")).await;
    let mut changed = made.clone();
    changed["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z".into();
    changed["metadata"]["generation"] = 3.into();
    let (code, same) = api.put(&format!("{MAPS}/a"), changed).await;
    assert_eq!((code, &same), (200, &made));
}

#[tokio::test]
async fn a_default_that_is_younger_than_the_object_is_no_change_of_it() {
    let api = Api::start().await;
    let sets = "/apis/apps/v1/namespaces/shop/statefulsets";
    let set = json!({"metadata": {"name": "a"}, "spec": {"serviceName": "s", "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let (code, mut made) = api.post(sets, set).await;
    assert_eq!(
        (code, &made["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"]),
        (201, &json!(1)),
        "{made}"
    );
    // As a release stored it that did not know the field yet.
    made["metadata"]["name"] = "old".into();
    made["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    made["spec"]["updateStrategy"]["rollingUpdate"].as_object_mut().unwrap().remove("maxUnavailable");
    let (metadata, spec) = (&made["metadata"], &made["spec"]);
    let stored = format!(
        r#"{{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{metadata},"spec":{spec},"status":{{}}}}"#
    );
    api.store.write(store::Write::create("/statefulsets.apps/shop/old", Bytes::from(stored))).await.unwrap();
    let labelled = json!({"metadata": {"labels": {"a": "b"}}});
    let path = format!("{sets}/old");
    let (code, changed) =
        api.call(Method::PATCH, &path, "application/merge-patch+json", Some(labelled)).await;
    assert_eq!((code, &changed["metadata"]["generation"]), (200, &json!(1)), "{changed}");
}
