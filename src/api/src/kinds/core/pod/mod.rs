//! Pods, and the pod templates of every kind that makes pods.

mod annotations;
mod claims;
mod containers;
mod defaults;
mod dns;
mod env;
mod os;
mod parts;
mod placement;
mod probes;
mod qos;
mod resources;
mod security;
mod spec;
mod status;
mod table;
mod update;
mod volumes;
mod warnings;

use serde_json::{Value, json};

use super::super::{Generation, Strategy};
use crate::field::{Errors, Node};
use crate::metadata::{validate_annotations, validate_labels};
use crate::value::{at, int, list, replace, text};
pub(in crate::kinds) use defaults::{claim_spec as default_claim_spec, template as default_template};
pub(super) use parts::{EPHEMERAL, RESIZE};
pub(in crate::kinds) use placement::{EFFECTS, node_selector, tolerations};
pub(in crate::kinds) use probes::port as port_or_name;
pub(in crate::kinds) use resources::{
    amount, container_resource, is_extended, is_for_quotas, may_overcommit, quantity_of, resource_list,
    resource_name, round_up,
};
use spec::Owner;
pub(super) use table::POD_TEMPLATE as TEMPLATE_TABLE;
pub(super) use table::TABLE;
pub(in crate::kinds) use table::container_cells;

pub(super) const STRATEGY: Strategy = Strategy {
    defaults: defaults::pod,
    prepare_create,
    prepare_status: status::prepare,
    validate,
    validate_create,
    validate_update: update::validate,
    validate_status: status::validate,
    generation: Generation::Spec,
    grace: Some(grace),
    warnings: warnings::of_pod,
    ..Strategy::PLAIN
};

pub(super) const TEMPLATE_STRATEGY: Strategy = Strategy {
    defaults: |object| default_template(object),
    validate: |object, errors| template(&object.at("template"), errors),
    warnings: |object, old| template_warnings("template", object, old),
    generation: Generation::Spec,
    ..Strategy::PLAIN
};

/// A new pod waits to be scheduled; its class of service follows from what it asks for.
fn prepare_create(pod: &mut Value) {
    let mut status = json!({"phase": "Pending", "qosClass": qos::class(pod)});
    if !list(pod, "spec.schedulingGates").is_empty() {
        // Who opens the last gate leaves this to the scheduler.
        status["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates", "lastProbeTime": null,
            "lastTransitionTime": at(pod, "metadata.creationTimestamp")}]);
    }
    replace(pod, "status", Some(status));
    placement::select_by_own_labels(pod);
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
    let spec = pod.at("spec");
    annotations::validate(&pod.at("metadata.annotations"), &spec, errors);
    spec::validate(&spec, Owner::Pod(pod.at("metadata.name").text()), errors);
    volumes::tokens_need_an_account(&spec, errors);
    for kind in ["containers", "initContainers"] {
        for container in spec.at(kind).items() {
            containers::image_is_trimmed(&container.at("image"), errors);
        }
    }
}

/// What comes to a pod only while it runs.
fn validate_create(pod: &Node<'_, '_>, errors: &mut Errors) {
    let spec = pod.at("spec");
    let ephemeral = spec.at("ephemeralContainers");
    if !ephemeral.is_zero() {
        errors.push(ephemeral.forbidden("cannot be set on create"));
    }
    let node = spec.at("nodeName");
    if !node.text().is_empty() && !spec.at("schedulingGates").is_zero() {
        errors.push(node.forbidden("cannot be set until all schedulingGates have been cleared"));
    }
    annotations::match_fields(pod.at("metadata").value, &spec, errors);
}

/// A pod inside another object: its metadata describes, its spec follows the rules of pods.
pub(in crate::kinds) fn template(template: &Node<'_, '_>, errors: &mut Errors) {
    template_with_claims(template, &[], errors);
}

/// [`template`] for pods that find these claims among their volumes.
pub(in crate::kinds) fn template_with_claims<'v>(
    template: &Node<'v, '_>,
    claims: &'v [Value],
    errors: &mut Errors,
) {
    template_metadata(template, errors);
    let spec = template.at("spec");
    spec::validate(&spec, Owner::Template(claims), errors);
    annotations::match_fields(template.at("metadata").value, &spec, errors);
    let ephemeral = spec.at("ephemeralContainers");
    if !ephemeral.is_zero() {
        errors.push(ephemeral.forbidden("ephemeral containers not allowed in pod template"));
    }
}

/// What the metadata of a template says of its pods; upstream gives it the template's own path.
fn template_metadata(template: &Node<'_, '_>, errors: &mut Errors) {
    let metadata = template.at("metadata");
    let labels = metadata.at("labels");
    validate_labels(&labels.named(template.path.field("labels")), errors);
    let annotations = metadata.at("annotations");
    let annotations = annotations.named(template.path.field("annotations"));
    validate_annotations(&annotations, errors);
    annotations::validate(&annotations, &template.at("spec"), errors);
}

/// [`template_warnings`] of an object whose name becomes part of the names of its pods.
pub(in crate::kinds) fn workload_warnings(path: &str, object: &Value, old: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    if old.is_none() {
        warnings::of_name(object, "Pod names and hostnames", &mut warnings);
    }
    warnings.extend(template_warnings(path, object, old));
    warnings
}

/// Warnings about the template at `path`, if the object is new or its spec has changed.
pub(in crate::kinds) fn template_warnings(path: &str, object: &Value, old: Option<&Value>) -> Vec<String> {
    match old.is_some_and(|old| {
        old.get("spec") == object.get("spec") && old.get("template") == object.get("template")
    }) {
        true => Vec::new(),
        false => warnings::of_template(path, object),
    }
}

#[cfg(test)]
mod tests;
