//! What may change about a pod that exists: very little.

use serde_json::Value;

use crate::field::{Errors, Node};
use crate::value::{at, items_mut, list, replace};

const IMMUTABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(super) fn validate(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let (spec, old) = (new.at("spec"), at(old, "spec"));
    for kind in ["containers", "initContainers"] {
        let containers = spec.at(kind);
        if containers.list().len() != list(old, kind).len() {
            return errors.push(containers.forbidden("pod updates may not add or remove containers"));
        }
    }
    deadline(&spec.at("activeDeadlineSeconds"), at(old, "activeDeadlineSeconds"), errors);
    tolerations(&spec.at("tolerations"), list(old, "tolerations"), errors);
    gates(&spec.at("schedulingGates"), list(old, "schedulingGates"), errors);
    if let Some(changed) = difference(spec.value, old) {
        errors.push(spec.forbidden(format!("{IMMUTABLE}\n{changed}")));
    }
}

/// A deadline may be set, or made earlier.
fn deadline(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    match (new.int(), old.as_i64()) {
        (Some(new_seconds), Some(old)) if new_seconds > old => {
            errors.push(new.invalid("must be less than or equal to previous value"));
        }
        (None, Some(_)) => {
            errors.push(new.invalid_as(Value::Null, "must not update from a positive integer to nil value"));
        }
        _ => {}
    }
}

fn tolerations(new: &Node<'_, '_>, old: &[Value], errors: &mut Errors) {
    // A toleration that only lasts longer or shorter is still there.
    let same = |a: &Value, b: &Value| {
        ["key", "operator", "value", "effect"].iter().all(|field| at(a, field) == at(b, field))
    };
    if !old.iter().all(|old| new.list().iter().any(|new| same(new, old))) {
        errors.push(new.forbidden("existing toleration can not be modified except its tolerationSeconds"));
    }
}

fn gates(new: &Node<'_, '_>, old: &[Value], errors: &mut Errors) {
    if let Some(gate) = new.list().iter().find(|gate| !old.contains(gate)) {
        let name = gate.get("name").and_then(Value::as_str).unwrap_or_default();
        errors
            .push(new.forbidden(format!("only deletion is allowed, but found new scheduling gate '{name}'")));
    }
}

/// The fields that changed beyond those that may, as lines of a diff.
fn difference(new: &Value, old: &Value) -> Option<String> {
    let mut munged = new.clone();
    for kind in ["containers", "initContainers"] {
        for (container, old) in items_mut(&mut munged, kind).zip(list(old, kind)) {
            replace(container, "image", old.get("image").cloned());
        }
    }
    let gated = !list(old, "schedulingGates").is_empty();
    for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
        replace(&mut munged, field, old.get(field).cloned());
    }
    if gated {
        // A pod that is not yet considered for scheduling may still be steered.
        for field in ["nodeSelector", "affinity"] {
            replace(&mut munged, field, old.get(field).cloned());
        }
    }
    let grace = "terminationGracePeriodSeconds";
    if at(old, grace).as_i64().is_some_and(|seconds| seconds < 0) && at(new, grace) == 1 {
        replace(&mut munged, grace, old.get(grace).cloned());
    }
    (munged != *old).then(|| changes(&munged, old))
}

fn changes(new: &Value, old: &Value) -> String {
    let empty = Value::Object(serde_json::Map::new());
    let mut both = old.clone();
    if !both.is_object() {
        both = empty;
    }
    for (field, value) in new.as_object().into_iter().flatten() {
        if let Some(fields) = both.as_object_mut() {
            fields.insert(field.clone(), value.clone());
        }
    }
    let mut lines = Vec::new();
    for field in both.as_object().into_iter().flatten().map(|(field, _)| field) {
        let (before, after) = (old.get(field), new.get(field));
        if before != after {
            lines.extend(before.map(|before| format!("- {field}: {before}")));
            lines.extend(after.map(|after| format!("+ {field}: {after}")));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
    fn found(new: Value, old: Value) -> Vec<String> {
        let mut errors = Errors::new();
        let new = json!({"spec": new});
        validate(&Node::root(&new), &json!({"spec": old}), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn images_may_change_and_little_else() {
        let pod = |image: &str, node: &str| json!({"containers": [{"name": "a", "image": image}], "nodeName": node});
        assert_eq!(found(pod("b", "n"), pod("a", "n")), [""; 0]);
        let errors = found(pod("b", "m"), pod("a", "n"));
        assert_eq!(errors.len(), 1);
        assert!(
            errors[0].starts_with(
                "spec: Forbidden: pod updates may not change fields other than `spec.containers"
            )
        );
        assert!(errors[0].ends_with("- nodeName: \"n\"\n+ nodeName: \"m\""));
        assert_eq!(
            found(json!({"containers": []}), pod("a", "n")),
            ["spec.containers: Forbidden: pod updates may not add or remove containers"]
        );
    }

    #[test]
    fn deadlines_and_tolerations() {
        assert_eq!(found(json!({"activeDeadlineSeconds": 5}), json!({"activeDeadlineSeconds": 6})), [""; 0]);
        assert_eq!(
            found(json!({"activeDeadlineSeconds": 7}), json!({"activeDeadlineSeconds": 6})),
            ["spec.activeDeadlineSeconds: Invalid value: 7: must be less than or equal to previous value"]
        );
        let old = json!({"tolerations": [{"key": "a", "operator": "Exists"}]});
        let more = json!({"tolerations": [{"key": "b"}, {"key": "a", "operator": "Exists", "tolerationSeconds": 3}]});
        assert_eq!(found(more, old.clone()), [""; 0]);
        assert_eq!(found(json!({}), old).len(), 1);
    }
}
