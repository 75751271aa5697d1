//! autoscaling/v2beta1: the parts of a metric lay flat. What that version does not know (the behavior) stays where it is.

use serde_json::{Map, Value};

use super::Shape;
use crate::value::{items_mut, walk};

pub(super) const SHAPE: Shape = Shape { to_hub, from_hub };

/// A source of metrics, and where each of its flat fields stands now.
type Source = (&'static str, &'static [(&'static str, &'static [&'static str])]);

const NAME: &[&str] = &["metric", "name"];
const SELECTOR: &[&str] = &["metric", "selector"];

const SPEC: &[Source] = &[
    (
        "object",
        &[
            ("target", &["describedObject"]),
            ("metricName", NAME),
            ("selector", SELECTOR),
            ("targetValue", &["target", "value"]),
            ("averageValue", &["target", "averageValue"]),
        ],
    ),
    (
        "pods",
        &[("metricName", NAME), ("selector", SELECTOR), ("targetAverageValue", &["target", "averageValue"])],
    ),
    ("resource", RESOURCE),
    ("containerResource", RESOURCE),
    (
        "external",
        &[
            ("metricName", NAME),
            ("metricSelector", SELECTOR),
            ("targetValue", &["target", "value"]),
            ("targetAverageValue", &["target", "averageValue"]),
        ],
    ),
];

const RESOURCE: &[(&str, &[&str])] = &[
    ("targetAverageUtilization", &["target", "averageUtilization"]),
    ("targetAverageValue", &["target", "averageValue"]),
];

const STATUS: &[Source] = &[
    (
        "object",
        &[
            ("target", &["describedObject"]),
            ("metricName", NAME),
            ("selector", SELECTOR),
            ("currentValue", &["current", "value"]),
            ("averageValue", &["current", "averageValue"]),
        ],
    ),
    (
        "pods",
        &[
            ("metricName", NAME),
            ("selector", SELECTOR),
            ("currentAverageValue", &["current", "averageValue"]),
        ],
    ),
    ("resource", CURRENT_RESOURCE),
    ("containerResource", CURRENT_RESOURCE),
    (
        "external",
        &[
            ("metricName", NAME),
            ("metricSelector", SELECTOR),
            ("currentValue", &["current", "value"]),
            ("currentAverageValue", &["current", "averageValue"]),
        ],
    ),
];

const CURRENT_RESOURCE: &[(&str, &[&str])] = &[
    ("currentAverageUtilization", &["current", "averageUtilization"]),
    ("currentAverageValue", &["current", "averageValue"]),
];

const PARTS: [(&str, &str, &[Source]); 2] = [("spec", "metrics", SPEC), ("status", "currentMetrics", STATUS)];

/// Nests the parts of every metric.
pub(in crate::kinds) fn to_hub(scaler: &mut Value) {
    each_source(scaler, |source, places| {
        let mut nested = Map::new();
        for (field, value) in std::mem::take(source) {
            match places.iter().find(|(flat, _)| *flat == field) {
                Some((_, place)) => put(&mut nested, place, value),
                None => drop(nested.insert(field, value)),
            }
        }
        settle_target(&mut nested);
        *source = nested;
    });
}

/// Lays them flat.
pub(in crate::kinds) fn from_hub(scaler: &mut Value) {
    each_source(scaler, |source, places| {
        let nested = Value::Object(std::mem::take(source));
        for (flat, place) in places {
            match walk(&nested, place) {
                Value::Null => {}
                value => drop(source.insert((*flat).into(), value.clone())),
            }
        }
        for own in ["name", "container"] {
            if let Some(value) = nested.get(own) {
                source.insert(own.into(), value.clone());
            }
        }
    });
}

fn each_source(scaler: &mut Value, change: impl Fn(&mut Map<String, Value>, &[(&str, &[&str])])) {
    for (part, list, sources) in PARTS {
        for metric in scaler.get_mut(part).into_iter().flat_map(|part| items_mut(part, list)) {
            for (name, places) in sources {
                if let Some(source) = metric.get_mut(name).and_then(Value::as_object_mut) {
                    change(source, places);
                }
            }
        }
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

/// A target says of which type it is, and has one value: an average goes before a total.
fn settle_target(source: &mut Map<String, Value>) {
    let Some(target) = source.get_mut("target").and_then(Value::as_object_mut) else { return };
    let kind = match (target.contains_key("averageUtilization"), target.contains_key("averageValue")) {
        (true, _) => "Utilization",
        (false, true) => "AverageValue",
        (false, false) => "Value",
    };
    if kind != "Value" {
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
