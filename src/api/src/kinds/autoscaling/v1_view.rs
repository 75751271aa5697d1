//! autoscaling/v1 as a view of autoscaling/v2.
//!
//! v1 knows one metric, the CPU utilisation. Everything else travels through it in the annotations that upstream uses, in the
//! forms in which upstream writes them: metrics lie flat, as in v2beta1, and the behaviour has the field names of a Go struct.
//! All current metrics are there, the CPU's, too: its raw value has no field in v1.

use serde_json::{Map, Value, json};

use super::super::legacy::{flatten_metrics, nest_metrics};
use crate::value::{at, is_zero, list};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

const TARGET: &str = "targetCPUUtilizationPercentage";
const CURRENT: &str = "currentCPUUtilizationPercentage";

pub(super) fn to_v2(hpa: &mut Value) {
    set(hpa, "apiVersion", "autoscaling/v2".into());
    let [metrics, current, conditions, behavior] =
        [METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR].map(|annotation| unpack(hpa, annotation));
    let mut nested = json!({"spec": {"metrics": metrics}, "status": {"currentMetrics": current}});
    nest_metrics(&mut nested);
    let mut metrics = list(&nested, "spec.metrics").to_vec();
    if let Some(percent) = remove(hpa, "spec", TARGET) {
        metrics.push(cpu("target", json!({"type": "Utilization", "averageUtilization": percent})));
    }
    let mut current = list(&nested, "status.currentMetrics").to_vec();
    let percent = remove(hpa, "status", CURRENT);
    if let Some(percent) = percent.filter(|_| current.is_empty()) {
        current.push(cpu("current", json!({"averageUtilization": percent})));
    }
    insert(hpa, "spec", "metrics", metrics.into());
    insert(hpa, "spec", "behavior", renamed(&behavior.unwrap_or_default(), str::to_ascii_lowercase));
    insert(hpa, "status", "currentMetrics", current.into());
    insert(hpa, "status", "conditions", conditions.unwrap_or_default());
}

pub(super) fn from_v2(hpa: &mut Value) {
    set(hpa, "apiVersion", "autoscaling/v1".into());
    let mut take = |part, field| remove(hpa, part, field).unwrap_or_default();
    let (metrics, behavior) = (take("spec", "metrics"), take("spec", "behavior"));
    let (current, conditions) = (take("status", "currentMetrics"), take("status", "conditions"));
    let (metrics, current) = (items(&metrics), items(&current));
    let target =
        metrics.iter().find(|metric| is_cpu(metric)).map(|metric| utilization(metric, "target").clone());
    insert(hpa, "spec", TARGET, target.unwrap_or_default());
    let mut percents =
        current.iter().filter(|metric| is_cpu(metric)).map(|metric| utilization(metric, "current"));
    let percent = percents.rfind(|percent| !percent.is_null());
    insert(hpa, "status", CURRENT, percent.cloned().unwrap_or_default());
    let others = metrics.iter().filter(|metric| !is_cpu(metric) || utilization(metric, "target").is_null());
    let others: Vec<&Value> = others.collect();
    let mut flat = json!({"spec": {"metrics": others}, "status": {"currentMetrics": current}});
    flatten_metrics(&mut flat);
    pack(hpa, METRICS, at(&flat, "spec.metrics"));
    pack(hpa, CURRENT_METRICS, at(&flat, "status.currentMetrics"));
    pack(hpa, CONDITIONS, &conditions);
    pack(hpa, BEHAVIOR, &whole_behavior(&behavior));
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn cpu(key: &str, value: Value) -> Value {
    let mut resource = json!({"name": "cpu"});
    resource[key] = value;
    json!({"type": "Resource", "resource": resource})
}

fn is_cpu(metric: &Value) -> bool {
    at(metric, "type") == "Resource" && at(metric, "resource.name") == "cpu"
}

fn utilization<'a>(metric: &'a Value, key: &str) -> &'a Value {
    at(at(at(metric, "resource"), key), "averageUtilization")
}

/// The behaviour as Go writes a struct that says nothing of JSON: every field by its own name, empty ones as null.
fn whole_behavior(behavior: &Value) -> Value {
    const FIELDS: [&str; 4] = ["stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance"];
    if behavior.is_null() {
        return Value::Null;
    }
    let mut whole = Map::new();
    for direction in ["scaleUp", "scaleDown"] {
        let rules = at(behavior, direction);
        let fields = FIELDS.map(|field| (field.to_owned(), at(rules, field).clone()));
        let rules = if rules.is_null() { Value::Null } else { Value::Object(fields.into_iter().collect()) };
        whole.insert(direction.to_owned(), rules);
    }
    renamed(&Value::Object(whole), str::to_ascii_uppercase)
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

/// Writes an annotation for what there is, and takes it away for what there is not.
fn pack(hpa: &mut Value, annotation: &str, value: &Value) {
    if is_zero(value) {
        if let Some(annotations) = annotations(hpa) {
            annotations.remove(annotation);
        }
        return;
    }
    let metadata = object_at(hpa, "metadata");
    if let Some(annotations) = metadata.entry("annotations").or_insert_with(|| json!({})).as_object_mut() {
        annotations.insert(annotation.to_owned(), value.to_string().into());
    }
}

/// What an annotation carries, without it. What does not parse was not written by us; upstream drops it the same way.
fn unpack(hpa: &mut Value, annotation: &str) -> Option<Value> {
    let carried = annotations(hpa)?.remove(annotation)?;
    let parsed: Value = serde_json::from_str(carried.as_str()?).ok()?;
    Some(parsed).filter(|parsed| parsed.is_object() == (annotation == BEHAVIOR))
}

fn annotations(hpa: &mut Value) -> Option<&mut Map<String, Value>> {
    hpa.get_mut("metadata")?.get_mut("annotations")?.as_object_mut()
}

fn object_at<'a>(hpa: &'a mut Value, part: &str) -> &'a mut Map<String, Value> {
    if !hpa.is_object() {
        *hpa = json!({});
    }
    let fields = hpa.as_object_mut().expect("made an object above");
    let part = fields.entry(part).or_insert_with(|| json!({}));
    if !part.is_object() {
        *part = json!({});
    }
    part.as_object_mut().expect("made an object above")
}

fn set(hpa: &mut Value, field: &str, value: Value) {
    if let Some(fields) = hpa.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

/// Sets a field of a part to what there is.
fn insert(hpa: &mut Value, part: &str, field: &str, value: Value) {
    if !is_zero(&value) || value.is_number() {
        object_at(hpa, part).insert(field.to_owned(), value);
    }
}

fn remove(hpa: &mut Value, part: &str, field: &str) -> Option<Value> {
    hpa.get_mut(part)?.as_object_mut()?.remove(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotation(hpa: &Value, name: &str) -> Value {
        serde_json::from_str(hpa["metadata"]["annotations"][name].as_str().unwrap()).unwrap()
    }

    #[test]
    fn nothing_is_lost_on_the_way_through_v1() {
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": 80}}});
        let external = json!({"type": "External", "external": {"metric": {"name": "m", "selector": {}},
            "target": {"type": "Value", "value": "3"}}});
        let current = json!({"type": "Resource", "resource": {"name": "cpu",
            "current": {"averageUtilization": 12, "averageValue": "100m"}}});
        let policy = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
        let v2 = json!({"apiVersion": "autoscaling/v2", "metadata": {"name": "x", "annotations": {}},
            "spec": {"maxReplicas": 3, "metrics": [external, cpu], "behavior": {"scaleUp":
                {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [policy]}}},
            "status": {"currentReplicas": 1, "currentMetrics": [current], "conditions": [{"type": "AbleToScale"}]}});
        let mut hpa = v2.clone();
        from_v2(&mut hpa);
        assert_eq!(hpa["spec"], json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": 80}));
        assert_eq!(hpa["status"], json!({"currentReplicas": 1, "currentCPUUtilizationPercentage": 12}));
        assert_eq!(
            annotation(&hpa, METRICS),
            json!([{"type": "External", "external": {"metricName": "m", "metricSelector": {}, "targetValue": "3"}}])
        );
        assert_eq!(
            annotation(&hpa, CURRENT_METRICS),
            json!([{"type": "Resource", "resource":
                {"name": "cpu", "currentAverageUtilization": 12, "currentAverageValue": "100m"}}])
        );
        assert_eq!(
            annotation(&hpa, BEHAVIOR),
            json!({"ScaleUp": {"StabilizationWindowSeconds": 0, "SelectPolicy": "Max", "Tolerance": null,
                "Policies": [{"Type": "Pods", "Value": 4, "PeriodSeconds": 15}]}, "ScaleDown": null})
        );
        assert_eq!(annotation(&hpa, CONDITIONS), json!([{"type": "AbleToScale"}]));
        to_v2(&mut hpa);
        let up = &mut hpa["spec"]["behavior"];
        assert_eq!(up["scaleUp"]["tolerance"].take(), json!(null));
        up["scaleUp"].as_object_mut().unwrap().remove("tolerance");
        up.as_object_mut().unwrap().remove("scaleDown");
        assert_eq!(hpa, v2);
    }

    #[test]
    fn odd_input_is_left_alone() {
        for mut odd in [json!(null), json!([1]), json!({"spec": 3}), json!({"metadata": {"annotations": 7}})]
        {
            to_v2(&mut odd);
            from_v2(&mut odd);
        }
    }
}
