//! Rules of the workloads.

use serde_json::Value;

use super::super::core::pod;
use crate::amount::Amount;
use crate::field::{Errors, Node};
use crate::selector::LabelSelector;
use crate::value::{at, is_zero, remove};
use crate::{names, selector_rules};

pub(super) fn deployment(object: &Node<'_, '_>, errors: &mut Errors) {
    let spec = object.at("spec");
    non_negative(&spec.at("replicas"), errors);
    workload(&spec, errors);
    deployment_strategy(&spec.at("strategy"), errors);
    for field in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        non_negative(&spec.at(field), errors);
    }
    let (deadline, ready) =
        (spec.at("progressDeadlineSeconds"), spec.at("minReadySeconds").int().unwrap_or_default());
    if deadline.int().is_some_and(|deadline| deadline <= ready) {
        errors.push(deadline.invalid("must be greater than minReadySeconds"));
    }
}

pub(super) fn replica_set(object: &Node<'_, '_>, errors: &mut Errors) {
    let spec = object.at("spec");
    non_negative(&spec.at("replicas"), errors);
    non_negative(&spec.at("minReadySeconds"), errors);
    workload(&spec, errors);
}

pub(super) fn daemon_set(object: &Node<'_, '_>, errors: &mut Errors) {
    let spec = object.at("spec");
    workload(&spec, errors);
    non_negative(&spec.at("minReadySeconds"), errors);
    non_negative(&spec.at("revisionHistoryLimit"), errors);
    daemon_strategy(&spec.at("updateStrategy"), errors);
}

pub(super) fn stateful_set(object: &Node<'_, '_>, errors: &mut Errors) {
    let spec = object.at("spec");
    let policy = spec.at("podManagementPolicy");
    match policy.text() {
        "" => errors.push(policy.required("")),
        "OrderedReady" | "Parallel" => {}
        _ => errors.push(policy.invalid("must be 'OrderedReady' or 'Parallel'")),
    }
    stateful_strategy(&spec.at("updateStrategy"), errors);
    for field in ["whenDeleted", "whenScaled"] {
        let policy = spec.at("persistentVolumeClaimRetentionPolicy");
        let when = policy.at(field);
        if !matches!(when.text(), "Retain" | "Delete") {
            errors.push(when.unsupported(&["Retain", "Delete"]));
        }
    }
    for field in ["replicas", "minReadySeconds"] {
        non_negative(&spec.at(field), errors);
    }
    non_negative(&spec.at("ordinals.start"), errors);
    workload(&spec, errors);
}

/// The old kind selects by a plain map and may leave it out.
pub(in crate::kinds) fn replication_controller(object: &Node<'_, '_>, errors: &mut Errors) {
    let spec = object.at("spec");
    non_negative(&spec.at("minReadySeconds"), errors);
    let (selector, template) = (spec.at("selector"), spec.at("template"));
    if selector.is_zero() {
        errors.push(selector.required(""));
    }
    non_negative(&spec.at("replicas"), errors);
    match template.is_set() {
        false => errors.push(template.required("")),
        true => {
            let labels = template.at("metadata.labels");
            if !selector.is_zero() && !LabelSelector::from_map(selector.value).matches(labels.value) {
                errors.push(labels.invalid("`selector` does not match template `labels`"));
            }
            pod_template(&template, errors);
        }
    }
}

/// Selector and template: the one must find the pods of the other.
fn workload(spec: &Node<'_, '_>, errors: &mut Errors) {
    let selector = spec.at("selector");
    match selector.is_set() {
        false => errors.push(selector.required("")),
        true => {
            selector_rules::validate(&selector, errors);
            if is_empty(selector.value) {
                errors.push(selector.invalid("empty selector is invalid for this resource"));
            }
        }
    }
    let labels = spec.at("template.metadata.labels");
    match LabelSelector::from_object(selector.value) {
        Err(_) => errors.push(selector.invalid_as("", "invalid label selector")),
        Ok(selects) if selector.is_set() && !selects.is_everything() && !selects.matches(labels.value) => {
            errors.push(labels.invalid("`selector` does not match template `labels`"));
        }
        Ok(_) => {}
    }
    pod_template(&spec.at("template"), errors);
}

fn is_empty(selector: &Value) -> bool {
    ["matchLabels", "matchExpressions"].iter().all(|part| is_zero(at(selector, part)))
}

/// Pods of a workload run for ever.
fn pod_template(template: &Node<'_, '_>, errors: &mut Errors) {
    pod::template(template, errors);
    let policy = template.at("spec.restartPolicy");
    if !policy.text().is_empty() && policy.text() != "Always" {
        errors.push(policy.unsupported(&["Always"]));
    }
    let deadline = template.at("spec.activeDeadlineSeconds");
    if deadline.is_set() {
        errors.push(deadline.forbidden("activeDeadlineSeconds in ReplicaSet is not Supported"));
    }
}

fn deployment_strategy(strategy: &Node<'_, '_>, errors: &mut Errors) {
    let (kind, rolling) = (strategy.at("type"), strategy.at("rollingUpdate"));
    match kind.text() {
        "Recreate" => {
            if rolling.is_set() {
                errors.push(rolling.forbidden("may not be specified when strategy `type` is 'Recreate'"));
            }
        }
        "RollingUpdate" if !rolling.is_set() => {
            errors.push(rolling.required("this should be defaulted and never be nil"));
        }
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
            amount(&unavailable, errors);
            amount(&surge, errors);
            if is_no_amount(unavailable.value) && is_no_amount(surge.value) {
                errors.push(unavailable.invalid("may not be 0 when `maxSurge` is 0"));
            }
            at_most_all(&unavailable, errors);
        }
        _ => errors.push(kind.unsupported(&["Recreate", "RollingUpdate"])),
    }
}

fn daemon_strategy(strategy: &Node<'_, '_>, errors: &mut Errors) {
    let (kind, rolling) = (strategy.at("type"), strategy.at("rollingUpdate"));
    match kind.text() {
        "OnDelete" => {}
        "RollingUpdate" if !rolling.is_set() => errors.push(rolling.required("")),
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
            amount(&unavailable, errors);
            amount(&surge, errors);
            at_most_all(&unavailable, errors);
            at_most_all(&surge, errors);
            match (is_no_amount(unavailable.value), is_no_amount(surge.value)) {
                (true, true) => errors.push(unavailable.invalid("cannot be 0 when maxSurge is 0")),
                (false, false) => {
                    errors.push(surge.invalid("may not be set when maxUnavailable is non-zero"));
                }
                _ => {}
            }
        }
        _ => errors.push(kind.unsupported(&["RollingUpdate", "OnDelete"])),
    }
}

fn stateful_strategy(strategy: &Node<'_, '_>, errors: &mut Errors) {
    let (kind, rolling) = (strategy.at("type"), strategy.at("rollingUpdate"));
    match kind.text() {
        "" => errors.push(kind.required("")),
        "OnDelete" => {
            if rolling.is_set() {
                errors.push(rolling.invalid("only allowed for updateStrategy 'RollingUpdate'"));
            }
        }
        "RollingUpdate" => {
            non_negative(&rolling.at("partition"), errors);
            let unavailable = rolling.at("maxUnavailable");
            if unavailable.is_set() {
                amount(&unavailable, errors);
                if is_no_amount(unavailable.value) {
                    errors.push(unavailable.invalid("cannot be 0"));
                }
                at_most_all(&unavailable, errors);
            }
        }
        _ => errors.push(kind.invalid("must be 'RollingUpdate' or 'OnDelete'")),
    }
}

/// A number or a percentage.
pub(in crate::kinds) fn amount(amount: &Node<'_, '_>, errors: &mut Errors) {
    match (amount.value, Amount::parse(amount.value)) {
        (Value::String(_), None) => errors.push(amount.invalid(
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex \
             used for validation is '[0-9]+%')",
        )),
        (_, Some(Amount::Count(..0))) => errors.push(amount.invalid(names::NON_NEGATIVE)),
        _ => {}
    }
}

pub(in crate::kinds) fn at_most_all(amount: &Node<'_, '_>, errors: &mut Errors) {
    if matches!(Amount::parse(amount.value), Some(Amount::Percent(101..))) {
        errors.push(amount.invalid("must not be greater than 100%"));
    }
}

fn is_no_amount(amount: &Value) -> bool {
    matches!(Amount::parse(amount), None | Some(Amount::Count(0) | Amount::Percent(0)))
}

pub(in crate::kinds) fn non_negative(number: &Node<'_, '_>, errors: &mut Errors) {
    if number.int().is_some_and(|number| number < 0) {
        errors.push(number.invalid(names::NON_NEGATIVE));
    }
}

pub(in crate::kinds) fn immutable(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    if new.value != old {
        errors.push(new.invalid("field is immutable"));
    }
}

pub(super) fn selector_is_immutable(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    immutable(&new.at("spec.selector"), at(old, "spec.selector"), errors);
}

/// What may change about a StatefulSet: its pods depend on the rest.
const STATEFUL_MUTABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

pub(super) fn stateful_set_update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let frozen = |spec: &Value| {
        let mut spec = spec.clone();
        for field in STATEFUL_MUTABLE {
            remove(&mut spec, field);
        }
        spec
    };
    let spec = new.at("spec");
    if frozen(spec.value) != frozen(at(old, "spec")) {
        errors.push(spec.forbidden(
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
             'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

pub(super) fn controller_revision(object: &Node<'_, '_>, errors: &mut Errors) {
    let data = object.at("data");
    if !data.is_set() {
        errors.push(data.required("data is mandatory"));
    }
    non_negative(&object.at("revision"), errors);
}

pub(super) fn controller_revision_update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    immutable(&new.at("data"), at(old, "data"), errors);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::{Part, by_resource};

    #[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
    fn deployment_with(spec: Value) -> Value {
        let mut object = json!({"metadata": {"name": "x", "namespace": "d", "resourceVersion": "1"}, "spec": {
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
        for (field, value) in spec.as_object().unwrap() {
            object["spec"][field] = value.clone();
        }
        by_resource("apps", "v1", "deployments").unwrap().default_object(&mut object);
        object
    }

    fn found(spec: Value) -> Vec<String> {
        let errors =
            by_resource("apps", "v1", "deployments").unwrap().validate_create(&deployment_with(spec));
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_deployment_must_say() {
        assert_eq!(found(json!({})), [""; 0]);
        assert_eq!(
            found(json!({"replicas": -1})),
            ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]
        );
        assert_eq!(found(json!({"selector": null})), ["spec.selector: Required value"]);
        assert_eq!(
            found(json!({"selector": {}})),
            ["spec.selector: Invalid value: {}: empty selector is invalid for this resource"]
        );
        assert_eq!(
            found(json!({"selector": {"matchLabels": {"app": "y"}}})),
            [
                "spec.template.metadata.labels: Invalid value: {\"app\":\"x\"}: `selector` does not match template `labels`"
            ]
        );
        assert_eq!(
            found(
                json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "0%"}}})
            ),
            [
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"
            ]
        );
        assert_eq!(
            found(json!({"strategy": {"type": "Slow"}})),
            [
                "spec.strategy.type: Unsupported value: \"Slow\": supported values: \"Recreate\", \"RollingUpdate\""
            ]
        );
    }

    #[test]
    fn the_pods_inside_are_checked_too() {
        let template = json!({"metadata": {"labels": {"app": "x"}}, "spec": {"restartPolicy": "Never", "containers": [
            {"name": "c"}, {"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}});
        assert_eq!(
            found(json!({"template": template})),
            [
                "spec.template.spec.containers[0].image: Required value",
                "spec.template.spec.containers[1].volumeMounts[0].name: Not found: \"v\"",
                "spec.template.spec.containers[1].name: Duplicate value: \"c\"",
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ]
        );
    }

    #[test]
    fn the_selector_stays() {
        let kind = by_resource("apps", "v1", "deployments").unwrap();
        let old = deployment_with(json!({}));
        let mut new = old.clone();
        new["spec"]["selector"]["matchLabels"]["app"] = "y".into();
        new["spec"]["template"]["metadata"]["labels"]["app"] = "y".into();
        let errors = kind.validate_update(&new, &old, Part::Main);
        assert_eq!(
            errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"y\"}}: field is immutable"]
        );
    }
}
