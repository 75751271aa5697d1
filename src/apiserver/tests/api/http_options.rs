//! The options of lists, watches, writes and deletes: what they do, and how they are refused.

use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use http_body_util::BodyStream;

use super::*;

const MAPS: &str = "/api/v1/namespaces/shop/configmaps";

async fn make(api: &Api, name: &str) -> Value {
    let (code, made) = api.post(MAPS, json!({"metadata": {"name": name, "labels": {"app": name}}})).await;
    assert_eq!(code, 201, "{made}");
    made
}

fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

async fn refusal(api: &Api, path: &str) -> (u16, String) {
    let (code, refused) = api.get(path).await;
    (code, refused["message"].as_str().unwrap_or_default().to_owned())
}

/// The events of a watch until its time is over.
async fn events(api: &Api, query: &str) -> Vec<Value> {
    let (code, text) = api.get(&format!("{MAPS}?watch=1&timeoutSeconds=1&{query}")).await;
    assert_eq!(code, 200, "{text}");
    let one = |text: &str| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // A single line is a document by itself.
    if text.is_object() { vec![text] } else { one(text.as_str().unwrap()) }
}

#[tokio::test]
async fn lists_are_of_the_moment_that_is_asked_for() {
    let api = Api::start().await;
    let first = revision(&make(&api, "a").await);
    let second = revision(&make(&api, "b").await);
    let listed = async |query: &str| {
        let (code, list) = api.get(&format!("{MAPS}?{query}")).await;
        assert_eq!(code, 200, "{query}: {list}");
        super::verbs::names(&list).join(" ")
    };
    assert_eq!(listed(&format!("resourceVersion={first}&resourceVersionMatch=Exact")).await, "a");
    assert_eq!(listed(&format!("resourceVersion={first}&resourceVersionMatch=NotOlderThan")).await, "a b");
    assert_eq!(listed(&format!("resourceVersion={first}")).await, "a b");
    assert_eq!(
        listed(&format!("resourceVersion={first}&limit=5")).await,
        "a",
        "a page is of the very revision"
    );
    assert_eq!(listed("resourceVersion=0").await, "a b");
    assert_eq!(listed("limit=-1").await, "a b");
    let far = second + 1_000_000;
    let (code, late) = api.get(&format!("{MAPS}?resourceVersion={far}")).await;
    assert_eq!((code, &late["reason"]), (504, &json!("Timeout")));
    assert_eq!(late["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
}

#[tokio::test]
async fn options_that_do_not_go_together_are_refused_in_upstreams_words() {
    let api = Api::start().await;
    let invalid = |why: &str| (422, format!("ListOptions.meta.k8s.io \"\" is invalid: {why}"));
    for (query, why) in [
        (
            "resourceVersionMatch=Exact",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ),
        (
            "resourceVersionMatch=Some&resourceVersion=1",
            "resourceVersionMatch: Unsupported value: \"Some\": supported values: \"Exact\", \"NotOlderThan\", \"\"",
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=1&continue=x",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided",
        ),
        ("sendInitialEvents=true", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
        (
            "watch=1&sendInitialEvents=true",
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            "watch=1&resourceVersionMatch=NotOlderThan",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
    ] {
        assert_eq!(refusal(&api, &format!("{MAPS}?{query}")).await, invalid(why), "{query}");
    }
    for (query, code, message) in [
        ("limit=x", 400, "strconv.ParseInt: parsing \"x\": invalid syntax"),
        (
            "resourceVersion=x",
            400,
            "invalid resource version: resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid syntax",
        ),
        (
            "watch=1&resourceVersion=x",
            422,
            "configmaps \"\" is invalid: resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid syntax",
        ),
        ("fieldSelector=a", 400, "invalid selector: 'a'; can't understand 'a'"),
        (
            "fieldSelector=spec.x%3D1",
            400,
            "\"spec.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
        ),
        ("continue=%3F", 400, "invalid continue token: continue key is not valid"),
    ] {
        let (told, said) = refusal(&api, &format!("{MAPS}?{query}")).await;
        assert_eq!((told, said.as_str()), (code, message), "{query}");
    }
}

#[tokio::test]
async fn a_page_of_a_forgotten_moment_goes_on_in_the_present_if_the_client_wants() {
    let api = Api::start().await;
    for name in ["a", "b", "c"] {
        make(&api, name).await;
    }
    let (_, page) = api.get(&format!("{MAPS}?limit=1")).await;
    let token = page["metadata"]["continue"].as_str().unwrap();
    let (code, _) = api.get(&format!("{MAPS}?continue={token}&resourceVersion=7")).await;
    assert_eq!(code, 400);
    // More than the store remembers.
    let one = format!("{MAPS}/c");
    let large = "x".repeat(900_000);
    for number in 0..12 {
        let patch = json!({"data": {"k": format!("{number}{large}")}});
        assert_eq!(api.call(Method::PATCH, &one, "application/merge-patch+json", Some(patch)).await.0, 200);
    }
    let (code, expired) = api.get(&format!("{MAPS}?limit=1&continue={token}")).await;
    assert_eq!((code, &expired["reason"]), (410, &json!("Expired")));
    let message = expired["message"].as_str().unwrap();
    assert!(
        message
            .starts_with("The provided continue parameter is too old to display a consistent list result.")
    );
    let onwards = expired["metadata"]["continue"].as_str().unwrap();
    let (code, rest) = api.get(&format!("{MAPS}?continue={onwards}")).await;
    assert_eq!((code, super::verbs::names(&rest)), (200, vec!["b", "c"]));
    let old = page["metadata"]["resourceVersion"].as_str().unwrap();
    let (code, gone) =
        refusal(&api, &format!("{MAPS}?resourceVersion={old}&resourceVersionMatch=Exact")).await;
    assert_eq!((code, gone.as_str()), (410, "The resourceVersion for the provided list is too old."));
    let told = events(&api, &format!("resourceVersion={old}")).await;
    assert_eq!((&told[0]["type"], &told[0]["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(told[0]["object"]["reason"], "Expired");
}

#[tokio::test]
async fn a_watch_begins_with_what_there_is_if_that_is_wanted() {
    let api = Api::start().await;
    let made = revision(&make(&api, "a").await);
    let types = |events: &[Value]| -> Vec<String> {
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    };
    let initial = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let told = events(&api, initial).await;
    assert_eq!(types(&told), ["ADDED", "BOOKMARK"]);
    let bookmark = &told[1]["object"];
    assert_eq!(bookmark["metadata"]["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    assert_eq!((&bookmark["kind"], revision(bookmark)), (&json!("ConfigMap"), made));
    let quiet = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
    let (_, nothing) = api.get(&format!("{MAPS}?watch=1&timeoutSeconds=1&{quiet}")).await;
    assert_eq!(nothing, "", "nothing of what there is");
    assert_eq!(types(&events(&api, "resourceVersion=0").await), ["ADDED"]);
}

#[tokio::test]
async fn deletes_follow_their_options_and_refuse_others() {
    let api = Api::start().await;
    let made = make(&api, "a").await;
    let one = format!("{MAPS}/a");
    let refused = async |options: Value| {
        let (code, refused) = api.delete(&one, Some(options)).await;
        (code, refused["message"].as_str().unwrap().to_owned())
    };
    let invalid = |why: &str| (422, format!("DeleteOptions.meta.k8s.io \"\" is invalid: {why}"));
    assert_eq!(
        refused(json!({"propagationPolicy": "Some"})).await,
        invalid(
            "propagationPolicy: Unsupported value: \"Some\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
        )
    );
    assert_eq!(
        refused(json!({"propagationPolicy": "Orphan", "orphanDependents": true})).await,
        invalid(
            "propagationPolicy: Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be both set"
        )
    );
    assert_eq!(refused(json!({"dryRun": ["Some"]})).await.0, 422);
    let damaged = refused(json!({"ignoreStoreReadErrorWithClusterBreakingPotential": true})).await;
    assert!(damaged.1.contains("Forbidden: an object that cannot be read"), "{damaged:?}");
    assert_eq!(refused(json!({"kind": "Pod"})).await.0, 400);
    let uid = made["metadata"]["uid"].as_str().unwrap();
    assert_eq!(
        refused(json!({"preconditions": {"uid": "x"}})).await,
        (
            409,
            format!(
                "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (x) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
            )
        )
    );
    let at = revision(&made);
    assert_eq!(
        refused(json!({"preconditions": {"resourceVersion": "1"}})).await,
        (
            409,
            format!(
                "Operation cannot be fulfilled on ConfigMap \"a\": the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ({at}). The object might have been modified"
            )
        )
    );
    for dry in [
        json!({"dryRun": ["All"]}),
        json!({"dryRun": ["All"], "propagationPolicy": "Foreground"}),
        json!({"dryRun": ["All"], "preconditions": null, "gracePeriodSeconds": null, "propagationPolicy": null}),
        json!({"dryRun": ["All"], "preconditions": {"uid": null}, "orphanDependents": null}),
    ] {
        assert_eq!(api.delete(&one, Some(dry)).await.0, 200);
    }
    assert_eq!(api.get(&one).await, (200, made), "nothing was done");
    let (code, begun) = api.delete(&one, Some(json!({"propagationPolicy": "Foreground"}))).await;
    assert_eq!((code, &begun["metadata"]["finalizers"]), (200, &json!(["foregroundDeletion"])));
    let mut held = json!({"metadata": {"name": "b", "finalizers": ["example.com/wait"]}});
    held["data"] = json!({});
    api.post(MAPS, held).await;
    let (code, _) = api.delete(&format!("{MAPS}/b?orphanDependents=false"), None).await;
    assert_eq!(code, 202, "accepted, and not done");
    // As Go reads it: what is null is not said.
    for nothing in [json!({"dryRun": null}), Value::Null] {
        make(&api, "c").await;
        assert_eq!(api.delete(&format!("{MAPS}/c"), Some(nothing)).await.0, 200);
    }
    let accounts = "/api/v1/namespaces/shop/serviceaccounts";
    let (code, shown) = api.delete(&format!("{accounts}/default"), None).await;
    assert_eq!((code, &shown["kind"]), (200, &json!("ServiceAccount")), "as it was");
}

#[tokio::test]
async fn a_collection_is_deleted_as_it_is_listed() {
    let api = Api::start().await;
    for name in ["a", "b", "c", "d"] {
        make(&api, name).await;
    }
    let left = async || super::verbs::names(&api.get(MAPS).await.1).join(" ");
    let (code, gone) = api.delete(&format!("{MAPS}?labelSelector=app%3Dc"), None).await;
    assert_eq!((code, super::verbs::names(&gone)), (200, vec!["c"]));
    assert_eq!((&gone["kind"], gone["items"][0].get("kind")), (&json!("ConfigMapList"), None));
    assert_eq!(left().await, "a b d");
    let (code, page) = api.delete(&format!("{MAPS}?limit=1"), None).await;
    assert_eq!((code, super::verbs::names(&page)), (200, vec!["a"]));
    assert_eq!((left().await, &page["metadata"]["remainingItemCount"]), ("b d".to_owned(), &json!(2)));
    let token = page["metadata"]["continue"].as_str().unwrap();
    let (_, page) = api.delete(&format!("{MAPS}?limit=1&continue={token}"), None).await;
    assert_eq!((super::verbs::names(&page), left().await), (vec!["b"], "d".to_owned()));
    let request = Request::delete(MAPS).header("accept", "application/json;as=Table;g=meta.k8s.io;v=v1");
    let request = request.extension(User::new("root", ["system:masters"])).body(Full::default()).unwrap();
    let table = api.send(request).await.into_body().collect().await.unwrap().to_bytes();
    let table: Value = serde_json::from_slice(&table).unwrap();
    assert_eq!((&table["kind"], &table["rows"][0]["cells"][0]), (&json!("Table"), &json!("d")));
    assert_eq!(left().await, "");
}

#[tokio::test]
async fn a_collection_is_deleted_though_others_delete_some_of_it() {
    let gate = Arc::<tokio::sync::Mutex<()>>::default();
    let api = Api::over(gated(&gate), None).await;
    for name in ["a", "b"] {
        make(&api, name).await;
    }
    let closed = gate.lock().await;
    let (one, all) = (format!("{MAPS}/a"), MAPS);
    let (mut other, mut ours) = (pin!(api.delete(&one, None)), pin!(api.delete(all, None)));
    assert!(other.as_mut().now_or_never().is_none(), "its write is on its way");
    assert!(ours.as_mut().now_or_never().is_none(), "and so is that of the one that it was faster than");
    drop(closed);
    assert_eq!(other.await.0, 200);
    let (code, gone) = ours.await;
    assert_eq!((code, super::verbs::names(&gone)), (200, vec!["a", "b"]), "{gone}");
    assert_eq!(api.get(MAPS).await.1["items"], json!([]));
}

#[tokio::test]
async fn a_grace_period_that_runs_can_only_be_made_shorter() {
    let api = Api::start().await;
    let pods = "/api/v1/namespaces/shop/pods";
    let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}});
    let (code, made) = api.post(pods, pod).await;
    assert_eq!(code, 201, "{made}");
    let one = format!("{pods}/p");
    let grace = async |seconds: Option<i64>| {
        let options = seconds.map(|seconds| json!({"gracePeriodSeconds": seconds}));
        let (code, pod) = api.delete(&one, options).await;
        assert_eq!(code, 200, "{pod}");
        pod["metadata"]["deletionGracePeriodSeconds"].as_i64()
    };
    assert_eq!(grace(None).await, Some(30));
    assert_eq!(grace(Some(60)).await, Some(30));
    assert_eq!(grace(Some(5)).await, Some(5));
    assert_eq!(grace(None).await, Some(5));
    assert_eq!(grace(Some(-1)).await, Some(1), "what is negative is a second");
    grace(Some(0)).await;
    assert_eq!(api.get(&one).await.0, 404);
}

#[tokio::test]
async fn writes_follow_their_options_and_refuse_others() {
    let api = Api::start().await;
    let map = |name: &str| json!({"metadata": {"name": name}, "data": {"k": "v"}});
    let dry = format!("{MAPS}?dryRun=All");
    assert_eq!(api.post(&dry, map("a")).await.0, 201);
    assert_eq!(api.get(&format!("{MAPS}/a")).await.0, 404);
    let made = make(&api, "a").await;
    let one = format!("{MAPS}/a?dryRun=All");
    let merge = "application/merge-patch+json";
    let (_, put) = api.put(&one, map("a")).await;
    assert_eq!(put["data"]["k"], "v", "{put}");
    assert_eq!(
        api.call(Method::PATCH, &one, merge, Some(json!({"data": {"x": "y"}}))).await.1["data"]["x"],
        "y"
    );
    let applied =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"z": "1"}});
    let apply = format!("{one}&fieldManager=me");
    assert_eq!(
        api.call(Method::PATCH, &apply, "application/apply-patch+yaml", Some(applied)).await.1["data"]["z"],
        "1"
    );
    assert_eq!(api.delete(&one, None).await.0, 200);
    assert_eq!(api.get(&format!("{MAPS}/a")).await, (200, made), "nothing was done");
    let (_, nameless) = api.put(&one, json!({"data": {}})).await;
    assert_eq!(
        nameless["message"],
        "the name of the object (a based on URL) was undeterminable: name must be provided"
    );
    let message = async |method: Method, query: &str, content: &str| {
        let (code, refused) = api.call(method, &format!("{MAPS}/a?{query}"), content, Some(map("a"))).await;
        (code, refused["message"].as_str().unwrap().to_owned())
    };
    let json = "application/json";
    assert_eq!(
        message(Method::PUT, "dryRun=Some", json).await,
        (422, "UpdateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"".into())
    );
    assert_eq!(
        message(Method::PUT, "fieldValidation=Some", json).await,
        (422, "UpdateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"Some\": supported values: \"Ignore\", \"Strict\", \"Warn\"".into())
    );
    assert_eq!(
        message(Method::PATCH, "force=true", merge).await,
        (422, "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch".into())
    );
    assert_eq!(
        message(Method::PATCH, "", "application/apply-patch+yaml").await,
        (422, "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch".into())
    );
    let long = format!("{MAPS}?fieldManager={}", "m".repeat(129));
    assert_eq!(api.post(&long, map("b")).await.0, 422);
}

#[tokio::test]
async fn fields_that_are_unknown_or_said_twice_are_told_of_as_the_client_wants() {
    let api = Api::start().await;
    let body = r#"{"metadata":{"name":"NAME"},"data":{"k":"v","k":"w"},"date":{}}"#;
    let send = async |name: &str, query: &str| {
        let request =
            Request::post(format!("{MAPS}?{query}")).extension(User::new("root", ["system:masters"]));
        let request = request.header("content-type", "application/json");
        let answer = api.send(request.body(Full::from(body.replace("NAME", name))).unwrap()).await;
        let warnings: Vec<String> = answer
            .headers()
            .get_all("warning")
            .iter()
            .map(|text| text.to_str().unwrap().to_owned())
            .collect();
        let code = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (code, warnings, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let expected = ["299 - \"duplicate field \\\"data.k\\\"\"", "299 - \"unknown field \\\"date\\\"\""];
    let (code, warnings, made) = send("a", "").await;
    assert_eq!((code, warnings), (201, expected.map(String::from).to_vec()));
    assert_eq!(made["data"], json!({"k": "w"}), "the last one counts");
    let (code, warnings, _) = send("b", "fieldValidation=Ignore").await;
    assert_eq!((code, warnings), (201, vec![]));
    let (code, _, refused) = send("c", "fieldValidation=Strict").await;
    let message = refused["message"].as_str().unwrap();
    assert_eq!(code, 400);
    assert!(
        message.contains("duplicate field \"data.k\"") && message.contains("unknown field \"date\""),
        "{message}"
    );
}

#[tokio::test]
async fn a_watcher_that_is_too_slow_is_told_so_and_nobody_waits_for_it() {
    use futures_util::StreamExt;
    let api = Api::start().await;
    let made = revision(&make(&api, "a").await);
    let request = Request::get(format!("{MAPS}?watch=1&resourceVersion={made}"));
    let request = request.extension(User::new("root", ["system:masters"])).body(Full::default()).unwrap();
    let mut watch = BodyStream::new(api.send(request).await.into_body());
    let large = "x".repeat(900_000);
    for number in 0..12 {
        let patch = json!({"data": {"k": format!("{number}{large}")}});
        let one = format!("{MAPS}/a");
        assert_eq!(api.call(Method::PATCH, &one, "application/merge-patch+json", Some(patch)).await.0, 200);
    }
    let chunk = watch.next().await.unwrap().unwrap().into_data().unwrap();
    let told: Value = serde_json::from_slice(&chunk).unwrap();
    assert_eq!(
        (&told["type"], &told["object"]["code"], &told["object"]["reason"]),
        (&json!("ERROR"), &json!(410), &json!("Expired"))
    );
    assert!(watch.next().await.is_none(), "and it is over");
}
