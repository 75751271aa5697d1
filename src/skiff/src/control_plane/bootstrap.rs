//! The objects that every cluster has from its first start: namespaces, and the roles that access begins with.

use client::{Client, Error};
use http::Method;
use serde_json::{Value, json};

use super::{CONTROLLERS, SCHEDULER};

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Paths that tell about the server rather than about what runs on it.
const DISCOVERY: [&str; 10] = [
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/version",
];

/// Makes what is missing and leaves what is there: people may have changed it.
pub(super) async fn bootstrap(client: &Client) -> Result<(), Error> {
    for name in NAMESPACES {
        make(client, "/api/v1/namespaces", &json!({"metadata": {"name": name}})).await?;
    }
    for (name, rules) in roles() {
        let labels = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
        let role = json!({"metadata": {"name": name, "labels": labels}, "rules": rules});
        make(client, &format!("{RBAC}/clusterroles"), &role).await?;
    }
    for (name, kind, subject) in [
        ("cluster-admin", "Group", "system:masters"),
        ("system:discovery", "Group", "system:authenticated"),
        ("system:basic-user", "Group", "system:authenticated"),
        (CONTROLLERS, "User", CONTROLLERS),
        (SCHEDULER, "User", SCHEDULER),
        ("system:node", "Group", crate::cluster::NODES),
    ] {
        let api_group = "rbac.authorization.k8s.io";
        let binding = json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
            "roleRef": {"apiGroup": api_group, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": api_group, "kind": kind, "name": subject}],
        });
        make(client, &format!("{RBAC}/clusterrolebindings"), &binding).await?;
    }
    Ok(())
}

fn roles() -> [(&'static str, Value); 6] {
    [
        (
            "cluster-admin",
            json!([
                {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
                {"nonResourceURLs": ["*"], "verbs": ["*"]},
            ]),
        ),
        ("system:discovery", json!([{"nonResourceURLs": DISCOVERY, "verbs": ["get"]}])),
        (
            CONTROLLERS,
            json!([
                // Whatever there is may be owned by what is deleted, or lie in a namespace that is.
                {"apiGroups": ["*"], "resources": ["*"],
                 "verbs": ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]},
            ]),
        ),
        (
            SCHEDULER,
            json!([
                {"apiGroups": ["", "apps", "policy", "storage.k8s.io"], "verbs": ["get", "list", "watch"], "resources": ["*"]},
                {"apiGroups": [""], "verbs": ["create"], "resources": ["bindings", "pods/binding"]},
                {"apiGroups": [""], "verbs": ["patch", "update"], "resources": ["pods/status"]},
                {"apiGroups": [""], "verbs": ["delete"], "resources": ["pods"]},
                {"apiGroups": ["", "events.k8s.io"], "verbs": ["create", "patch", "update"], "resources": ["events"]},
            ]),
        ),
        (
            "system:node",
            json!([
                {"apiGroups": [""], "resources": ["nodes", "nodes/status"],
                 "verbs": ["get", "list", "watch", "create", "update", "patch"]},
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "create", "delete"]},
                {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["update", "patch"]},
                {"apiGroups": [""], "resources": ["pods/eviction", "serviceaccounts/token"], "verbs": ["create"]},
                {"apiGroups": ["", "discovery.k8s.io"], "verbs": ["get", "list", "watch"],
                 "resources": ["services", "endpointslices", "configmaps", "secrets", "namespaces"]},
                {"apiGroups": [""], "resources": ["persistentvolumes", "persistentvolumeclaims"], "verbs": ["get"]},
                {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch", "update"]},
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
                 "verbs": ["get", "create", "update", "patch", "delete"]},
            ]),
        ),
        (
            "system:basic-user",
            json!([
                {"apiGroups": ["authorization.k8s.io"], "verbs": ["create"],
                 "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]},
                {"apiGroups": ["authentication.k8s.io"], "verbs": ["create"], "resources": ["selfsubjectreviews"]},
            ]),
        ),
    ]
}

pub(super) async fn make(client: &Client, collection: &str, object: &Value) -> Result<(), Error> {
    match client.send_json(Method::POST, collection, Some(object.to_string().into_bytes())).await {
        Err(error) if !error.is_already_exists() => Err(error),
        _ => Ok(()),
    }
}
