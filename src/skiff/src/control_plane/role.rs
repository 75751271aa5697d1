//! The node of a server shows that it is one: people look for the role in `kubectl get nodes`, charts select it by the label.
//!
//! The node agent may not give itself a role (NodeRestriction), so the server does.

use std::time::Duration;

use client::{Cache, Client, Error, Key, Patch};
use k8s_openapi::api::core::v1::Node;
use serde_json::json;
use task::{Backoff, causes};

const ROLE: &str = "node-role.kubernetes.io/control-plane";
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Gives the node of this name its role whenever it has none; never ends.
pub(super) async fn keep(client: Client, nodes: Cache<Node>, name: String) {
    let node = Key::new("", name);
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        nodes.shows(&node, |node| node.is_some_and(has_no_role)).await;
        match give(&client, &node).await {
            Ok(written) => {
                nodes.seen(&written.metadata).await;
                backoff.reset();
            }
            Err(error) => {
                tracing::warn!(error = %causes(&error), "cannot give this node the role of a control plane; trying again");
                backoff.wait().await;
            }
        }
    }
}

fn has_no_role(node: &Node) -> bool {
    node.metadata.labels.as_ref().is_none_or(|labels| !labels.contains_key(ROLE))
}

async fn give(client: &Client, node: &Key) -> Result<Node, Error> {
    let role = json!({"metadata": {"labels": {ROLE: "true"}}});
    client.patch::<Node>(node, None, &Patch::Merge(role)).await
}
