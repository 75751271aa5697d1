//! Rules of the workloads.

use serde_json::Value;

use super::super::core::pod;
use super::super::core::volume::claim_spec;
use super::rollout;
use crate::field::{Errors, FieldError, Node};
use crate::selector::LabelSelector;
use crate::value::{at, is_zero, list};
use crate::{names, selector_rules};

pub(super) fn deployment(object: &Node<'_, '_>, errors: &mut Errors) {
    let spec = object.at("spec");
    non_negative(&spec.at("replicas"), errors);
    selector(&spec, "empty selector is invalid for deployment", errors);
    template(&spec, "invalid label selector", "ReplicaSet", errors);
    rollout::deployment(&spec.at("strategy"), errors);
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
    selector(&spec, "empty selector is invalid for deployment", errors);
    template(&spec, "invalid label selector", "ReplicaSet", errors);
}

pub(super) fn daemon_set(object: &Node<'_, '_>, errors: &mut Errors) {
    let spec = object.at("spec");
    let (wanted, pods) = (spec.at("selector"), spec.at("template"));
    selector_rules::validate(&wanted, errors);
    // No selector selects nothing: the pods of the template least of all.
    let parsed = LabelSelector::from_object(wanted.value);
    if parsed.is_ok_and(|selector| !wanted.is_set() || !selector.matches(at(pods.value, "metadata.labels"))) {
        errors.push(mismatch(&pods));
    }
    if wanted.is_set() && is_empty(wanted.value) {
        errors.push(wanted.invalid("empty selector is invalid for daemonset"));
    }
    pod::template(&pods, errors);
    runs_for_ever(&pods, "DaemonSet", errors);
    non_negative(&spec.at("minReadySeconds"), errors);
    rollout::daemon_set(&spec.at("updateStrategy"), errors);
    non_negative(&spec.at("revisionHistoryLimit"), errors);
}

pub(super) fn stateful_set(object: &Node<'_, '_>, errors: &mut Errors) {
    let spec = object.at("spec");
    let policy = spec.at("podManagementPolicy");
    match policy.text() {
        "" => errors.push(policy.required("")),
        "OrderedReady" | "Parallel" => {}
        _ => errors.push(policy.invalid("must be 'OrderedReady' or 'Parallel'")),
    }
    rollout::stateful_set(&spec.at("updateStrategy"), errors);
    let retention = spec.at("persistentVolumeClaimRetentionPolicy");
    for when in ["whenDeleted", "whenScaled"].map(|field| retention.at(field)) {
        if retention.is_set() && !matches!(when.text(), "Retain" | "Delete") {
            errors.push(when.unsupported(&["Retain", "Delete"]));
        }
    }
    for field in ["replicas", "minReadySeconds", "ordinals.start"] {
        non_negative(&spec.at(field), errors);
    }
    selector(&spec, "empty selector is invalid for statefulset", errors);
    template(&spec, "", "StatefulSet", errors);
}

/// Asked of a new StatefulSet alone: the name becomes part of the names of its pods and of their addresses.
pub(super) fn new_stateful_set(object: &Node<'_, '_>, errors: &mut Errors) {
    object.at("spec.serviceName").check_given(names::dns_label, errors);
    for claim in object.at("spec.volumeClaimTemplates").items() {
        claim_spec(&claim.at("spec"), errors);
    }
}

/// The old kind selects by a plain map and may leave it out.
pub(in crate::kinds) fn replication_controller(object: &Node<'_, '_>, errors: &mut Errors) {
    let spec = object.at("spec");
    non_negative(&spec.at("minReadySeconds"), errors);
    let (selector, template) = (spec.at("selector"), spec.at("template"));
    selector.require(errors);
    non_negative(&spec.at("replicas"), errors);
    if !template.is_set() {
        return errors.push(template.required(""));
    }
    let labels = at(template.value, "metadata.labels");
    if !selector.is_zero() && !LabelSelector::from_map(selector.value).matches(labels) {
        errors.push(mismatch(&template));
    }
    pod::template(&template, errors);
    runs_for_ever(&template, "ReplicationController", errors);
}

fn selector(spec: &Node<'_, '_>, empty: &str, errors: &mut Errors) {
    let selector = spec.at("selector");
    if !selector.is_set() {
        return errors.push(selector.required(""));
    }
    selector_rules::validate(&selector, errors);
    if is_empty(selector.value) {
        errors.push(selector.invalid(empty));
    }
}

fn is_empty(selector: &Value) -> bool {
    ["matchLabels", "matchExpressions"].iter().all(|part| is_zero(at(selector, part)))
}

/// The template: the selector finds its pods, and they run until somebody ends them.
fn template(spec: &Node<'_, '_>, unreadable: &str, kind: &str, errors: &mut Errors) {
    let (selector, template) = (spec.at("selector"), spec.at("template"));
    match LabelSelector::from_object(selector.value) {
        Err(_) => errors.push(selector.invalid(unreadable)),
        Ok(selects) => {
            let labels = at(template.value, "metadata.labels");
            if selector.is_set() && !selects.is_everything() && !selects.matches(labels) {
                errors.push(mismatch(&template));
            }
            pod::template_with_claims(&template, list(spec.value, "volumeClaimTemplates"), errors);
        }
    }
    runs_for_ever(&template, kind, errors);
}

fn mismatch(template: &Node<'_, '_>) -> FieldError {
    template.at("metadata.labels").invalid("`selector` does not match template `labels`")
}

/// Pods of a workload run for ever.
fn runs_for_ever(template: &Node<'_, '_>, kind: &str, errors: &mut Errors) {
    let policy = template.at("spec.restartPolicy");
    if policy.text() != "Always" {
        errors.push(policy.unsupported(&["Always"]));
    }
    let deadline = template.at("spec.activeDeadlineSeconds");
    if deadline.is_set() {
        errors.push(deadline.forbidden(format!("activeDeadlineSeconds in {kind} is not Supported")));
    }
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
    let (spec, old) = (new.at("spec"), at(old, "spec"));
    if fixed(spec.value).ne(fixed(old)) {
        errors.push(spec.forbidden(
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
             'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

/// The fields of a StatefulSet that do not change, in the order of their names.
fn fixed(spec: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let kept = |field: &str| !STATEFUL_MUTABLE.contains(&field);
    spec.as_object().into_iter().flatten().filter(move |(field, value)| kept(field) && !value.is_null())
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
            ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"]
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
                "spec.strategy: Unsupported value: {\"type\":\"Slow\"}: supported values: \"Recreate\", \"RollingUpdate\""
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
