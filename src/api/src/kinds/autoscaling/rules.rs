//! Rules of horizontal pod autoscalers.

use serde_json::Value;

use super::super::apps::rules::non_negative;
use super::super::core::pod::{container_resource, quantity_of};
use crate::field::{Errors, Node};
use crate::names;

/// The longest a decision may look back.
const WINDOW_MAX: i64 = 3600;
const PERIOD_MAX: i64 = 1800;

pub(super) fn scaler(scaler: &Node<'_, '_>, errors: &mut Errors) {
    let spec = scaler.at("spec");
    let (least, most) = (spec.at("minReplicas"), spec.at("maxReplicas"));
    let max = most.int().unwrap_or_default();
    if least.int().is_some_and(|min| min < 1) {
        errors.push(least.invalid("must be greater than or equal to 1"));
    }
    if max < 1 {
        errors.push(most.invalid_as(max, "must be greater than 0"));
    }
    if least.int().is_some_and(|min| max < min) {
        errors.push(most.invalid_as(max, "must be greater than or equal to `minReplicas`"));
    }
    let target = spec.at("scaleTargetRef");
    // All that scales is in some group, but for one kind.
    reference(&target, target.at("kind").text() != "ReplicationController", errors);
    let metrics = spec.at("metrics");
    metrics.items().for_each(|metric| self::metric(&metric, errors));
    let counts_others = |metric: Node<'_, '_>| matches!(metric.at("type").text(), "Object" | "External");
    if least.int() == Some(0) && !metrics.items().any(counts_others) {
        errors.push(metrics.forbidden(
            "must specify at least one Object or External metric to support scaling to zero replicas",
        ));
    }
    for direction in ["behavior.scaleUp", "behavior.scaleDown"] {
        behavior(&spec.at(direction), errors);
    }
}

pub(super) fn status(scaler: &Node<'_, '_>, _: &Value, errors: &mut Errors) {
    non_negative(&scaler.at("status.currentReplicas"), errors);
    non_negative(&scaler.at("status.desiredReplicas"), errors);
}

/// Which object, by kind and name.
fn reference(target: &Node<'_, '_>, in_group: bool, errors: &mut Errors) {
    for field in ["kind", "name"].map(|field| target.at(field)) {
        match field.text() {
            "" => errors.push(field.required("")),
            _ => field.check(names::path_segment, errors),
        }
    }
    let version = target.at("apiVersion");
    let parts: Vec<&str> = version.text().split('/').collect();
    match parts[..] {
        [group, _] if !group.is_empty() => {}
        [_] | [_, _] if !in_group => {}
        [_] | [_, _] => {
            errors.push(version.invalid_as(version.text(), "apiVersion must specify API group"));
        }
        _ => errors.push(version.invalid(format!("unexpected GroupVersion string: {}", version.text()))),
    }
}

/// Types of metrics and the fields that describe them.
pub(super) const KINDS: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];

type SourceRules = fn(&Node<'_, '_>, &mut Errors);

/// The order in which upstream looks at the fields: of several the first one counts.
const ORDER: [(&str, SourceRules); 5] = [
    ("object", object),
    ("external", external),
    ("pods", pods),
    ("resource", resource),
    ("containerResource", container),
];

fn metric(metric: &Node<'_, '_>, errors: &mut Errors) {
    let kind = metric.at("type");
    let known = KINDS.iter().find(|(name, _)| *name == kind.text());
    if kind.text().is_empty() {
        errors.push(kind.required("must specify a metric source type"));
    }
    if known.is_none() {
        errors.push(kind.unsupported(&KINDS.map(|(name, _)| name)));
    }
    let mut present = ORDER.iter().filter(|(field, _)| metric.at(field).is_set());
    if let Some((field, rules)) = present.next() {
        rules(&metric.at(field), errors);
    }
    let expected = known.map_or("", |(_, field)| field);
    if known.is_some() && !metric.at(expected).is_set() {
        errors.push(metric.at(expected).required("must populate information for the given metric source"));
    }
    if present.next().is_some() {
        let mut others: Vec<&str> = ORDER.iter().map(|(field, _)| *field).collect();
        others.retain(|field| metric.at(field).is_set() && *field != expected);
        others.sort_unstable();
        for field in others {
            errors.push(metric.at(field).forbidden("must populate the given metric source only"));
        }
    }
}

fn object(source: &Node<'_, '_>, errors: &mut Errors) {
    reference(&source.at("describedObject"), false, errors);
    identifier(&source.at("metric"), errors);
    let target = source.at("target");
    self::target(&target, errors);
    if !target.at("value").is_set() && !target.at("averageValue").is_set() {
        errors.push(target.at("averageValue").required("must set either a target value or averageValue"));
    }
}

fn external(source: &Node<'_, '_>, errors: &mut Errors) {
    identifier(&source.at("metric"), errors);
    let target = source.at("target");
    self::target(&target, errors);
    let (value, average) = (target.at("value"), target.at("averageValue"));
    match (value.is_set(), average.is_set()) {
        (false, false) => {
            errors.push(average.required("must set either a target value for metric or a per-pod target"));
        }
        (true, true) => {
            errors.push(value.forbidden("may not set both a target value for metric and a per-pod target"));
        }
        _ => {}
    }
}

fn pods(source: &Node<'_, '_>, errors: &mut Errors) {
    identifier(&source.at("metric"), errors);
    let target = source.at("target");
    self::target(&target, errors);
    let average = target.at("averageValue");
    if !average.is_set() {
        errors.push(average.required("must specify a positive target averageValue"));
    }
}

fn resource(source: &Node<'_, '_>, errors: &mut Errors) {
    let name = source.at("name");
    if name.text().is_empty() {
        errors.push(name.required("must specify a resource name"));
    }
    usage(&source.at("target"), errors);
}

fn container(source: &Node<'_, '_>, errors: &mut Errors) {
    let (name, container) = (source.at("name"), source.at("container"));
    match name.text() {
        "" => errors.push(name.required("must specify a resource name")),
        text => container_resource(text, &name, errors),
    }
    match container.text() {
        "" => errors.push(container.required("must specify a container")),
        _ => container.check(names::dns_label, errors),
    }
    usage(&source.at("target"), errors);
}

/// How much of a resource: in itself, or of what was asked for.
fn usage(target: &Node<'_, '_>, errors: &mut Errors) {
    self::target(target, errors);
    let (share, average) = (target.at("averageUtilization"), target.at("averageValue"));
    match (share.is_set(), average.is_set()) {
        (false, false) => {
            errors.push(share.required("must set either a target raw value or a target utilization"));
        }
        (true, true) => {
            errors.push(average.forbidden("may not set both a target raw value and a target utilization"));
        }
        _ => {}
    }
}

fn target(target: &Node<'_, '_>, errors: &mut Errors) {
    let kind = target.at("type");
    match kind.text() {
        "Utilization" | "Value" | "AverageValue" => {}
        text => {
            if text.is_empty() {
                errors.push(kind.required("must specify a metric target type"));
            }
            errors.push(kind.invalid_as(text, "must be either Utilization, Value, or AverageValue"));
        }
    }
    for field in ["value", "averageValue"] {
        let amount = quantity_of(target.value, field);
        if amount.is_some_and(|amount| amount.is_negative() || amount.is_zero()) {
            errors.push(target.at(field).invalid("must be positive"));
        }
    }
    let share = target.at("averageUtilization");
    if share.int().is_some_and(|share| share < 1) {
        errors.push(share.invalid("must be greater than 0"));
    }
}

fn identifier(metric: &Node<'_, '_>, errors: &mut Errors) {
    let name = metric.at("name");
    match name.text() {
        "" => errors.push(name.required("must specify a metric name")),
        _ => name.check(names::path_segment, errors),
    }
}

/// How fast it may go up or down.
fn behavior(rules: &Node<'_, '_>, errors: &mut Errors) {
    if !rules.is_set() {
        return;
    }
    let (window, select) = (rules.at("stabilizationWindowSeconds"), rules.at("selectPolicy"));
    if window.int().is_some_and(|seconds| seconds < 0) {
        errors.push(window.invalid("must be greater than or equal to zero"));
    }
    if window.int().is_some_and(|seconds| seconds > WINDOW_MAX) {
        errors.push(window.invalid(format!("must be less than or equal to {WINDOW_MAX}")));
    }
    if select.is_set() && !matches!(select.text(), "Disabled" | "Max" | "Min") {
        errors.push(select.unsupported(&["Disabled", "Max", "Min"]));
    }
    tolerance(&rules.at("tolerance"), errors);
    let policies = rules.at("policies");
    if policies.list().is_empty() {
        errors.push(policies.required("must specify at least one Policy"));
    }
    policies.items().for_each(|policy| self::policy(&policy, errors));
}

fn tolerance(tolerance: &Node<'_, '_>, errors: &mut Errors) {
    let amount = tolerance.value.as_str().and_then(|text| text.parse::<crate::quantity::Quantity>().ok());
    if amount.is_some_and(crate::quantity::Quantity::is_negative) {
        errors.push(tolerance.invalid(names::NON_NEGATIVE));
    }
}

fn policy(policy: &Node<'_, '_>, errors: &mut Errors) {
    let (kind, value, period) = (policy.at("type"), policy.at("value"), policy.at("periodSeconds"));
    if !matches!(kind.text(), "Percent" | "Pods") {
        errors.push(kind.unsupported(&["Percent", "Pods"]));
    }
    for number in [&value, &period] {
        let amount = number.int().unwrap_or_default();
        if amount <= 0 {
            errors.push(number.invalid_as(amount, "must be greater than zero"));
        }
    }
    if period.int().is_some_and(|seconds| seconds > PERIOD_MAX) {
        errors.push(period.invalid(format!("must be less than or equal to {PERIOD_MAX}")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
    fn found(more: Value) -> Vec<String> {
        let mut object = json!({"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}, "maxReplicas": 3}});
        for (field, value) in more.as_object().unwrap() {
            object["spec"][field] = value.clone();
        }
        let mut errors = Errors::new();
        scaler(&Node::root(&object), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn replicas_and_targets() {
        assert_eq!(found(json!({})), [""; 0]);
        assert_eq!(
            found(json!({"minReplicas": 0, "maxReplicas": -1, "scaleTargetRef": {"name": "a/b"}})),
            [
                "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
                "spec.maxReplicas: Invalid value: -1: must be greater than 0",
                "spec.maxReplicas: Invalid value: -1: must be greater than or equal to `minReplicas`",
                "spec.scaleTargetRef.kind: Required value",
                "spec.scaleTargetRef.name: Invalid value: \"a/b\": may not contain '/'",
                "spec.scaleTargetRef.apiVersion: Invalid value: \"\": apiVersion must specify API group",
                "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas",
            ]
        );
    }

    #[test]
    fn what_scales_is_in_a_group() {
        for (kind, version, expected) in [
            ("Deployment", "v1", "apiVersion must specify API group"),
            ("Deployment", "/v1", "apiVersion must specify API group"),
            ("Deployment", "a/b/c", "unexpected GroupVersion string: a/b/c"),
            ("Deployment", "example.com/v1", ""),
            ("ReplicationController", "", ""),
            ("ReplicationController", "v1", ""),
        ] {
            let errors = found(json!({"scaleTargetRef": {"kind": kind, "name": "a", "apiVersion": version}}));
            assert!(errors.len() == usize::from(!expected.is_empty()), "{kind} {version}: {errors:?}");
            assert!(errors.iter().all(|error| error.ends_with(expected)), "{errors:?}");
        }
    }

    #[test]
    fn metrics() {
        let cases: [(Value, &[&str]); 7] = [
            (
                json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 1}}}),
                &[],
            ),
            (
                json!({}),
                &[
                    "spec.metrics[0].type: Required value: must specify a metric source type",
                    "spec.metrics[0].type: Unsupported value: \"\": supported values: \"ContainerResource\", \"External\", \"Object\", \"Pods\", \"Resource\"",
                ],
            ),
            (
                json!({"type": "Pods"}),
                &[
                    "spec.metrics[0].pods: Required value: must populate information for the given metric source",
                ],
            ),
            (
                json!({"type": "Pods", "pods": {"metric": {}, "target": {"type": "x", "value": "0"}}}),
                &[
                    "spec.metrics[0].pods.metric.name: Required value: must specify a metric name",
                    "spec.metrics[0].pods.target.type: Invalid value: \"x\": must be either Utilization, Value, or AverageValue",
                    "spec.metrics[0].pods.target.value: Invalid value: \"0\": must be positive",
                    "spec.metrics[0].pods.target.averageValue: Required value: must specify a positive target averageValue",
                ],
            ),
            (
                json!({"type": "Resource", "resource": {"target": {"type": "Utilization", "averageUtilization": 0, "averageValue": "1"}}}),
                &[
                    "spec.metrics[0].resource.name: Required value: must specify a resource name",
                    "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
                    "spec.metrics[0].resource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization",
                ],
            ),
            (
                json!({"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "1"}}, "pods": {}}),
                &["spec.metrics[0].pods: Forbidden: must populate the given metric source only"],
            ),
            (
                json!({"type": "Object", "object": {"describedObject": {"kind": "a", "name": "b"}, "metric": {"name": "m"}, "target": {"type": "Value"}}}),
                &[
                    "spec.metrics[0].object.target.averageValue: Required value: must set either a target value or averageValue",
                ],
            ),
        ];
        for (metric, expected) in cases {
            assert_eq!(found(json!({"metrics": [metric]})), expected);
        }
    }

    #[test]
    fn behaviour() {
        assert_eq!(
            found(json!({"behavior": {"scaleUp": {"stabilizationWindowSeconds": 3601, "selectPolicy": "x"},
                "scaleDown": {"policies": [{"type": "y", "periodSeconds": 1801}]}}})),
            [
                "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
                "spec.behavior.scaleUp.selectPolicy: Unsupported value: \"x\": supported values: \"Disabled\", \"Max\", \"Min\"",
                "spec.behavior.scaleUp.policies: Required value: must specify at least one Policy",
                "spec.behavior.scaleDown.policies[0].type: Unsupported value: \"y\": supported values: \"Percent\", \"Pods\"",
                "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero",
                "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
            ]
        );
    }
}
