//! Pods stay for five minutes on a node that is gone: it may only have been a cable.

use api::status::Status;
use api::value::{list, text};
use serde_json::{Value, json};

use super::{Attempt, Operation};

const SECONDS: i64 = 300;
const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

pub(super) fn change(attempt: &Attempt<'_>, pod: &mut Value) -> Result<(), Status> {
    if !attempt.is_of("", "Pod") || matches!(attempt.operation, Operation::Delete) {
        return Ok(());
    }
    let mut tolerations = list(pod, "spec.tolerations").to_vec();
    for taint in TAINTS {
        if !tolerations.iter().any(|toleration| is_about(toleration, taint)) {
            tolerations.push(json!({
                "key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS,
            }));
        }
    }
    if let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("tolerations".into(), tolerations.into());
    }
    Ok(())
}

/// Whether somebody has said already how long the pod stays.
fn is_about(toleration: &Value, taint: &str) -> bool {
    let (key, effect) = (text(toleration, "key"), text(toleration, "effect"));
    (key.is_empty() || key == taint) && (effect.is_empty() || effect == "NoExecute")
}
