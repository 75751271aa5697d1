//! From one status to the next: only what changed is sent.
//!
//! The patch is a strategic one, so that conditions that others set stay. It names the pod's uid: a pod of the same name that
//! was made meanwhile is not touched.

use api::codec::{Error, Typed};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::{Map, Value, json};

use super::conditions::PASSING;

/// A status as it is sent: times have whole seconds, absent fields are absent. What is told is compared in this form.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StatusText(Map<String, Value>);

/// The fields this node answers for, in the form they have on the wire.
const OURS: [&str; 14] = [
    "phase",
    "reason",
    "message",
    "conditions",
    "hostIP",
    "hostIPs",
    "podIP",
    "podIPs",
    "startTime",
    "qosClass",
    "initContainerStatuses",
    "containerStatuses",
    "ephemeralContainerStatuses",
    "observedGeneration",
];
/// Lists that a patch merges by element unless it is told to replace them.
const MERGED: [&str; 2] = ["hostIPs", "podIPs"];

pub(crate) fn text(status: &PodStatus) -> Result<StatusText, Error> {
    let pod = Pod { status: Some(status.clone()), ..Pod::default() };
    let encoded = pod.encode()?;
    let mut value: Value =
        serde_json::from_slice(&encoded).map_err(|source| Error { kind: "Pod", source })?;
    let mut fields = Map::new();
    for name in OURS {
        fields.extend(value["status"].get_mut(name).map(|field| (name.to_owned(), field.take())));
    }
    Ok(StatusText(fields))
}

impl StatusText {
    /// What makes `self` out of `old`; none if they are the same.
    pub(crate) fn patch(&self, uid: &str, old: &Self) -> Option<Value> {
        let mut changes = Map::new();
        for name in OURS {
            match (old.0.get(name), self.0.get(name)) {
                (old, new) if old == new => {}
                (old, Some(new)) if name == "conditions" => {
                    let changed = conditions(old, new);
                    if !changed.is_empty() {
                        changes.insert(name.to_owned(), changed.into());
                    }
                }
                (_, new) => drop(changes.insert(name.to_owned(), replaced(name, new))),
            }
        }
        (!changes.is_empty()).then(|| json!({"metadata": {"uid": uid}, "status": changes}))
    }
}

fn replaced(name: &str, new: Option<&Value>) -> Value {
    match new {
        Some(Value::Array(items)) if MERGED.contains(&name) => {
            let mut list = vec![json!({"$patch": "replace"})];
            list.extend(items.iter().cloned());
            list.into()
        }
        Some(new) => new.clone(),
        None => Value::Null,
    }
}

/// The conditions that are new or changed, with a null for each field that is gone, and those of ours that hold no more.
fn conditions(old: Option<&Value>, new: &Value) -> Vec<Value> {
    let all = |list: Option<&Value>| list.and_then(Value::as_array).cloned().unwrap_or_default();
    let old = all(old);
    let mut changed = Vec::new();
    for mut condition in all(Some(new)) {
        let before = old.iter().find(|before| before["type"] == condition["type"]);
        if before == Some(&condition) {
            continue;
        }
        for gone in before.and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            if condition.get(gone).is_none() && gone != "lastProbeTime" {
                condition[gone] = Value::Null;
            }
        }
        changed.push(condition);
    }
    let has = |list: &[Value], type_: &str| list.iter().any(|condition| condition["type"] == *type_);
    let gone = PASSING.into_iter().filter(|type_| has(&old, type_) && !has(&all(Some(new)), type_));
    changed.extend(gone.map(|type_| json!({"type": type_, "$patch": "delete"})));
    changed
}
