//! The objects that every cluster has from its first start: namespaces, priorities, and the roles that access begins with.
//!
//! What is missing is made; of what is there, people may have changed anything. Roles and bindings get back what they lost
//! ([`reconcile`]), unless their annotation says otherwise.

mod reconcile;
mod roles;

use client::{Client, Error};
use futures_util::future::try_join_all;
use http::Method;
use serde_json::{Value, json};

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

const PRIORITIES: [(&str, i64, &str); 2] = [
    (
        "system-cluster-critical",
        2_000_000_000,
        "the pods that a cluster cannot do without, on whichever node",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "the pods that a node cannot do without, and that cannot leave it",
    ),
];

/// Makes what is missing.
pub(super) async fn bootstrap(client: &Client) -> Result<(), Error> {
    for name in NAMESPACES {
        make(client, "/api/v1/namespaces", &json!({"metadata": {"name": name}})).await?;
    }
    for (name, value, description) in PRIORITIES {
        let class = json!({"metadata": {"name": name}, "value": value, "description": format!("Used for {description}.")});
        make(client, "/apis/scheduling.k8s.io/v1/priorityclasses", &class).await?;
    }
    // All at once: the store commits what waits together, and a slow card syncs a few times, not a hundred.
    let roles = roles::objects();
    try_join_all(roles.iter().map(|wanted| reconcile::reconcile(client, wanted))).await.map(drop)
}

pub(super) async fn make(client: &Client, collection: &str, object: &Value) -> Result<(), Error> {
    match client.send_json(Method::POST, collection, Some(object.to_string().into_bytes())).await {
        Err(error) if !error.is_already_exists() => Err(error),
        _ => Ok(()),
    }
}
