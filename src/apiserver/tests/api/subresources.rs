//! What is asked below an object.

use super::*;

const PODS: &str = "/api/v1/namespaces/shop/pods";
const TOKENS: &str = "/api/v1/namespaces/shop/serviceaccounts/till/token";

async fn account(api: &Api) -> Value {
    let (code, account) =
        api.post("/api/v1/namespaces/shop/serviceaccounts", json!({"metadata": {"name": "till"}})).await;
    assert_eq!(code, 201, "{account}");
    account
}

async fn pod(api: &Api, spec: Value) -> Value {
    let mut pod = json!({"metadata": {"name": "web"},
        "spec": {"serviceAccountName": "till", "containers": [{"name": "a", "image": "i"}]}});
    for (field, value) in spec.as_object().unwrap() {
        pod["spec"][field] = value.clone();
    }
    let (code, pod) = api.post(PODS, pod).await;
    assert_eq!(code, 201, "{pod}");
    pod
}

fn binding(node: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": node},
        "metadata": {"name": "web", "annotations": {"by": "me"}}})
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let api = Api::start().await;
    account(&api).await;
    let made = pod(&api, json!({})).await;
    let node = json!({"metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": "attic"}}});
    assert_eq!(api.post("/api/v1/nodes", node).await.0, 201);
    let path = format!("{PODS}/web/binding");
    let (code, refused) =
        api.post(&path, json!({"metadata": {"name": "web"}, "target": {"kind": "Pod"}})).await;
    assert_eq!(code, 500);
    assert_eq!(
        refused["message"],
        "[target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\", target.name: Required value]"
    );
    let mut other = binding("n");
    other["metadata"]["uid"] = "another".into();
    assert_eq!(api.post(&path, other).await.0, 409);
    assert_eq!(api.post(&format!("{path}?dryRun=All"), binding("n")).await.0, 201);
    let (code, done) = api.post(&path, binding("n")).await;
    assert_eq!((code, &done["status"]), (201, &json!("Success")), "a dry run binds nothing");
    let (_, bound) = api.get(&format!("{PODS}/web")).await;
    assert_eq!(bound["spec"]["nodeName"], "n");
    assert_eq!(bound["metadata"]["annotations"]["by"], "me");
    assert_eq!(bound["metadata"]["labels"]["topology.kubernetes.io/zone"], "attic");
    assert_eq!(bound["metadata"]["generation"], made["metadata"]["generation"]);
    let condition = &bound["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["status"]), (&json!("PodScheduled"), &json!("True")));
    let (code, again) = api.post("/api/v1/namespaces/shop/bindings", binding("m")).await;
    assert_eq!(code, 409);
    assert_eq!(
        again["message"],
        "Operation cannot be fulfilled on pods/binding \"web\": pod web is already assigned to node \"n\""
    );
}

#[tokio::test]
async fn a_gated_pod_and_one_that_ends_are_not_bound() {
    let api = Api::start().await;
    account(&api).await;
    pod(&api, json!({"schedulingGates": [{"name": "example.com/wait"}]})).await;
    let (code, refused) = api.post(&format!("{PODS}/web/binding"), binding("n")).await;
    assert_eq!(
        (code, refused["message"].as_str().unwrap().ends_with("pod web has non-empty .spec.schedulingGates")),
        (409, true)
    );
    assert_eq!(api.post(&format!("{PODS}/none/binding"), json!({"target": {"name": "n"}})).await.0, 404);
}

#[tokio::test]
async fn a_namespace_goes_when_it_is_finalized() {
    let api = Api::start().await;
    let (_, namespace) = api.delete("/api/v1/namespaces/shop", None).await;
    assert_eq!(namespace["status"]["phase"], "Terminating");
    let mut empty = namespace.clone();
    empty["spec"] = json!({"finalizers": []});
    let (code, _) = api.put("/api/v1/namespaces/shop", empty.clone()).await;
    assert_eq!(
        (code, api.get("/api/v1/namespaces/shop").await.0),
        (200, 200),
        "a plain update frees nothing"
    );
    let (code, answer) = api.put("/api/v1/namespaces/shop/finalize", empty).await;
    assert_eq!(code, 200, "{answer}");
    assert_eq!(api.get("/api/v1/namespaces/shop").await.0, 404);
}

/// The claims of a token, whoever signed it.
fn claims(token: &Value) -> Value {
    use base64::Engine;
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_of_a_pod_ends_with_it() {
    let api = Api::start().await;
    let account = account(&api).await;
    let pod = pod(&api, json!({"nodeName": "n", "terminationGracePeriodSeconds": 0})).await;
    let asked = json!({"spec": {"expirationSeconds": 3607,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": pod["metadata"]["uid"]}}});
    let (code, answer) = api.post(TOKENS, asked).await;
    assert_eq!(code, 201, "{answer}");
    assert_eq!(answer["spec"]["audiences"], json!([ISSUER]));
    let token = answer["status"]["token"].as_str().unwrap();
    let claims = claims(&answer["status"]["token"]);
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!(ISSUER), &json!("system:serviceaccount:shop:till")));
    assert_eq!(claims["kubernetes.io"]["serviceaccount"]["uid"], account["metadata"]["uid"]);
    assert_eq!(claims["kubernetes.io"]["pod"], json!({"name": "web", "uid": pod["metadata"]["uid"]}));
    assert_eq!(claims["kubernetes.io"]["node"], json!({"name": "n"}));
    let (start, end) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert_eq!((end - start, &claims["kubernetes.io"]["warnafter"]), (31_536_000, &json!(start + 3607)));
    let ask = || {
        api.send(
            Request::get("/version")
                .header("authorization", format!("Bearer {token}"))
                .body(Full::default())
                .unwrap(),
        )
    };
    assert_eq!(ask().await.status(), 403, "known, and entitled to nothing");
    let now = json!({"gracePeriodSeconds": 0});
    assert_eq!(api.delete(&format!("{PODS}/web"), Some(now)).await.0, 200);
    assert_eq!(ask().await.status(), 401);
}

#[tokio::test]
async fn tokens_are_bound_to_what_is_there() {
    let api = Api::start().await;
    account(&api).await;
    pod(&api, json!({})).await;
    let bound = |kind: &str, name: &str, uid: &str| json!({"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": kind, "name": name, "uid": uid}}});
    for (asked, code, message) in [
        (
            json!({"spec": {"expirationSeconds": 599}}),
            422,
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes",
        ),
        (
            json!({"metadata": {"name": "other"}, "spec": {"expirationSeconds": 1}}),
            422,
            "TokenRequest.authentication.k8s.io \"till\" is invalid: metadata.name: Invalid value: \"other\": must match the service account name if specified",
        ),
        (
            json!({"spec": {"attestations": {"a": ["b"]}}}),
            422,
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.attestations: Invalid value: {\"a\":[\"b\"]}: attestations may only be specified with a webhook bound object reference",
        ),
        (bound("Pod", "none", ""), 404, "pods \"none\" not found"),
        (
            bound("Pod", "web", "another"),
            409,
            "Operation cannot be fulfilled on Pod \"web\": the UID in the bound object reference (another) does not match the UID in record. The object might have been deleted and then recreated",
        ),
        (bound("Event", "x", ""), 400, "cannot bind token to object of type /v1, Kind=Event"),
    ] {
        let (got, answer) = api.post(TOKENS, asked).await;
        assert_eq!((got, &answer["message"]), (code, &json!(message)));
    }
    let (code, refused) = api.post(TOKENS, json!({"metadata": {"uid": "u"}, "spec": {}})).await;
    let start = "Operation cannot be fulfilled on TokenRequest.authentication.k8s.io \"till\": the UID in the token request (u)";
    assert!(code == 409 && refused["message"].as_str().unwrap().starts_with(start), "{refused}");
    let missing = "/api/v1/namespaces/shop/serviceaccounts/none/token";
    assert_eq!(api.post(missing, json!({"spec": {}})).await.0, 404);
    let other = json!({"spec": {"audiences": ["vault"], "expirationSeconds": 3607}});
    let (_, answer) = api.post(TOKENS, other).await;
    let claims = claims(&answer["status"]["token"]);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3607);
    assert_eq!(claims["aud"], json!(["vault"]));
}

#[tokio::test]
async fn an_eviction_asks_the_budget() {
    let api = Api::start().await;
    account(&api).await;
    let budgets = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets";
    let budget = json!({"metadata": {"name": "least"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    let (code, budget) = api.post(budgets, budget).await;
    assert_eq!(code, 201, "{budget}");
    let running = async |name: &str| {
        let pod = json!({"metadata": {"name": name, "labels": {"app": "web"}},
            "spec": {"nodeName": "n", "containers": [{"name": "a", "image": "i"}], "terminationGracePeriodSeconds": 0}});
        let (_, mut pod) = api.post(PODS, pod).await;
        pod["status"] = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        let (code, answer) = api.put(&format!("{PODS}/{name}/status"), pod).await;
        assert_eq!(code, 200, "{answer}");
    };
    let allow = async |disruptions: i64| {
        let (_, mut budget) = api.get(&format!("{budgets}/least")).await;
        budget["status"] = json!({"observedGeneration": 1, "disruptionsAllowed": disruptions, "currentHealthy": 1 + disruptions,
            "desiredHealthy": 1, "expectedPods": 2});
        let (code, answer) = api.put(&format!("{budgets}/least/status"), budget).await;
        assert_eq!(code, 200, "{answer}");
    };
    let evict = async |name: &str, options: Value| {
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, "deleteOptions": options});
        api.post(&format!("{PODS}/{name}/eviction"), eviction).await
    };
    running("a").await;
    running("b").await;
    let (code, early) = evict("a", json!(null)).await;
    assert_eq!(
        (code, &early["details"]["causes"][0]["message"]),
        (429, &json!("The disruption budget least is still being processed by the server."))
    );
    allow(0).await;
    let (code, refused) = evict("a", json!(null)).await;
    assert_eq!((code, &refused["reason"]), (429, &json!("TooManyRequests")));
    assert_eq!(refused["message"], "Cannot evict pod as it would violate the pod's disruption budget.");
    assert_eq!(
        refused["details"]["causes"][0],
        json!({"reason": "DisruptionBudget", "message": "The disruption budget least needs 1 healthy pods and has 1 currently"})
    );
    allow(1).await;
    assert_eq!(evict("a", json!({"dryRun": ["All"]})).await.0, 201);
    assert_eq!(api.get(&format!("{PODS}/a")).await.0, 200);
    let (code, done) = evict("a", json!(null)).await;
    assert_eq!((code, &done["status"]), (201, &json!("Success")));
    assert_eq!(api.get(&format!("{PODS}/a")).await.0, 404);
    let (_, after) = api.get(&format!("{budgets}/least")).await;
    assert_eq!(after["status"]["disruptionsAllowed"], 0);
    assert!(after["status"]["disruptedPods"]["a"].is_string());
    assert_eq!(evict("b", json!(null)).await.0, 429, "the last disruption is taken");
    let held = json!({"gracePeriodSeconds": 30, "preconditions": {"uid": "another"}});
    allow(1).await;
    assert_eq!(evict("b", held).await.0, 409);
    let (_, mut pod) = api.get(&format!("{PODS}/b")).await;
    pod["status"]["phase"] = "Failed".into();
    assert_eq!(api.put(&format!("{PODS}/b/status"), pod).await.0, 200);
    allow(0).await;
    assert_eq!(evict("b", json!(null)).await.0, 201, "who has ended disrupts nobody");
}

#[tokio::test]
async fn a_running_pod_changes_by_its_parts() {
    let api = Api::start().await;
    account(&api).await;
    let resources = |cpu: &str| json!({"requests": {"cpu": cpu, "memory": "64Mi"}});
    pod(&api, json!({"containers": [{"name": "a", "image": "i", "resources": resources("100m")}]})).await;
    let merge = "application/strategic-merge-patch+json";
    let patch = async |below: &str, body: Value| {
        api.call(Method::PATCH, &format!("{PODS}/web/{below}"), merge, Some(body)).await
    };
    let bigger =
        json!({"spec": {"containers": [{"name": "a", "image": "other", "resources": resources("200m")}]}});
    let (code, resized) = patch("resize", bigger).await;
    assert_eq!(code, 200, "{resized}");
    assert_eq!(resized["spec"]["containers"][0]["resources"], resources("200m"));
    assert_eq!(
        (&resized["spec"]["containers"][0]["image"], &resized["metadata"]["generation"]),
        (&json!("i"), &json!(2))
    );
    let debugger = json!({"spec": {"ephemeralContainers": [{"name": "d", "image": "tools", "targetContainerName": "a"}]}});
    let (code, joined) = patch("ephemeralcontainers", debugger).await;
    assert_eq!(code, 200, "{joined}");
    assert_eq!(joined["spec"]["ephemeralContainers"][0]["terminationMessagePolicy"], "File");
    let managers: Vec<_> = joined["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["subresource"])
        .collect();
    assert!(
        managers.contains(&&json!("ephemeralcontainers")) && managers.contains(&&json!("resize")),
        "{managers:?}"
    );
    let (code, refused) =
        patch("", json!({"spec": {"containers": [{"name": "a", "resources": resources("300m")}]}})).await;
    assert_eq!(code, 422, "{refused}");
}

#[tokio::test]
async fn certificates_are_approved_once() {
    let api = Api::start().await;
    let path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let pem = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KQUFBQQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K";
    let request = json!({"metadata": {"name": "r"}, "spec": {"request": pem, "signerName": "example.com/s", "usages": ["client auth"], "username": "forged"}});
    let (code, made) = api.post(path, request).await;
    assert_eq!((code, &made["spec"]["username"]), (201, &json!("root")), "{made}");
    let condition = |kind: &str| json!([{"type": kind, "status": "True", "reason": "Looked"}]);
    let mut approved = made.clone();
    approved["status"]["conditions"] = condition("Approved");
    let (code, refused) = api.put(&format!("{path}/r/status"), approved.clone()).await;
    assert_eq!(code, 422, "{refused}");
    approved["status"]["certificate"] = "LS0t".into();
    let (code, done) = api.put(&format!("{path}/r/approval"), approved).await;
    assert_eq!(code, 200, "{done}");
    assert!(done["status"]["conditions"][0]["lastTransitionTime"].is_string());
    assert_eq!(done["status"].get("certificate"), None, "an approval does not sign");
    let mut denied = done;
    denied["status"]["conditions"] = condition("Denied");
    assert_eq!(api.put(&format!("{path}/r/approval"), denied).await.0, 422);
}

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";
const MERGE: &str = "application/merge-patch+json";

async fn deployment(api: &Api) {
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "i"}]}});
    let deployment = json!({"metadata": {"name": "web"}, "spec": {"replicas": 2, "template": template,
        "selector": {"matchLabels": {"app": "web"}}}});
    let (code, made) = api.post(DEPLOYMENTS, deployment).await;
    assert_eq!(code, 201, "{made}");
}

/// The number of replicas, and who writes it how.
async fn replicas(api: &Api) -> (Value, Vec<(String, String)>) {
    let (_, read) = api.get(&format!("{DEPLOYMENTS}/web")).await;
    let owns = |entry: &&Value| entry["fieldsV1"]["f:spec"].get("f:replicas").is_some();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let owners = read["metadata"]["managedFields"].as_array().unwrap().iter().filter(owns);
    (
        read["spec"]["replicas"].clone(),
        owners.map(|entry| (text(&entry["manager"]), text(&entry["subresource"]))).collect(),
    )
}

#[tokio::test]
async fn what_is_no_scale_scales_nothing() {
    let api = Api::start().await;
    deployment(&api).await;
    let path = format!("{DEPLOYMENTS}/web/scale");
    let scale = |replicas: Value| {
        json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"replicas": replicas}})
    };
    let misfit = |found: &str| {
        format!("json: cannot unmarshal {found} into Go struct field ScaleSpec.spec.replicas of type int32")
    };
    for (body, code, message) in [
        (scale(json!("3")), 400, misfit("string")),
        (scale(json!(3_000_000_000_u32)), 400, misfit("number 3000000000")),
        (
            scale(json!(-1)),
            422,
            "Scale.autoscaling \"web\" is invalid: spec.replicas: Invalid value: -1".to_owned(),
        ),
        (
            json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "web"}}),
            400,
            "unknown conversion".to_owned(),
        ),
        (json!({"metadata": {"name": "other"}}), 400, "does not match the name on the URL (web)".to_owned()),
        (json!({"spec": {"replicas": 3}}), 400, "name must be provided".to_owned()),
    ] {
        let (found, refused) = api.put(&path, body).await;
        assert_eq!(found, code, "{refused}");
        assert!(refused["message"].as_str().unwrap().contains(&message), "{refused}");
    }
    for (content, body) in [
        (MERGE, json!({"spec": {"replicas": 3_000_000_000_u32}})),
        ("application/strategic-merge-patch+json", json!({"spec": {"replicas": "3"}})),
        ("application/json-patch+json", json!([{"op": "replace", "path": "/spec/replicas", "value": 1.5}])),
        (MERGE, json!({"kind": "Deployment"})),
    ] {
        let (code, refused) = api.call(Method::PATCH, &path, content, Some(body)).await;
        assert_eq!(code, 422, "{refused}");
        assert!(
            refused["message"].as_str().unwrap().starts_with(" \"\" is invalid: patch: Invalid value: "),
            "{refused}"
        );
    }
    assert_eq!(replicas(&api).await.0, 2);
    let (code, shown) = api.call(Method::PATCH, &path, MERGE, Some(json!({"spec": {"replicas": 5}}))).await;
    assert_eq!((code, &shown["spec"]["replicas"], &shown["kind"]), (200, &json!(5), &json!("Scale")));
    assert_eq!(replicas(&api).await, (json!(5), vec![("unknown".into(), "scale".into())]));
}

#[tokio::test]
async fn a_scale_is_applied() {
    let api = Api::start().await;
    deployment(&api).await;
    let apply = async |query: &str, spec: Value| {
        let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": spec});
        let path = format!("{DEPLOYMENTS}/web/scale?fieldManager=ann{query}");
        api.call(Method::PATCH, &path, "application/apply-patch+yaml", Some(scale)).await
    };
    let (code, refused) = apply("", json!({"replicas": 7})).await;
    assert_eq!((code, &refused["reason"]), (409, &json!("Conflict")), "{refused}");
    assert_eq!(
        refused["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "field": ".spec.replicas",
            "message": "conflict with \"unknown\" using autoscaling/v1"}])
    );
    let path = format!("{DEPLOYMENTS}/web/scale");
    let other = json!({"metadata": {"uid": "another"}});
    let (code, refused) = api.call(Method::PATCH, &path, MERGE, Some(other)).await;
    let start = "Operation cannot be fulfilled on deployments/scale.apps \"web\": Precondition failed: UID in precondition: another";
    assert!(code == 409 && refused["message"].as_str().unwrap().starts_with(start), "{refused}");
    let (code, refused) = apply("&force=true", json!({"replicas": "7"})).await;
    assert_eq!(code, 500);
    assert!(
        refused["message"].as_str().unwrap().contains("/web; autoscaling/v1, Kind=Scale): .spec.replicas"),
        "{refused}"
    );
    let (code, shown) = apply("&force=true", json!({"replicas": 7})).await;
    assert_eq!((code, &shown["spec"]["replicas"]), (200, &json!(7)), "{shown}");
    assert_eq!(replicas(&api).await, (json!(7), vec![("ann".into(), "scale".into())]));
    let (code, _) = apply("", json!({})).await;
    assert_eq!(
        (code, replicas(&api).await),
        (200, (json!(0), vec![])),
        "whoever states no number any more states none"
    );
}

#[tokio::test]
async fn a_patch_warns_of_what_it_names_in_vain() {
    let api = Api::start().await;
    deployment(&api).await;
    let patch = async |query: &str| {
        let request = Request::builder()
            .method(Method::PATCH)
            .uri(format!("{DEPLOYMENTS}/web?{query}"))
            .header("content-type", MERGE)
            .extension(User::new("root", ["system:masters"]));
        api.send(request.body(Full::from(r#"{"spec":{"foo":1,"replicas":1,"replicas":3}}"#)).unwrap()).await
    };
    let warned = patch("").await;
    assert_eq!(warned.status(), 200);
    let warnings: Vec<_> =
        warned.headers().get_all("warning").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(
        warnings,
        [r#"299 - "duplicate field \"spec.replicas\"""#, r#"299 - "unknown field \"spec.foo\"""#]
    );
    assert_eq!(patch("fieldValidation=Ignore").await.headers().get("warning"), None);
    let refused = patch("fieldValidation=Strict").await;
    assert_eq!(refused.status(), 422);
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    let message = serde_json::from_slice::<Value>(&body).unwrap()["message"].as_str().unwrap().to_owned();
    let end = "strict decoding error: duplicate field \"spec.replicas\", unknown field \"spec.foo\"";
    assert!(
        message.starts_with(" \"\" is invalid: patch: Invalid value: ") && message.ends_with(end),
        "{message}"
    );
}
