//! extensions/v1beta1 and apps/v1beta1: other defaults, and two fields that are annotations now.

use serde_json::{Value, json};

use super::Shape;
use crate::value::{at, default_to, default_zero_to, is_zero, object, remove};

pub(super) const DEPLOYMENT: Shape = Shape::new(deployment, show_rollback);
pub(super) const OLD_DEPLOYMENT: Shape = Shape::new(old_deployment, show_rollback);
pub(super) const OLD_REPLICA_SET: Shape = Shape::new(adopt_labels, |_| {});
pub(super) const OLD_DAEMON_SET: Shape = Shape::new(daemon_set, show_generation);
pub(super) const STATEFUL_SET: Shape = Shape::new(stateful_set, |_| {});

const ROLLBACK: &str = "deprecated.deployment.rollback.revision";
const GENERATION: &str = "deprecated.daemonset.template.generation";

/// What stood for "no limit".
const NEVER: i32 = i32::MAX;

fn deployment(deployment: &mut Value) {
    hide_rollback(deployment);
    adopt_labels(deployment);
    if let Some(spec) = whole_spec(deployment) {
        default_to(spec, "revisionHistoryLimit", 2);
    }
}

fn old_deployment(deployment: &mut Value) {
    hide_rollback(deployment);
    adopt_labels(deployment);
    let Some(spec) = whole_spec(deployment) else { return };
    default_to(spec, "revisionHistoryLimit", NEVER);
    default_to(spec, "progressDeadlineSeconds", NEVER);
    default_to(spec, "strategy", json!({}));
    let Some(strategy) = spec.get_mut("strategy").filter(|strategy| strategy.is_object()) else { return };
    default_zero_to(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        default_to(strategy, "rollingUpdate", json!({}));
        for limit in ["maxUnavailable", "maxSurge"] {
            strategy.get_mut("rollingUpdate").into_iter().for_each(|rolling| default_to(rolling, limit, 1));
        }
    }
}

fn daemon_set(set: &mut Value) {
    annotate(set, GENERATION, |spec| remove(spec, "templateGeneration"));
    adopt_labels(set);
    on_delete(set);
}

fn stateful_set(set: &mut Value) {
    adopt_labels(set);
    on_delete(set);
}

fn on_delete(set: &mut Value) {
    let Some(spec) = whole_spec(set) else { return };
    default_to(spec, "updateStrategy", json!({}));
    if let Some(strategy) = spec.get_mut("updateStrategy") {
        default_zero_to(strategy, "type", "OnDelete");
    }
}

/// The spec of a whole object. An applied configuration may be a part of one, which gets no defaults.
fn whole_spec(workload: &mut Value) -> Option<&mut Value> {
    workload.get_mut("spec").filter(|spec| spec.get("template").is_some_and(Value::is_object))
}

/// The labels of the template are those of the selector and of the object, unless they say otherwise.
fn adopt_labels(workload: &mut Value) {
    let labels = at(workload, "spec.template.metadata.labels").clone();
    if is_zero(&labels) {
        return;
    }
    if let Some(spec) = whole_spec(workload) {
        default_to(spec, "selector", json!({ "matchLabels": labels }));
    }
    if object(workload, "metadata").is_some() {
        default_zero_to(&mut workload["metadata"], "labels", labels);
    }
}

fn hide_rollback(deployment: &mut Value) {
    annotate(deployment, ROLLBACK, |spec| remove(spec, "rollbackTo").map(|to| at(&to, "revision").clone()));
}

fn show_rollback(deployment: &mut Value) {
    if let Some(revision) = number(deployment, ROLLBACK) {
        show(deployment, "rollbackTo", json!({ "revision": revision }));
    }
}

fn show_generation(set: &mut Value) {
    if let Some(generation) = number(set, GENERATION) {
        show(set, "templateGeneration", generation.into());
    }
}

/// Moves what `take` takes out of the spec into an annotation.
fn annotate(workload: &mut Value, annotation: &str, take: impl FnOnce(&mut Value) -> Option<Value>) {
    let Some(number) = workload.get_mut("spec").and_then(take).as_ref().and_then(Value::as_i64) else {
        return;
    };
    if object(workload, "metadata").is_some()
        && let Some(annotations) = object(&mut workload["metadata"], "annotations")
    {
        annotations.insert(annotation.into(), number.to_string().into());
    }
}

/// Removes an annotation that holds a number.
fn number(workload: &mut Value, annotation: &str) -> Option<i64> {
    let annotations = workload.get_mut("metadata")?.get_mut("annotations")?;
    let number = annotations.get(annotation)?.as_str()?.parse().ok()?;
    remove(annotations, annotation);
    Some(number)
}

fn show(workload: &mut Value, field: &str, value: Value) {
    if let Some(spec) = object(workload, "spec") {
        spec.insert(field.into(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> Value {
        json!({"metadata": {"name": "a"}, "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {}}}})
    }

    #[test]
    fn an_old_deployment_selects_its_template_and_never_gives_up() {
        let mut object = sent();
        object["spec"]["rollbackTo"] = json!({"revision": 3});
        old_deployment(&mut object);
        assert_eq!(object["spec"]["selector"], json!({"matchLabels": {"a": "b"}}));
        assert_eq!(object["metadata"]["labels"], json!({"a": "b"}));
        assert_eq!(object["spec"]["progressDeadlineSeconds"], i32::MAX);
        assert_eq!(
            object["spec"]["strategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}})
        );
        assert_eq!(object["metadata"]["annotations"][ROLLBACK], "3");
        show_rollback(&mut object);
        assert_eq!(object["spec"]["rollbackTo"], json!({"revision": 3}));
        let mut recreate = sent();
        recreate["spec"]["strategy"] = json!({"type": "Recreate"});
        old_deployment(&mut recreate);
        assert_eq!(recreate["spec"]["strategy"], json!({"type": "Recreate"}));
    }

    #[test]
    fn old_sets_wait_for_pods_to_be_deleted() {
        let mut object = sent();
        object["spec"]["templateGeneration"] = 7.into();
        daemon_set(&mut object);
        assert_eq!(object["spec"]["updateStrategy"], json!({"type": "OnDelete"}));
        show_generation(&mut object);
        assert_eq!(object["spec"]["templateGeneration"], 7);
    }

    #[test]
    fn a_part_of_an_object_stays_a_part() {
        let part = json!({"spec": {"replicas": 3}});
        let mut object = part.clone();
        old_deployment(&mut object);
        assert_eq!(object, part);
    }
}
