//! What may change about a pod that exists: very little.

use serde_json::{Value, json};

use super::annotations;
use crate::field::{Errors, Node};
use crate::names;
use crate::value::{at, is_zero, items_mut, list, members, replace, text};

const IMMUTABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(super) fn validate(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    annotations::update(&new.at("metadata.annotations"), at(old, "metadata.annotations"), errors);
    let (spec, old) = (new.at("spec"), at(old, "spec"));
    for kind in ["containers", "initContainers"] {
        let containers = spec.at(kind);
        if containers.list().len() != list(old, kind).len() {
            return errors.push(containers.forbidden("pod updates may not add or remove containers"));
        }
    }
    if !deadline(&spec.at("activeDeadlineSeconds"), at(old, "activeDeadlineSeconds"), errors) {
        return;
    }
    tolerations(&spec.at("tolerations"), list(old, "tolerations"), errors);
    gates(&spec.at("schedulingGates"), list(old, "schedulingGates"), errors);
    if spec.value != old {
        others(&spec, old, errors);
    }
}

/// A deadline may be set, or made earlier. Says whether the other rules have something to add.
fn deadline(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) -> bool {
    const MAX: i64 = i32::MAX as i64;
    match (new.int(), old.as_i64()) {
        (Some(seconds), _) if !(0..=MAX).contains(&seconds) => {
            errors.push(new.invalid(names::range(0, MAX)));
            return false;
        }
        (Some(seconds), Some(old)) if seconds > old => {
            errors.push(new.invalid("must be less than or equal to previous value"));
            return false;
        }
        (None, Some(_)) => {
            errors.push(new.invalid_as(Value::Null, "must not update from a positive integer to nil value"));
        }
        _ => {}
    }
    true
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
    for gate in new.items() {
        let name = gate.at("name");
        if !old.iter().any(|old| text(old, "name") == name.text()) {
            errors.push(name.forbidden(format!(
                "only deletion is allowed, but found new scheduling gate '{}'",
                name.text()
            )));
        }
    }
}

/// A pod that is not yet considered for scheduling may be steered more narrowly; nothing else may change.
fn others(spec: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let mut munged = spec.value.clone();
    for kind in ["containers", "initContainers"] {
        for (container, old) in items_mut(&mut munged, kind).zip(list(old, kind)) {
            replace(container, "image", old.get("image").cloned());
        }
    }
    for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
        replace(&mut munged, field, old.get(field).cloned());
    }
    let grace = "terminationGracePeriodSeconds";
    if at(old, grace).as_i64().is_some_and(|seconds| seconds < 0) && at(spec.value, grace) == 1 {
        replace(&mut munged, grace, old.get(grace).cloned());
    }
    if !list(old, "schedulingGates").is_empty() {
        steering(spec, old, errors);
        replace(&mut munged, "nodeSelector", old.get("nodeSelector").cloned());
        keep_node_affinity(&mut munged, old);
    }
    if munged != *old {
        errors.push(spec.forbidden(format!("{IMMUTABLE}\n{}", changes(&munged, old))));
    }
}

const NODE_TERMS: &str =
    "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";

fn steering(spec: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let selector = spec.at("nodeSelector");
    if members(old, "nodeSelector").any(|(key, value)| selector.value.get(key) != Some(value)) {
        let detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        errors.push(selector.invalid(detail));
    }
    let (terms, was) = (spec.at(NODE_TERMS), list(old, NODE_TERMS));
    if !was.is_empty() && was.len() != terms.list().len() {
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        return errors.push(terms.invalid(detail));
    }
    for (term, was) in terms.items().zip(was) {
        if !only_adds(term.value, was) {
            errors.push(term.invalid("only additions are allowed (no mutations or deletions)"));
        }
    }
}

/// Whether a term asks for all it asked for before; one that asked for nothing matches nothing, and stays so.
fn only_adds(new: &Value, old: &Value) -> bool {
    const KINDS: [&str; 2] = ["matchExpressions", "matchFields"];
    let is_empty = |term: &Value| KINDS.iter().all(|kind| list(term, kind).is_empty());
    (!is_empty(old) || is_empty(new)) && KINDS.iter().all(|kind| list(new, kind).starts_with(list(old, kind)))
}

fn keep_node_affinity(munged: &mut Value, old: &Value) {
    let was = at(old, "affinity.nodeAffinity");
    match munged.get_mut("affinity").filter(|affinity| !affinity.is_null()) {
        Some(affinity) => replace(affinity, "nodeAffinity", Some(was.clone()).filter(|was| !was.is_null())),
        None if was.is_null() => return,
        None => replace(munged, "affinity", Some(json!({"nodeAffinity": was}))),
    }
    // One that says nothing any more is as good as none.
    if at(old, "affinity").is_null() && is_zero(at(munged, "affinity")) {
        replace(munged, "affinity", old.get("affinity").cloned());
    }
}

/// What differs, as lines of a diff.
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
