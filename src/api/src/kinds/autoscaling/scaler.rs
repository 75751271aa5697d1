//! Horizontal pod autoscalers, as autoscaling/v2 has them.

use serde_json::{Value, json};

use super::super::{Generation, Strategy};
use super::{carried, rules};
use crate::table::{AGE, Column, NAME, Table, age, name, plain};
use crate::value::{at, default_to, int, list, object, text};

pub(super) const STRATEGY: Strategy = Strategy {
    defaults,
    validate: rules::scaler,
    validate_status: rules::status,
    generation: Generation::Spec,
    ..Strategy::PLAIN
};

/// Utilisation of the CPU that an autoscaler without metrics aims at.
const CPU_PERCENT: i64 = 80;

fn defaults(scaler: &mut Value) {
    carried::drop_all(scaler);
    let Some(spec) = scaler.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    default_to(spec, "minReplicas", 1);
    if list(spec, "metrics").is_empty() {
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": CPU_PERCENT}}});
        crate::value::replace(spec, "metrics", Some(json!([cpu])));
    }
    if let Some(behavior) = spec.get_mut("behavior").filter(|behavior| behavior.is_object()) {
        let quickly = json!([{"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15}]);
        direction(behavior, "scaleUp", quickly);
        let all = json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]);
        direction(behavior, "scaleDown", all);
        if let Some(up) = behavior.get_mut("scaleUp") {
            default_to(up, "stabilizationWindowSeconds", 0);
        }
    }
}

fn direction(behavior: &mut Value, name: &str, policies: Value) {
    if let Some(rules) = object(behavior, name) {
        rules.entry("selectPolicy").or_insert_with(|| "Max".into());
        rules.entry("policies").or_insert(policies);
    }
}

pub(super) static TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("Reference"),
        Column::text("Targets"),
        Column::text("MinPods"),
        Column::int("MaxPods"),
        Column::int("Replicas"),
        AGE,
    ],
    cells: |scaler, now| {
        let target = at(scaler, "spec.scaleTargetRef");
        vec![
            name(scaler),
            format!("{}/{}", text(target, "kind"), text(target, "name")).into(),
            targets(scaler).into(),
            plain(at(scaler, "spec.minReplicas"), "<unset>").into(),
            int(scaler, "spec.maxReplicas").into(),
            int(scaler, "status.currentReplicas").into(),
            age(scaler, now),
        ]
    },
};

fn targets(scaler: &Value) -> String {
    let current = list(scaler, "status.currentMetrics");
    let cells: Vec<String> = list(scaler, "spec.metrics")
        .iter()
        .enumerate()
        .map(|(index, spec)| metric(spec, current.get(index)))
        .collect();
    match &cells[..] {
        [] => "<none>".to_owned(),
        [first, second, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second} + {} more...", rest.len())
        }
        few => few.join(", "),
    }
}

/// `cpu: 12%/80%`
fn metric(spec: &Value, current: Option<&Value>) -> String {
    let Some((kind, field)) = rules::KINDS.iter().find(|(kind, _)| *kind == text(spec, "type")) else {
        return "<unknown type>".to_owned();
    };
    let current = current.map_or(&Value::Null, |metric| at(at(metric, field), "current"));
    let target = at(at(spec, field), "target");
    let shown = match at(target, "averageUtilization") {
        Value::Null => match at(target, "averageValue") {
            Value::Null => pair(at(current, "value"), at(target, "value"), ""),
            average if matches!(*kind, "Object" | "External") => {
                format!("{} (avg)", pair(at(current, "averageValue"), average, ""))
            }
            average => pair(at(current, "averageValue"), average, ""),
        },
        percent => pair(at(current, "averageUtilization"), percent, "%"),
    };
    match *kind {
        "Resource" | "ContainerResource" => format!("{}: {shown}", text(at(spec, field), "name")),
        _ => shown,
    }
}

fn pair(current: &Value, target: &Value, unit: &str) -> String {
    let current = match current {
        Value::Null => "<unknown>".to_owned(),
        value => format!("{}{unit}", plain(value, "")),
    };
    format!("{current}/{}{unit}", plain(target, "<auto>"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{Errors, Node};

    #[test]
    fn without_metrics_the_cpu_counts() {
        let mut scaler = json!({"spec": {"maxReplicas": 3, "behavior": {},
            "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}});
        scaler["metadata"] = json!({"annotations": {"autoscaling.alpha.kubernetes.io/metrics": "[]"}});
        defaults(&mut scaler);
        assert_eq!(scaler["metadata"], json!({}), "of no use here");
        assert_eq!(targets(&scaler), "cpu: <unknown>/80%");
        assert_eq!(scaler["spec"]["behavior"]["scaleUp"]["stabilizationWindowSeconds"], 0);
        scaler["status"] =
            json!({"currentMetrics": [{"resource": {"name": "cpu", "current": {"averageUtilization": 12}}}]});
        assert_eq!(targets(&scaler), "cpu: 12%/80%");
        let mut errors = Errors::new();
        rules::scaler(&Node::root(&scaler), &mut errors);
        assert_eq!(errors, []);
    }
}
