//! autoscaling/v2beta1: the parts of a metric lay flat, and there was no behaviour. v2beta2: its behaviour had no tolerance.

use serde_json::{Map, Value};

use super::Shape;
use crate::kinds::autoscaling::carried::{
    drop_all, hide_behavior, hide_tolerances, show_behavior, show_tolerances,
};
use crate::value::{items_mut, walk};

pub(super) const SHAPE: Shape = Shape {
    to_hub: |scaler| {
        to_hub(scaler);
        show_behavior(scaler);
        drop_all(scaler);
    },
    from_hub: |scaler| {
        from_hub(scaler);
        drop_all(scaler);
        hide_behavior(scaler);
    },
    later: LATER,
};

pub(super) const WITHOUT_TOLERANCE: Shape = Shape {
    to_hub: |scaler| {
        show_tolerances(scaler);
        drop_all(scaler);
    },
    from_hub: |scaler| {
        drop_all(scaler);
        hide_tolerances(scaler);
    },
    later: &["spec.behavior.scaleDown.tolerance", "spec.behavior.scaleUp.tolerance"],
};

const LATER: &[&str] = &[
    "spec.behavior",
    "spec.metrics[].containerResource.target",
    "spec.metrics[].external.metric",
    "spec.metrics[].external.target",
    "spec.metrics[].object.describedObject",
    "spec.metrics[].object.metric",
    "spec.metrics[].object.target.averageValue",
    "spec.metrics[].object.target.type",
    "spec.metrics[].object.target.value",
    "spec.metrics[].pods.metric",
    "spec.metrics[].pods.target",
    "spec.metrics[].resource.target",
    "status.currentMetrics[].containerResource.current",
    "status.currentMetrics[].external.current",
    "status.currentMetrics[].external.metric",
    "status.currentMetrics[].object.current",
    "status.currentMetrics[].object.describedObject",
    "status.currentMetrics[].object.metric",
    "status.currentMetrics[].pods.current",
    "status.currentMetrics[].pods.metric",
    "status.currentMetrics[].resource.current",
];

/// A flat field of a source of metrics, and where it stands now.
struct Flat {
    name: &'static str,
    place: &'static [&'static str],
    /// In Go it is no pointer: it is an amount that is there, zero where nobody gave one.
    always: bool,
}

const fn flat(name: &'static str, place: &'static [&'static str]) -> Flat {
    Flat { name, place, always: false }
}

const fn amount(name: &'static str, place: &'static [&'static str]) -> Flat {
    Flat { name, place, always: true }
}

type Source = (&'static str, &'static [Flat]);

const NAME: &[&str] = &["metric", "name"];
const SELECTOR: &[&str] = &["metric", "selector"];
const TARGET_VALUE: &[&str] = &["target", "value"];
const TARGET_AVERAGE: &[&str] = &["target", "averageValue"];
const VALUE: &[&str] = &["current", "value"];
const AVERAGE: &[&str] = &["current", "averageValue"];

const SPEC: &[Source] = &[
    (
        "object",
        &[
            flat("target", &["describedObject"]),
            flat("metricName", NAME),
            flat("selector", SELECTOR),
            amount("targetValue", TARGET_VALUE),
            flat("averageValue", TARGET_AVERAGE),
        ],
    ),
    (
        "pods",
        &[flat("metricName", NAME), flat("selector", SELECTOR), amount("targetAverageValue", TARGET_AVERAGE)],
    ),
    ("resource", RESOURCE),
    ("containerResource", RESOURCE),
    (
        "external",
        &[
            flat("metricName", NAME),
            flat("metricSelector", SELECTOR),
            flat("targetValue", TARGET_VALUE),
            flat("targetAverageValue", TARGET_AVERAGE),
        ],
    ),
];

const RESOURCE: &[Flat] = &[
    flat("targetAverageUtilization", &["target", "averageUtilization"]),
    flat("targetAverageValue", TARGET_AVERAGE),
];

const STATUS: &[Source] = &[
    (
        "object",
        &[
            flat("target", &["describedObject"]),
            flat("metricName", NAME),
            flat("selector", SELECTOR),
            amount("currentValue", VALUE),
            flat("averageValue", AVERAGE),
        ],
    ),
    ("pods", &[flat("metricName", NAME), flat("selector", SELECTOR), amount("currentAverageValue", AVERAGE)]),
    ("resource", CURRENT_RESOURCE),
    ("containerResource", CURRENT_RESOURCE),
    (
        "external",
        &[
            flat("metricName", NAME),
            flat("metricSelector", SELECTOR),
            amount("currentValue", VALUE),
            flat("currentAverageValue", AVERAGE),
        ],
    ),
];

const CURRENT_RESOURCE: &[Flat] = &[
    flat("currentAverageUtilization", &["current", "averageUtilization"]),
    amount("currentAverageValue", AVERAGE),
];

const PARTS: [(&str, &str, &[Source]); 2] = [("spec", "metrics", SPEC), ("status", "currentMetrics", STATUS)];

/// Nests the parts of every metric.
pub(in crate::kinds) fn to_hub(scaler: &mut Value) {
    each_source(scaler, |part, name, source, fields| {
        let mut nested = Map::new();
        for (field, value) in std::mem::take(source).into_iter().filter(|(_, value)| !value.is_null()) {
            match fields.iter().find(|flat| flat.name == field) {
                Some(flat) => put(&mut nested, flat.place, value),
                None => drop(nested.insert(field, value)),
            }
        }
        for flat in fields.iter().filter(|flat| flat.always) {
            if walk_in(&nested, flat.place).is_null() {
                put(&mut nested, flat.place, "0".into());
            }
        }
        *source = nested;
        if part == "spec" {
            settle_target(name, source);
        }
    });
}

/// Lays them flat.
pub(in crate::kinds) fn from_hub(scaler: &mut Value) {
    each_source(scaler, |_, _, source, fields| {
        let nested = std::mem::take(source);
        for flat in fields {
            match walk_in(&nested, flat.place) {
                Value::Null if flat.always => drop(source.insert(flat.name.into(), "0".into())),
                Value::Null => {}
                value => drop(source.insert(flat.name.into(), value.clone())),
            }
        }
        for own in ["name", "container"] {
            if let Some(value) = nested.get(own) {
                source.insert(own.into(), value.clone());
            }
        }
    });
}

fn each_source(scaler: &mut Value, change: impl Fn(&str, &str, &mut Map<String, Value>, &[Flat])) {
    for (part, list, sources) in PARTS {
        for metric in scaler.get_mut(part).into_iter().flat_map(|part| items_mut(part, list)) {
            for (name, fields) in sources {
                if let Some(source) = metric.get_mut(name).and_then(Value::as_object_mut) {
                    change(part, name, source, fields);
                }
            }
        }
    }
}

fn walk_in<'a>(source: &'a Map<String, Value>, place: &[&str]) -> &'a Value {
    match place.split_first() {
        Some((first, rest)) => source.get(*first).map_or(&Value::Null, |inner| walk(inner, rest)),
        None => &Value::Null,
    }
}

fn put(object: &mut Map<String, Value>, place: &[&str], value: Value) {
    match place {
        [] => {}
        [field] => drop(object.insert((*field).into(), value)),
        [outer, rest @ ..] => {
            let inner = object.entry(*outer).or_insert_with(|| Value::Object(Map::new()));
            if let Some(inner) = inner.as_object_mut() {
                put(inner, rest, value);
            }
        }
    }
}

/// A target says of which type it is: that follows from its fields, for every source in its own way.
fn settle_target(source: &str, fields: &mut Map<String, Value>) {
    let target = fields.entry("target").or_insert_with(|| Value::Object(Map::new()));
    let Some(target) = target.as_object_mut() else { return };
    let kind = match source {
        "resource" | "containerResource" if target.contains_key("averageUtilization") => "Utilization",
        "external" if target.contains_key("value") => "Value",
        "object" if !target.contains_key("averageValue") => "Value",
        _ => "AverageValue",
    };
    // Beside an average the total is a zero that nobody meant. Upstream refuses its own one.
    if kind == "AverageValue" && target.get("value").is_some_and(|value| *value == "0") {
        target.remove("value");
    }
    target.insert("type".into(), kind.into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metrics_are_nested_and_flat_again() {
        let old = json!({"spec": {"metrics": [
            {"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": 50}},
            {"type": "Pods", "pods": {"metricName": "m", "targetAverageValue": "1k"}},
            {"type": "External", "external": {"metricName": "q", "metricSelector": {}, "targetValue": "3"}},
            {"type": "Object", "object": {"target": {"kind": "Ingress", "name": "i"}, "metricName": "r", "targetValue": "2k"}}]},
            "status": {"currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "currentAverageValue": "1"}}]}});
        let mut scaler = old.clone();
        to_hub(&mut scaler);
        assert_eq!(
            scaler["spec"]["metrics"][0]["resource"],
            json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}})
        );
        assert_eq!(
            scaler["spec"]["metrics"][3]["object"],
            json!({"describedObject": {"kind": "Ingress", "name": "i"}, "metric": {"name": "r"},
                "target": {"type": "Value", "value": "2k"}})
        );
        assert_eq!(
            scaler["status"]["currentMetrics"][0]["resource"],
            json!({"name": "cpu", "current": {"averageValue": "1"}})
        );
        from_hub(&mut scaler);
        assert_eq!(scaler, old);
    }
}
