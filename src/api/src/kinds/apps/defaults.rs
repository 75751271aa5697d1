//! Defaults of the workloads.

use serde_json::{Value, json};

use super::super::core::pod::{default_claim_spec, default_template};
use crate::value::{at, default_to, default_zero_to, items_mut, object, replace, text};

/// Revisions of the template that are kept for a rollback.
const REVISIONS: i64 = 10;

/// The spec with its pod template defaulted.
fn workload(object: &mut Value) -> Option<&mut Value> {
    let spec = object.get_mut("spec").filter(|spec| spec.is_object())?;
    default_template(spec);
    Some(spec)
}

pub(super) fn deployment(object: &mut Value) {
    let Some(spec) = workload(object) else { return };
    default_to(spec, "replicas", 1);
    default_to(spec, "strategy", json!({}));
    if let Some(strategy) = spec.get_mut("strategy") {
        default_zero_to(strategy, "type", "RollingUpdate");
        if text(strategy, "type") == "RollingUpdate" {
            rolling(strategy, &[("maxUnavailable", "25%".into()), ("maxSurge", "25%".into())]);
        }
    }
    default_to(spec, "revisionHistoryLimit", REVISIONS);
    default_to(spec, "progressDeadlineSeconds", 600);
}

pub(super) fn replica_set(object: &mut Value) {
    if let Some(spec) = workload(object) {
        default_to(spec, "replicas", 1);
    }
}

pub(super) fn daemon_set(object: &mut Value) {
    let Some(spec) = workload(object) else { return };
    default_to(spec, "updateStrategy", json!({}));
    if let Some(strategy) = spec.get_mut("updateStrategy") {
        default_zero_to(strategy, "type", "RollingUpdate");
        if text(strategy, "type") == "RollingUpdate" {
            rolling(strategy, &[("maxUnavailable", 1.into()), ("maxSurge", 0.into())]);
        }
    }
    default_to(spec, "revisionHistoryLimit", REVISIONS);
}

/// How often the template of a DaemonSet has changed: a field once, shown as an annotation since.
const GENERATION: &str = "deprecated.daemonset.template.generation";

pub(super) fn first_template(set: &mut Value) {
    note_generation(set, 1);
}

pub(super) fn next_template(new: &mut Value, old: &Value) {
    let was = at(old, "metadata.annotations").get(GENERATION).and_then(Value::as_str);
    let was = was.and_then(|text| text.parse::<i64>().ok()).unwrap_or(1);
    let changed = at(new, "spec.template") != at(old, "spec.template");
    note_generation(new, was.saturating_add(i64::from(changed)));
}

fn note_generation(set: &mut Value, generation: i64) {
    if let Some(annotations) = set.get_mut("metadata").and_then(|metadata| object(metadata, "annotations")) {
        annotations.insert(GENERATION.into(), generation.to_string().into());
    }
}

pub(super) fn stateful_set(object: &mut Value) {
    let Some(spec) = workload(object) else { return };
    default_zero_to(spec, "podManagementPolicy", "OrderedReady");
    default_to(spec, "updateStrategy", json!({}));
    if let Some(strategy) = spec.get_mut("updateStrategy") {
        default_zero_to(strategy, "type", "RollingUpdate");
        if text(strategy, "type") == "RollingUpdate" {
            rolling(strategy, &[("partition", 0.into()), ("maxUnavailable", 1.into())]);
        }
    }
    default_to(spec, "persistentVolumeClaimRetentionPolicy", json!({}));
    if let Some(policy) = spec.get_mut("persistentVolumeClaimRetentionPolicy") {
        default_zero_to(policy, "whenDeleted", "Retain");
        default_zero_to(policy, "whenScaled", "Retain");
    }
    default_to(spec, "replicas", 1);
    default_to(spec, "revisionHistoryLimit", REVISIONS);
    items_mut(spec, "volumeClaimTemplates").for_each(claim_template);
}

/// Claims inside a StatefulSet are whole objects and say so.
fn claim_template(claim: &mut Value) {
    default_claim_spec(claim);
    replace(claim, "apiVersion", Some("v1".into()));
    replace(claim, "kind", Some("PersistentVolumeClaim".into()));
    replace(claim, "status", Some(json!({"phase": "Pending"})));
}

fn rolling(strategy: &mut Value, defaults: &[(&str, Value)]) {
    default_to(strategy, "rollingUpdate", json!({}));
    if let Some(rolling) = strategy.get_mut("rollingUpdate") {
        for (field, value) in defaults {
            default_to(rolling, field, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_rolls_by_quarters() {
        let mut object = json!({"spec": {"template": {"spec": {"containers": []}}}});
        deployment(&mut object);
        let spec = &object["spec"];
        assert_eq!(
            spec["strategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}})
        );
        assert_eq!(spec["replicas"], 1);
        assert_eq!(spec["template"]["spec"]["restartPolicy"], "Always");

        let mut recreate = json!({"spec": {"replicas": 0, "strategy": {"type": "Recreate"}}});
        deployment(&mut recreate);
        assert_eq!(recreate["spec"]["strategy"], json!({"type": "Recreate"}));
        assert_eq!(recreate["spec"]["replicas"], 0);
    }

    #[test]
    fn the_others() {
        let mut object = json!({"spec": {}});
        daemon_set(&mut object);
        assert_eq!(
            object["spec"]["updateStrategy"]["rollingUpdate"],
            json!({"maxUnavailable": 1, "maxSurge": 0})
        );
        let mut changed = json!({"metadata": {}, "spec": {"template": {"a": 1}}});
        next_template(
            &mut changed,
            &json!({"metadata": {"annotations": {GENERATION: "3"}}, "spec": {"template": {}}}),
        );
        assert_eq!(changed["metadata"]["annotations"][GENERATION], "4");
        let mut object = json!({"spec": {"volumeClaimTemplates": [{"spec": {}}]}});
        stateful_set(&mut object);
        assert_eq!(
            object["spec"]["updateStrategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}})
        );
        assert_eq!(object["spec"]["volumeClaimTemplates"][0]["spec"]["volumeMode"], "Filesystem");
    }
}
