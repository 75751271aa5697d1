//! Pods, and the pod templates of every kind that makes pods.

mod containers;
mod defaults;
mod env;
mod parts;
mod placement;
mod probes;
mod qos;
mod resources;
mod security;
mod spec;
mod table;
mod update;
mod volumes;

use serde_json::{Value, json};

use super::super::{Generation, Strategy};
use crate::field::{Errors, Node};
use crate::metadata::{validate_annotations, validate_labels};
use crate::value::{int, replace, text};
pub(in crate::kinds) use defaults::{claim_spec as default_claim_spec, template as default_template};
pub(super) use parts::{EPHEMERAL, RESIZE};
pub(in crate::kinds) use placement::node_selector;
pub(in crate::kinds) use probes::port as port_or_name;
pub(in crate::kinds) use resources::{quantity_of, resource_list, round_up};
pub(in crate::kinds) use spec::IP;
pub(super) use table::POD_TEMPLATE as TEMPLATE_TABLE;
pub(super) use table::TABLE;
pub(in crate::kinds) use table::container_cells;

pub(super) const STRATEGY: Strategy = Strategy {
    defaults: defaults::pod,
    prepare_create,
    validate,
    validate_update: update::validate,
    generation: Generation::Spec,
    grace: Some(grace),
    ..Strategy::PLAIN
};

pub(super) const TEMPLATE_STRATEGY: Strategy = Strategy {
    defaults: |object| default_template(object),
    validate: |object, errors| template(&object.at("template"), errors),
    generation: Generation::Spec,
    ..Strategy::PLAIN
};

/// A new pod waits to be scheduled; its class of service follows from what it asks for.
fn prepare_create(pod: &mut Value) {
    let class = qos::class(pod);
    replace(pod, "status", Some(json!({"phase": "Pending", "qosClass": class})));
}

/// A pod that no node runs, or that has ended, has nothing to end in order.
fn grace(pod: &Value, requested: Option<i64>) -> i64 {
    let ended = matches!(text(pod, "status.phase"), "Succeeded" | "Failed");
    if ended || text(pod, "spec.nodeName").is_empty() {
        return 0;
    }
    match requested.unwrap_or_else(|| int(pod, "spec.terminationGracePeriodSeconds")) {
        negative if negative < 0 => 1,
        seconds => seconds,
    }
}

fn validate(pod: &Node<'_, '_>, errors: &mut Errors) {
    spec::validate(&pod.at("spec"), errors);
}

/// A pod inside another object: its metadata describes, its spec follows the rules of pods.
pub(in crate::kinds) fn template(template: &Node<'_, '_>, errors: &mut Errors) {
    validate_labels(&template.at("metadata.labels"), errors);
    validate_annotations(&template.at("metadata.annotations"), errors);
    spec::validate(&template.at("spec"), errors);
    let ephemeral = template.at("spec.ephemeralContainers");
    if !ephemeral.is_zero() {
        errors.push(ephemeral.forbidden("ephemeral containers not allowed in pod template"));
    }
}
