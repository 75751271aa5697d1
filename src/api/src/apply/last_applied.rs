//! From client-side to server-side apply: kubectl's annotation says what `kubectl apply` set, so `kubectl apply
//! --server-side` may take it over without a conflict, and keeps the annotation up to date for the way back.

use serde_json::Value;

use super::compare::compare;
use super::set::Set;
use super::typed::fields;
use super::{Write, check};

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Only this manager's word is taken for it.
const MANAGER: &str = "kubectl";
/// All annotations of an object together have no more room.
const MAX_LEN: usize = 256 << 10;

fn annotation(object: &Value) -> Option<&str> {
    object["metadata"]["annotations"][ANNOTATION].as_str().filter(|text| !text.is_empty())
}

/// The fields that client-side apply set and that are still as it set them: no conflict for kubectl.
pub(super) fn still_applied(live: &Value, write: &Write<'_>) -> Set {
    let applied = annotation(live).filter(|_| write.manager == MANAGER);
    let applied: Option<Value> = applied.and_then(|text| serde_json::from_str(text).ok());
    let applied = applied.filter(|applied| applied["apiVersion"] == write.version);
    let Some(applied) = applied.filter(|applied| check::check(applied, write.node).is_empty()) else {
        return Set::default();
    };
    let changes = compare(&applied, live, write.node, &Set::default());
    let changed = changes.modified.union(&changes.added).union(&changes.removed);
    fields(&applied, write.node).difference(&changed)
}

/// Brings the annotation up to date with a configuration that kubectl applied, where there is one.
pub(super) fn update(object: &mut Value, config: &Value, write: &Write<'_>) {
    if write.manager != MANAGER || annotation(object).is_none() {
        return;
    }
    let mut config = config.clone();
    if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(ANNOTATION);
    }
    let text = format!("{config}\n");
    if text.len() <= MAX_LEN {
        object["metadata"]["annotations"][ANNOTATION] = text.into();
    }
}
