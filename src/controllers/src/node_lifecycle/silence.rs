//! What is said of a node that is not heard of: nobody knows how it is, and its pods do not count.

use std::sync::Arc;

use client::{Error, Key, Patch, Severity};
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use crate::context::Context;
use crate::pod;

/// What only the node itself can know.
const CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// The node with its conditions unknown; none if they are already.
pub(super) fn unknown(node: &Node, now: Timestamp) -> Option<Node> {
    let mut unknown = node.clone();
    let conditions = unknown.status.get_or_insert_default().conditions.get_or_insert_default();
    for name in CONDITIONS {
        match conditions.iter_mut().find(|condition| condition.type_ == name) {
            None => conditions.push(never_said(node, name, now)),
            Some(condition) if condition.status != "Unknown" => {
                condition.status = "Unknown".into();
                condition.reason = Some("NodeStatusUnknown".into());
                condition.message = Some("Kubelet stopped posting node status.".into());
                condition.last_transition_time = Some(Time(now));
            }
            Some(_) => {}
        }
    }
    (unknown != *node).then_some(unknown)
}

fn never_said(node: &Node, name: &str, now: Timestamp) -> NodeCondition {
    NodeCondition {
        type_: name.into(),
        status: "Unknown".into(),
        reason: Some("NodeStatusNeverUpdated".into()),
        message: Some("Kubelet never posted node status.".into()),
        last_heartbeat_time: node.metadata.creation_timestamp.clone(),
        last_transition_time: Some(Time(now)),
    }
}

/// Takes the pods of a node out of service: nobody can tell whether they still answer.
pub(super) async fn mark_pods_not_ready(context: &Context, node: &str) -> Result<(), Error> {
    let mut result = Ok(());
    for pod in pods_of(context, node).iter().filter(|pod| pod::is_ready(pod)) {
        let condition =
            json!({"type": "Ready", "status": "False", "lastTransitionTime": Time(Timestamp::now())});
        let patch = Patch::Strategic(json!({
            "metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]},
        }));
        match context.client().patch::<Pod>(&Key::of(&**pod), Some("status"), &patch).await {
            Ok(_) => context.recorder.event(&**pod, Severity::Warning, "NodeNotReady", "Node is not ready"),
            Err(error) if error.is_not_found() || error.is_conflict() => {}
            Err(error) => result = Err(error),
        }
    }
    result
}

pub(super) fn pods_of(context: &Context, node: &str) -> Vec<Arc<Pod>> {
    let mut pods = context.caches.of::<Pod>().list();
    pods.retain(|pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node));
    pods
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_no_longer_known_and_what_was_never_said_is_said_to_be() {
        let node: Node = serde_json::from_value(json!({"metadata": {}, "status": {"conditions": [
            {"type": "Ready", "status": "True", "reason": "KubeletReady"},
            {"type": "NetworkUnavailable", "status": "False"},
        ]}}))
        .unwrap();
        let unknown = unknown(&node, Timestamp::UNIX_EPOCH).unwrap();
        let conditions = unknown.status.as_ref().unwrap().conditions.as_ref().unwrap();
        let said: Vec<_> = conditions
            .iter()
            .map(|one| (one.type_.as_str(), one.status.as_str(), one.reason.as_deref().unwrap_or_default()))
            .collect();
        assert_eq!(
            said,
            [
                ("Ready", "Unknown", "NodeStatusUnknown"),
                ("NetworkUnavailable", "False", ""),
                ("MemoryPressure", "Unknown", "NodeStatusNeverUpdated"),
                ("DiskPressure", "Unknown", "NodeStatusNeverUpdated"),
                ("PIDPressure", "Unknown", "NodeStatusNeverUpdated"),
            ]
        );
        assert_eq!(super::unknown(&unknown, Timestamp::UNIX_EPOCH), None);
    }
}
