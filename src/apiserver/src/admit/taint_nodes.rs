//! A node takes no pods before somebody has seen that it is ready.

use api::status::Status;
use api::value::{list, text};
use serde_json::{Value, json};

use super::Attempt;

const NOT_READY: &str = "node.kubernetes.io/not-ready";

pub(super) fn change(attempt: &Attempt<'_>, node: &mut Value) -> Result<(), Status> {
    if !attempt.creates("", "Node") {
        return Ok(());
    }
    let mut taints = list(node, "spec.taints").to_vec();
    let there = |taint: &Value| text(taint, "key") == NOT_READY && text(taint, "effect") == "NoSchedule";
    if !taints.iter().any(there) {
        taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
        node["spec"]["taints"] = taints.into();
    }
    Ok(())
}
