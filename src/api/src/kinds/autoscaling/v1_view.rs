//! autoscaling/v1 as a view of autoscaling/v2.
//!
//! v1 knows one metric, the CPU utilisation. Everything else is carried through it: metrics lie flat, as in v2beta1. All
//! current metrics are, the CPU's, too: its raw value has no field in v1.

use serde_json::{Map, Value, json};

use super::super::legacy::{flatten_metrics, nest_metrics};
use super::carried::{CONDITIONS, CURRENT_METRICS, METRICS};
use super::carried::{drop_all, fitting, hide_behavior, pack, show_behavior, unpack};
use crate::value::{at, is_zero};

/// Fields that v2 has and v1 does not.
pub(super) const LATER: &[&str] =
    &["spec.behavior", "spec.metrics", "status.conditions", "status.currentMetrics"];

const TARGET: &str = "targetCPUUtilizationPercentage";
const CURRENT: &str = "currentCPUUtilizationPercentage";

pub(super) fn to_v2(hpa: &mut Value) {
    set(hpa, "apiVersion", "autoscaling/v2".into());
    show_behavior(hpa);
    let [metrics, current, conditions] =
        [METRICS, CURRENT_METRICS, CONDITIONS].map(|annotation| unpack(hpa, annotation));
    drop_all(hpa);
    let mut nested = json!({"spec": {"metrics": metrics}, "status": {"currentMetrics": current}});
    nest_metrics(&mut nested);
    let mut metrics = items(&fitting(at(&nested, "spec.metrics").clone(), "MetricSpec")).to_vec();
    if let Some(percent) = remove(hpa, "spec", TARGET) {
        metrics.push(cpu("target", json!({"type": "Utilization", "averageUtilization": percent})));
    }
    let mut current = items(&fitting(at(&nested, "status.currentMetrics").clone(), "MetricStatus")).to_vec();
    let percent = remove(hpa, "status", CURRENT);
    if let Some(percent) = percent.filter(|_| current.is_empty()) {
        current.push(cpu("current", json!({"averageUtilization": percent})));
    }
    insert(hpa, "spec", "metrics", metrics.into());
    insert(hpa, "status", "currentMetrics", current.into());
    let conditions = fitting(conditions.unwrap_or_default(), "HorizontalPodAutoscalerCondition");
    insert(hpa, "status", "conditions", conditions);
}

pub(super) fn from_v2(hpa: &mut Value) {
    set(hpa, "apiVersion", "autoscaling/v1".into());
    drop_all(hpa);
    hide_behavior(hpa);
    let metrics = remove(hpa, "spec", "metrics").unwrap_or_default();
    let mut take = |field| remove(hpa, "status", field).unwrap_or_default();
    let (current, conditions) = (take("currentMetrics"), take("conditions"));
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
        let condition =
            json!({"type": "AbleToScale", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"});
        let v2 = json!({"apiVersion": "autoscaling/v2", "metadata": {"name": "x", "annotations": {"a": "b"}},
            "spec": {"maxReplicas": 3, "metrics": [external, cpu], "behavior": {"scaleUp":
                {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [policy]}}},
            "status": {"currentReplicas": 1, "currentMetrics": [current], "conditions": [condition]}});
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
            annotation(&hpa, "autoscaling.alpha.kubernetes.io/behavior"),
            json!({"ScaleUp": {"StabilizationWindowSeconds": 0, "SelectPolicy": "Max", "Tolerance": null,
                "Policies": [{"Type": "Pods", "Value": 4, "PeriodSeconds": 15}]}, "ScaleDown": null})
        );
        assert_eq!(annotation(&hpa, CONDITIONS), json!([condition]));
        to_v2(&mut hpa);
        assert_eq!(hpa, v2);
    }

    #[test]
    fn amounts_that_nobody_gave_are_zero_where_go_writes_them() {
        let object = |target: Value| {
            json!({"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s"},
                "metric": {"name": "m"}, "target": target}})
        };
        let of =
            |current: Value| json!({"type": "Resource", "resource": {"name": "memory", "current": current}});
        let v2 = json!({"apiVersion": "autoscaling/v2", "spec": {"maxReplicas": 3, "metrics":
            [object(json!({"type": "AverageValue", "averageValue": "2"}))]}, "status": {"currentMetrics": [of(json!({}))]}});
        let mut hpa = v2.clone();
        from_v2(&mut hpa);
        assert_eq!(
            annotation(&hpa, METRICS),
            json!([{"type": "Object", "object": {"target": {"kind": "Service", "name": "s"}, "metricName": "m",
                "targetValue": "0", "averageValue": "2"}}])
        );
        assert_eq!(
            annotation(&hpa, CURRENT_METRICS),
            json!([{"type": "Resource", "resource": {"name": "memory", "currentAverageValue": "0"}}])
        );
        to_v2(&mut hpa);
        assert_eq!(hpa["spec"], v2["spec"]);
        assert_eq!(hpa["status"]["currentMetrics"], json!([of(json!({"averageValue": "0"}))]));
        let pods = r#"[{"type": "Pods", "pods": {"metricName": "m"}}]"#;
        let mut sent = json!({"metadata": {"annotations": {METRICS: pods}}, "spec": {"maxReplicas": 3}});
        to_v2(&mut sent);
        assert_eq!(
            sent["spec"]["metrics"][0]["pods"]["target"],
            json!({"type": "AverageValue", "averageValue": "0"})
        );
    }

    #[test]
    fn what_nobody_of_ours_wrote_is_not_read() {
        for carried in ["7", "[7]", "{", r#"[{"type": "Pods", "pods": {"metricName": 7}}]"#] {
            let mut sent =
                json!({"metadata": {"annotations": {METRICS: carried, CONDITIONS: "[1]"}}, "spec": {}});
            to_v2(&mut sent);
            assert_eq!(sent, json!({"apiVersion": "autoscaling/v2", "metadata": {}, "spec": {}}));
        }
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
