//! `/scale`: the number of replicas of any workload as an autoscaling/v1 Scale.

use serde_json::{Value, json};

use super::Kind;
use super::apps::rules::non_negative;
use crate::field::{Errors, Node};
use crate::selector::LabelSelector;
use crate::table::{AGE, Column, NAME, Table, age, name};
use crate::value::{at, int, object, remove, text};

/// The rules of a Scale by itself.
pub fn validate_scale(scale: &Value) -> Errors {
    let mut errors = Errors::new();
    non_negative(&Node::root(scale).at("spec.replicas"), &mut errors);
    errors
}

impl Kind {
    /// The Scale of a workload.
    pub fn scale_of(&self, workload: &Value) -> Value {
        let metadata = at(workload, "metadata");
        let mut scale = json!({"kind": "Scale", "apiVersion": "autoscaling/v1",
            "metadata": {"name": text(metadata, "name"), "namespace": text(metadata, "namespace")},
            "spec": {"replicas": int(workload, "spec.replicas")},
            "status": {"replicas": int(workload, "status.replicas"), "selector": selector(workload)}});
        for field in ["uid", "resourceVersion", "creationTimestamp"] {
            scale["metadata"][field] = at(metadata, field).clone();
        }
        // Of the two, clients rely on the status alone to be there always.
        if int(&scale["spec"], "replicas") == 0 {
            remove(&mut scale["spec"], "replicas");
        }
        scale
    }

    /// Sets the replicas a Scale asks for.
    pub fn set_scale(&self, workload: &mut Value, scale: &Value) {
        if let Some(spec) = object(workload, "spec") {
            spec.insert("replicas".into(), int(scale, "spec.replicas").into());
        }
    }
}

/// How a Scale is shown.
pub static SCALE_TABLE: Table = Table {
    columns: &[NAME, Column::int("Desired"), Column::int("Available"), AGE],
    cells: |scale, now| {
        let replicas = ["spec.replicas", "status.replicas"].map(|field| int(scale, field).into());
        let [desired, available] = replicas;
        vec![name(scale), desired, available, age(scale, now)]
    },
};

/// As a query string; a replication controller's selector is a plain map.
fn selector(workload: &Value) -> String {
    let selector = at(workload, "spec.selector");
    let structured = ["matchLabels", "matchExpressions"]
        .iter()
        .any(|part| at(selector, part).is_object() || at(selector, part).is_array());
    match structured {
        true => LabelSelector::from_object(selector).map(|selector| selector.to_string()).unwrap_or_default(),
        false => LabelSelector::from_map(selector).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::by_resource;

    #[test]
    fn a_scale_says_and_sets_the_replicas() {
        let kind = by_resource("apps", "v1", "deployments").unwrap();
        let mut deployment = json!({"metadata": {"name": "a", "namespace": "b", "uid": "u", "resourceVersion": "7"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"x": "y"}}}, "status": {"replicas": 1}});
        let mut scale = kind.scale_of(&deployment);
        assert_eq!(scale["status"], json!({"replicas": 1, "selector": "x=y"}));
        assert_eq!(scale["metadata"]["resourceVersion"], "7");
        scale["spec"]["replicas"] = 5.into();
        assert_eq!(super::validate_scale(&scale), []);
        kind.set_scale(&mut deployment, &scale);
        assert_eq!(deployment["spec"]["replicas"], 5);
        scale["spec"]["replicas"] = (-1).into();
        let sentence = "spec.replicas: Invalid value: -1: must be greater than or equal to 0";
        assert_eq!(super::validate_scale(&scale)[0].to_string(), sentence);
    }
}
