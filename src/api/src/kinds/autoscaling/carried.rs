//! What an older version has no field for travels through it in annotations: upstream's, in the forms in which Go writes them.
//!
//! They belong to the way there and back. Whoever reads the stored form finds none of them, and none that a client made up
//! survives.

use serde_json::{Map, Value, json};

use crate::quantity::Quantity;
use crate::schema::{Strict, by_name, conform};
use crate::value::{at, is_zero, object, remove};

pub(super) const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
pub(super) const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
pub(super) const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
/// And which part of the behaviour it is about.
const TOLERANCES: [(&str, &str); 2] = [
    ("autoscaling.alpha.kubernetes.io/scale-down-tolerance", "scaleDown"),
    ("autoscaling.alpha.kubernetes.io/scale-up-tolerance", "scaleUp"),
];

/// Takes away what is carried.
pub(in crate::kinds) fn drop_all(scaler: &mut Value) {
    let Some(metadata) = scaler.get_mut("metadata") else { return };
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    let before = annotations.len();
    annotations.retain(|name, _| {
        ![METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR].contains(&name.as_str())
            && !TOLERANCES.iter().any(|(annotation, _)| *annotation == name.as_str())
    });
    if annotations.is_empty() && before > 0 {
        remove(metadata, "annotations");
    }
}

/// Writes an annotation for what there is.
pub(super) fn pack(scaler: &mut Value, annotation: &str, value: &Value) {
    if !is_zero(value) {
        write(scaler, annotation, value.to_string());
    }
}

fn write(scaler: &mut Value, annotation: &str, text: String) {
    let metadata =
        object(scaler, "metadata").map(|metadata| metadata.entry("annotations").or_insert(json!({})));
    if let Some(annotations) = metadata.and_then(Value::as_object_mut) {
        annotations.insert(annotation.to_owned(), text.into());
    }
}

/// The list that an annotation carries.
pub(super) fn unpack(scaler: &Value, annotation: &str) -> Option<Value> {
    read(scaler, annotation).filter(Value::is_array)
}

fn read(scaler: &Value, annotation: &str) -> Option<Value> {
    serde_json::from_str(at(scaler, "metadata.annotations").get(annotation)?.as_str()?).ok()
}

/// What was carried, if all of it is of this type of autoscaling/v2. What is not was not written by us; upstream drops it the
/// same way.
pub(super) fn fitting(carried: Value, kind: &str) -> Value {
    let fits = |value: Value| {
        let node = by_name(&format!("io.k8s.api.autoscaling.v2.{kind}"))?;
        conform(value, node, &mut Strict::default()).ok()
    };
    let all = match carried {
        Value::Array(items) => items.into_iter().map(fits).collect(),
        value => fits(value),
    };
    all.unwrap_or_default()
}

/// Packs the behaviour: every field by the name of a Go struct that says nothing of JSON, empty ones as null.
pub(in crate::kinds) fn hide_behavior(scaler: &mut Value) {
    const FIELDS: [&str; 4] = ["stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance"];
    let Some(behavior) = scaler.get_mut("spec").and_then(|spec| remove(spec, "behavior")) else { return };
    if behavior.is_null() {
        return;
    }
    let mut whole = Map::new();
    for direction in ["scaleUp", "scaleDown"] {
        let rules = at(&behavior, direction);
        let fields = FIELDS.map(|field| (field.to_owned(), at(rules, field).clone()));
        let rules = if rules.is_null() { Value::Null } else { Value::Object(fields.into_iter().collect()) };
        whole.insert(direction.to_owned(), rules);
    }
    pack(scaler, BEHAVIOR, &renamed(&Value::Object(whole), str::to_ascii_uppercase));
}

pub(in crate::kinds) fn show_behavior(scaler: &mut Value) {
    let Some(carried) = read(scaler, BEHAVIOR).filter(Value::is_object) else { return };
    let behavior = fitting(renamed(&carried, str::to_ascii_lowercase), "HorizontalPodAutoscalerBehavior");
    if let Some(spec) = object(scaler, "spec").filter(|_| !is_zero(&behavior)) {
        spec.insert("behavior".into(), behavior);
    }
}

/// The same with the first letter of every field in the other case.
fn renamed(value: &Value, case: fn(&str) -> String) -> Value {
    match value {
        Value::Object(members) => {
            let rename = |(name, value): (&String, &Value)| {
                let split = name.chars().next().map_or(0, char::len_utf8);
                (case(&name[..split]) + &name[split..], renamed(value, case))
            };
            Value::Object(members.iter().map(rename).collect())
        }
        Value::Array(items) => items.iter().map(|item| renamed(item, case)).collect(),
        scalar => scalar.clone(),
    }
}

pub(in crate::kinds) fn hide_tolerances(scaler: &mut Value) {
    for (annotation, direction) in TOLERANCES {
        let behavior = scaler.get_mut("spec").and_then(|spec| spec.get_mut("behavior"));
        let rules = behavior.and_then(|behavior| behavior.get_mut(direction));
        if let Some(Value::String(tolerance)) = rules.and_then(|rules| remove(rules, "tolerance")) {
            write(scaler, annotation, tolerance);
        }
    }
}

pub(in crate::kinds) fn show_tolerances(scaler: &mut Value) {
    for (annotation, direction) in TOLERANCES {
        let carried = at(scaler, "metadata.annotations").get(annotation).and_then(Value::as_str);
        let Some(tolerance) = carried.filter(|text| text.parse::<Quantity>().is_ok()).map(str::to_owned)
        else {
            continue;
        };
        let behavior = object(scaler, "spec").map(|spec| spec.entry("behavior").or_insert(json!({})));
        if let Some(rules) = behavior.and_then(|behavior| object(behavior, direction)) {
            rules.insert("tolerance".into(), tolerance.into());
        }
    }
}
