//! autoscaling/v1 as a view of autoscaling/v2.
//!
//! v1 knows one metric, the CPU utilisation. Everything else travels through it in the annotations that upstream uses, so
//! that an object read as v1 and written back as v1 loses nothing.

use serde_json::{Map, Value, json};

use crate::value::{at, is_zero};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// The v2 field each annotation stands for.
const CARRIED: &[(&str, &str, &str)] = &[
    (METRICS, "spec", "metrics"),
    (BEHAVIOR, "spec", "behavior"),
    (CURRENT_METRICS, "status", "currentMetrics"),
    (CONDITIONS, "status", "conditions"),
];

pub(super) fn to_v2(hpa: &mut Value) {
    set(hpa, "apiVersion", "autoscaling/v2".into());
    unpack_annotations(hpa);
    if let Some(target) = remove(hpa, "spec", "targetCPUUtilizationPercentage") {
        insert(hpa, "spec", "metrics", cpu_metric(hpa, "spec", "metrics", "target", &target));
    }
    if let Some(current) = remove(hpa, "status", "currentCPUUtilizationPercentage") {
        let metrics = cpu_metric(hpa, "status", "currentMetrics", "current", &current);
        insert(hpa, "status", "currentMetrics", metrics);
    }
}

pub(super) fn from_v2(hpa: &mut Value) {
    set(hpa, "apiVersion", "autoscaling/v1".into());
    if let Some(target) = take_cpu(hpa, "spec", "metrics", "target") {
        insert(hpa, "spec", "targetCPUUtilizationPercentage", target);
    }
    if let Some(current) = take_cpu(hpa, "status", "currentMetrics", "current") {
        insert(hpa, "status", "currentCPUUtilizationPercentage", current);
    }
    pack_annotations(hpa);
}

/// The list with the CPU metric put first, where v1 readers and writers expect it.
fn cpu_metric(hpa: &Value, part: &str, list: &str, key: &str, percent: &Value) -> Value {
    let mut resource = json!({"name": "cpu"});
    resource[key] = match key {
        "target" => json!({"type": "Utilization", "averageUtilization": percent}),
        _ => json!({"averageUtilization": percent}),
    };
    let mut metrics = vec![json!({"type": "Resource", "resource": resource})];
    metrics.extend(at(at(hpa, part), list).as_array().into_iter().flatten().cloned());
    Value::Array(metrics)
}

/// Removes the CPU utilisation from a list of metrics and returns its percentage.
fn take_cpu(hpa: &mut Value, part: &str, list: &str, key: &str) -> Option<Value> {
    let metrics = hpa.get_mut(part)?.get_mut(list)?.as_array_mut()?;
    let position = metrics.iter().position(|metric| {
        at(at(metric, "resource"), "name") == "cpu" && !utilization(metric, key).is_null()
    })?;
    let percent = utilization(&metrics[position], key).clone();
    metrics.remove(position);
    Some(percent)
}

fn utilization<'a>(metric: &'a Value, key: &str) -> &'a Value {
    at(at(at(metric, "resource"), key), "averageUtilization")
}

fn pack_annotations(hpa: &mut Value) {
    for (annotation, part, field) in CARRIED {
        let Some(value) = remove(hpa, part, field).filter(|value| !is_zero(value)) else { continue };
        let metadata = object_at(hpa, "metadata");
        if let Some(annotations) = metadata.entry("annotations").or_insert_with(|| json!({})).as_object_mut()
        {
            annotations.insert((*annotation).to_owned(), value.to_string().into());
        }
    }
}

fn unpack_annotations(hpa: &mut Value) {
    for (annotation, part, field) in CARRIED {
        let Some(annotations) = hpa.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"))
        else {
            return;
        };
        let carried = annotations.as_object_mut().and_then(|annotations| annotations.remove(*annotation));
        // What does not parse was not written by us; upstream drops it the same way.
        let parsed =
            carried.as_ref().and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
        if let Some(value) = parsed {
            insert(hpa, part, field, value);
        }
    }
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

fn insert(hpa: &mut Value, part: &str, field: &str, value: Value) {
    object_at(hpa, part).insert(field.to_owned(), value);
}

fn remove(hpa: &mut Value, part: &str, field: &str) -> Option<Value> {
    hpa.get_mut(part)?.as_object_mut()?.remove(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_on_the_way_through_v1() {
        let v2 = json!({"apiVersion": "autoscaling/v2", "metadata": {"name": "x", "annotations": {}},
            "spec": {"maxReplicas": 3, "behavior": {"scaleUp": {}}, "metrics": [
                {"type": "Resource", "resource": {"name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": 80}}},
                {"type": "Resource", "resource": {"name": "memory",
                    "target": {"type": "Utilization", "averageUtilization": 70}}}]}});
        let mut hpa = v2.clone();
        from_v2(&mut hpa);
        assert_eq!(hpa["spec"]["targetCPUUtilizationPercentage"], 80);
        assert_eq!(hpa["spec"].get("metrics"), None);
        to_v2(&mut hpa);
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
