//! Who may do what: nodes, those who grant, those who act as others; and the questions about it.

use super::*;

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const PODS: &str = "/api/v1/namespaces/shop/pods";

impl Api {
    /// As [`Api::call`], as somebody.
    async fn as_user(&self, user: User, method: Method, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let answer = self.send(request.extension(user).body(Full::from(body)).unwrap()).await;
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (code, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn role(&self, name: &str, rules: Value) {
        let role = json!({"metadata": {"name": name}, "rules": rules});
        let (code, answer) = self.post(&format!("{RBAC}/clusterroles"), role).await;
        assert_eq!(code, 201, "{answer}");
        self.server.read_access_rights();
    }

    async fn bind(&self, role: &str, user: &str) {
        let binding = json!({"metadata": {"name": format!("{role}-{user}")},
            "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [{"kind": "User", "name": user}]});
        let (code, answer) = self.post(&format!("{RBAC}/clusterrolebindings"), binding).await;
        assert_eq!(code, 201, "{answer}");
        self.server.read_access_rights();
    }
}

fn node(name: &str) -> User {
    User::new(format!("system:node:{name}"), ["system:nodes"])
}

fn user(name: &str) -> User {
    User::new(name, [""; 0])
}

async fn with_nodes() -> Api {
    let api = Api::start().await;
    let rules = json!([
        {"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["secrets", "configmaps", "pods", "nodes"]},
        {"verbs": ["create", "update", "patch", "delete"], "apiGroups": [""], "resources": ["pods", "pods/status", "nodes", "nodes/status"]},
        {"verbs": ["create"], "apiGroups": [""], "resources": ["serviceaccounts/token", "pods/eviction"]},
        {"verbs": ["get", "create", "update"], "apiGroups": ["coordination.k8s.io"], "resources": ["leases"]},
    ]);
    api.role("system:node", rules).await;
    for (name, on) in [("web", "a"), ("other", "b")] {
        let pod = json!({"metadata": {"name": name}, "spec": {"nodeName": on,
            "containers": [{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": format!("of-{name}")}}]}]}});
        assert_eq!(api.post(PODS, pod).await.0, 201);
        let secret = json!({"metadata": {"name": format!("of-{name}")}});
        assert_eq!(api.post("/api/v1/namespaces/shop/secrets", secret).await.0, 201);
    }
    api
}

#[tokio::test]
async fn a_node_reads_what_its_pods_refer_to() {
    let api = with_nodes().await;
    let read = async |name: &str, path: &str| api.as_user(node(name), Method::GET, path, None).await.0;
    let secret = |of: &str| format!("/api/v1/namespaces/shop/secrets/of-{of}");
    assert_eq!(read("a", &secret("web")).await, 200);
    assert_eq!(read("a", &secret("other")).await, 403);
    assert_eq!(read("b", &secret("other")).await, 200);
    assert_eq!(read("a", "/api/v1/namespaces/shop/secrets").await, 403);
    let one = "/api/v1/namespaces/shop/secrets?fieldSelector=metadata.name%3D";
    assert_eq!(read("a", &format!("{one}of-web")).await, 200);
    assert_eq!(read("a", &format!("{one}of-other")).await, 403);
    assert_eq!(read("a", "/api/v1/pods?fieldSelector=spec.nodeName%3Da").await, 200);
    assert_eq!(read("a", "/api/v1/pods?fieldSelector=spec.nodeName%3Db").await, 403);
    assert_eq!(read("a", "/api/v1/pods").await, 403);
    let now = json!({"gracePeriodSeconds": 0});
    assert_eq!(api.delete(&format!("{PODS}/web"), Some(now)).await.0, 200);
    assert_eq!(read("a", &secret("web")).await, 403, "what the pod used goes with it");
    let late = json!({"metadata": {"name": "late"}, "spec": {"nodeName": "a",
        "containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v", "secret": {"secretName": "of-web"}}]}});
    assert_eq!(api.post(PODS, late).await.0, 201);
    assert_eq!(read("a", &secret("web")).await, 200, "known as soon as the pod is");
}

#[tokio::test]
async fn a_node_changes_itself_and_its_pods() {
    let api = with_nodes().await;
    let path = "/api/v1/nodes";
    let (code, refused) =
        api.as_user(node("a"), Method::POST, path, Some(json!({"metadata": {"name": "b"}}))).await;
    assert_eq!(
        (code, &refused["message"]),
        (403, &json!("nodes \"b\" is forbidden: node \"a\" is not allowed to modify node \"b\""))
    );
    let labelled = json!({"metadata": {"name": "a", "labels": {"node-role.kubernetes.io/x": ""}}});
    assert_eq!(api.as_user(node("a"), Method::POST, path, Some(labelled)).await.0, 403);
    let (code, mut own) =
        api.as_user(node("a"), Method::POST, path, Some(json!({"metadata": {"name": "a"}}))).await;
    assert_eq!(code, 201, "{own}");
    own["spec"]["taints"] = json!([]);
    let (code, refused) = api.as_user(node("a"), Method::PUT, &format!("{path}/a"), Some(own)).await;
    assert_eq!(code, 403);
    assert!(refused["message"].as_str().unwrap().ends_with("node \"a\" is not allowed to modify taints"));
    let (_, mut pod) = api.get(&format!("{PODS}/web")).await;
    pod["status"]["phase"] = "Running".into();
    let status = format!("{PODS}/web/status");
    assert_eq!(api.as_user(node("b"), Method::PUT, &status, Some(pod.clone())).await.0, 403);
    assert_eq!(api.as_user(node("a"), Method::PUT, &status, Some(pod.clone())).await.0, 200);
    assert_eq!(api.as_user(node("b"), Method::DELETE, &format!("{PODS}/web"), None).await.0, 403);
    let bare = json!({"metadata": {"name": "bare"}, "spec": {"nodeName": "a", "containers": [{"name": "c", "image": "i"}]}});
    let (code, refused) = api.as_user(node("a"), Method::POST, PODS, Some(bare)).await;
    assert_eq!(code, 403);
    assert!(refused["message"].as_str().unwrap().contains("can only create mirror pods"), "{refused}");
    let token = |uid: &Value| json!({"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": uid}}});
    let tokens = "/api/v1/namespaces/shop/serviceaccounts/default/token";
    let uid = &pod["metadata"]["uid"];
    assert_eq!(api.as_user(node("a"), Method::POST, tokens, Some(token(uid))).await.0, 201);
    let (code, refused) = api.as_user(node("b"), Method::POST, tokens, Some(token(uid))).await;
    assert_eq!(code, 403);
    assert!(
        refused["message"].as_str().unwrap().ends_with("bound to a pod scheduled on a different node"),
        "{refused}"
    );
    assert_eq!(api.as_user(node("a"), Method::POST, tokens, Some(json!({"spec": {}}))).await.0, 403);
    api.post("/api/v1/namespaces", json!({"metadata": {"name": "kube-node-lease"}})).await;
    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    let lease = |name: &str| Some(json!({"metadata": {"name": name}, "spec": {"leaseDurationSeconds": 40}}));
    assert_eq!(api.as_user(node("a"), Method::POST, leases, lease("b")).await.0, 403);
    assert_eq!(api.as_user(node("a"), Method::POST, leases, lease("a")).await.0, 201);
}

#[tokio::test]
async fn nobody_grants_what_they_do_not_hold() {
    let api = Api::start().await;
    let rbac = json!({"verbs": ["*"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"]});
    api.role("granter", json!([rbac, {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}])).await;
    let plain = json!([{"verbs": ["create", "update"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"]},
        {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]);
    api.role("plain", plain).await;
    api.bind("plain", "ann").await;
    let roles = format!("{RBAC}/namespaces/shop/roles");
    let role = |verbs: Value| json!({"metadata": {"name": "r"}, "rules": [{"verbs": verbs, "apiGroups": [""], "resources": ["pods"]}]});
    let (code, refused) =
        api.as_user(user("ann"), Method::POST, &roles, Some(role(json!(["get", "delete"])))).await;
    assert_eq!(code, 403);
    assert_eq!(
        refused["message"],
        "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"ann\" (groups=[\"system:authenticated\"]) is attempting to \
         grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}"
    );
    let (code, answer) = api.as_user(user("ann"), Method::POST, &roles, Some(role(json!(["get"])))).await;
    assert_eq!(code, 201, "{answer}");
    let bindings = format!("{RBAC}/namespaces/shop/rolebindings");
    let binding = |role: &str| {
        json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "name": "bob"}]})
    };
    assert_eq!(api.as_user(user("ann"), Method::POST, &bindings, Some(binding("granter"))).await.0, 403);
    assert_eq!(api.as_user(user("ann"), Method::POST, &bindings, Some(binding("none"))).await.0, 404);
    api.role("binder", json!([{"verbs": ["bind"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": ["granter"]}])).await;
    api.bind("binder", "ann").await;
    let (code, answer) = api.as_user(user("ann"), Method::POST, &bindings, Some(binding("granter"))).await;
    assert_eq!(code, 201, "{answer}");
}

#[tokio::test]
async fn reviews_answer_and_keep_nothing() {
    let api = Api::start().await;
    api.role("reader", json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}])).await;
    api.bind("reader", "bob").await;
    let authorization = "/apis/authorization.k8s.io/v1";
    let asked = |verb: &str| json!({"spec": {"user": "bob", "resourceAttributes": {"verb": verb, "resource": "pods", "namespace": "shop"}}});
    let (code, yes) = api.post(&format!("{authorization}/subjectaccessreviews"), asked("get")).await;
    assert_eq!(code, 201, "{yes}");
    assert_eq!(
        yes["status"],
        json!({"allowed": true,
            "reason": "RBAC: allowed by ClusterRoleBinding \"reader-bob\" of ClusterRole \"reader\" to User \"bob\""})
    );
    let (_, no) = api.post(&format!("{authorization}/subjectaccessreviews"), asked("delete")).await;
    assert_eq!(no["status"], json!({"allowed": false}));
    let (code, invalid) =
        api.post(&format!("{authorization}/subjectaccessreviews"), json!({"spec": {"user": "bob"}})).await;
    assert_eq!(code, 422, "{invalid}");
    assert!(
        invalid["message"]
            .as_str()
            .unwrap()
            .starts_with(".authorization.k8s.io \"\" is invalid: spec.resourceAttributes: "),
        "{invalid}"
    );
    let elsewhere = format!("{authorization}/namespaces/bank/localsubjectaccessreviews");
    assert_eq!(api.post(&elsewhere, asked("get")).await.0, 422);
    let own = json!({"spec": {"nonResourceAttributes": {"verb": "get", "path": "/x"}}});
    let (_, own) = api.post(&format!("{authorization}/selfsubjectaccessreviews"), own).await;
    assert_eq!(own["status"]["allowed"], true);
    let (_, rules) = api
        .post(&format!("{authorization}/selfsubjectrulesreviews"), json!({"spec": {"namespace": "shop"}}))
        .await;
    assert_eq!(
        rules["status"]["resourceRules"],
        json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}])
    );
    let authentication = "/apis/authentication.k8s.io/v1";
    let (_, me) = api.post(&format!("{authentication}/selfsubjectreviews"), json!({})).await;
    assert_eq!(
        me["status"]["userInfo"],
        json!({"username": "root", "groups": ["system:masters", "system:authenticated"]})
    );
    let tokens = "/api/v1/namespaces/shop/serviceaccounts/default/token";
    let (_, token) = api.post(tokens, json!({"spec": {}})).await;
    let review = |token: &Value| json!({"spec": {"token": token}});
    let (_, known) =
        api.post(&format!("{authentication}/tokenreviews"), review(&token["status"]["token"])).await;
    assert_eq!(
        (&known["status"]["authenticated"], &known["status"]["user"]["username"]),
        (&json!(true), &json!("system:serviceaccount:shop:default"))
    );
    assert_eq!(known["status"]["audiences"], json!([ISSUER]));
    let (_, unknown) = api.post(&format!("{authentication}/tokenreviews"), review(&json!("x"))).await;
    assert_eq!(unknown["status"], json!({"user": {}, "error": "invalid bearer token"}));
}

#[tokio::test]
async fn acting_as_others_is_for_those_who_may() {
    let api = Api::start().await;
    api.role("actor", json!([{"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"]}])).await;
    api.bind("actor", "ann").await;
    let act = async |user: User, headers: &[(&str, &str)]| {
        let mut request = Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews").extension(user);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = api.send(request.body(Full::from("{}")).unwrap()).await;
        let code = answer.status().as_u16();
        let body: Value =
            serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
        (code, body)
    };
    let root = || User::new("root", ["system:masters"]);
    let (code, done) = act(
        root(),
        &[("impersonate-user", "bob"), ("impersonate-group", "staff"), ("impersonate-extra-a%2Fb", "x")],
    )
    .await;
    assert_eq!(code, 403, "bob may not ask who he is: {done}");
    assert_eq!(
        done["message"].as_str().unwrap().split(": ").nth(1).unwrap().split(' ').nth(1),
        Some("\"bob\"")
    );
    let (code, done) = act(
        root(),
        &[
            ("impersonate-user", "bob"),
            ("impersonate-group", "system:masters"),
            ("impersonate-extra-a%2Fb", "x"),
        ],
    )
    .await;
    assert_eq!(code, 201, "{done}");
    assert_eq!(
        done["status"]["userInfo"],
        json!({"username": "bob", "groups": ["system:masters", "system:authenticated"], "extra": {"a/b": ["x"]}})
    );
    let (code, refused) =
        act(user("ann"), &[("impersonate-user", "bob"), ("impersonate-group", "system:masters")]).await;
    assert_eq!(code, 403);
    assert_eq!(
        refused["message"],
        "groups \"system:masters\" is forbidden: User \"ann\" cannot impersonate resource \"groups\" in API group \"\" at the cluster scope"
    );
    let (code, refused) = act(user("ann"), &[("impersonate-user", "eve")]).await;
    assert_eq!(code, 403, "{refused}");
    assert_eq!(act(root(), &[("impersonate-group", "staff")]).await.0, 500);
}

#[tokio::test]
async fn names_are_in_any_script_and_never_passed_over() {
    let api = Api::start().await;
    let act = async |header: &str, value: &[u8]| {
        let mut request = Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews");
        request = request.header("impersonate-user", "bob").header("impersonate-group", "system:masters");
        request.headers_mut().unwrap().insert(
            http::HeaderName::try_from(header).unwrap(),
            http::HeaderValue::from_bytes(value).unwrap(),
        );
        let request = request.extension(User::new("root", ["system:masters"]));
        let answer = api.send(request.body(Full::from("{}")).unwrap()).await;
        let code = answer.status().as_u16();
        let body: Value =
            serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
        (code, body["status"]["userInfo"].clone())
    };
    let (code, zoe) = act("impersonate-user", "Zoë".as_bytes()).await;
    assert_eq!((code, &zoe["username"]), (201, &json!("Zoë")));
    let (code, bob) = act("impersonate-extra-town", "Łódź".as_bytes()).await;
    assert_eq!((code, &bob["extra"]), (201, &json!({"town": ["Łódź"]})));
    for header in ["impersonate-user", "impersonate-uid", "impersonate-group", "impersonate-extra-town"] {
        assert_eq!(act(header, b"Zo\xeb").await.0, 400, "{header}");
    }
}

#[tokio::test]
async fn a_path_is_judged_as_it_is_answered() {
    let api = Api::start().await;
    api.role("reader", json!([{"verbs": ["get"], "nonResourceURLs": ["/version"]}])).await;
    api.bind("reader", "ann").await;
    for (path, code) in [("/version", 200), ("/versio%6e", 200), ("/metrics", 403), ("/metric%73", 403)] {
        assert_eq!(api.as_user(user("ann"), Method::GET, path, None).await.0, code, "{path}");
    }
}
