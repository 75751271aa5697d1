//! The rules of pods, one case a line: what a valid pod is changed to, and what is said about it.

mod containers;
mod placement;
mod security;
mod status;
mod update;
mod volumes;
mod warnings;

use serde_json::{Value, json};

use crate::field::said::{compare, sentences};
use crate::kinds::{Kind, Part, by_resource};

fn pods() -> &'static Kind {
    by_resource("", "v1", "pods").unwrap()
}

/// A pod with nothing wrong about it.
fn pod() -> Value {
    let mut pod = json!({"metadata": {"name": "p", "namespace": "d", "resourceVersion": "1"},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    pods().default_object(&mut pod);
    pod
}

/// Lays `patch` over `base`: objects field by field, the items of lists one by one, null takes away.
fn lay(base: &mut Value, patch: &Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (field, value) in patch {
                match value {
                    Value::Null => drop(base.remove(field)),
                    value => lay(base.entry(field.clone()).or_insert(Value::Null), value),
                }
            }
        }
        (Value::Array(base), Value::Array(patch)) => {
            for (index, value) in patch.iter().enumerate() {
                match base.get_mut(index) {
                    Some(item) => lay(item, value),
                    None => base.push(value.clone()),
                }
            }
        }
        (base, patch) => base.clone_from(patch),
    }
}

fn with(patch: &Value) -> Value {
    let mut pod = pod();
    lay(&mut pod, patch);
    pods().default_object(&mut pod);
    pod
}

/// What is wrong with a new pod with this spec.
fn created(spec: &Value) -> Vec<String> {
    sentences(&pods().validate_create(&with(&json!({"spec": spec}))))
}

/// Holds every spec against what should be said of it; a sentence ending in `…` stands for its beginning.
fn check(cases: &[(Value, &[&str])]) {
    for (spec, expected) in cases {
        compare(spec, &created(spec), expected);
    }
}

/// What is wrong with an update of a pod from one patch to another.
fn updated(old: &Value, new: &Value, part: Part) -> Vec<String> {
    let (old, mut new) = (with(old), with(new));
    pods().prepare_update(&mut new, &old, part);
    sentences(&pods().validate_update(&new, &old, part))
}
