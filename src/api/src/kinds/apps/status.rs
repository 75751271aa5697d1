//! Rules for the status of workloads: what they count fits together.

use serde_json::Value;

use super::rules::non_negative;
use crate::field::{Errors, Node};
use crate::value::{at, int, replace};

/// Upstream lets nobody label a Deployment by way of its status.
pub(super) fn keep_labels(new: &mut Value, old: &Value) {
    let labels = at(old, "metadata").get("labels").cloned();
    if let Some(metadata) = new.get_mut("metadata") {
        replace(metadata, "labels", labels);
    }
}

pub(super) fn deployment(object: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    const COUNTS: [&str; 7] = [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "collisionCount",
    ];
    let status = object.at("status");
    counts(&status, &COUNTS, errors);
    parts(&status, &["updatedReplicas", "readyReplicas", "availableReplicas"], errors);
    available(&status, "readyReplicas", errors);
    collisions(&status, old, errors);
}

pub(in crate::kinds) fn replicas(object: &Node<'_, '_>, _: &Value, errors: &mut Errors) {
    const COUNTS: [&str; 5] =
        ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"];
    let status = object.at("status");
    counts(&status, &COUNTS, errors);
    parts(&status, &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"], errors);
    available(&status, "readyReplicas", errors);
}

pub(super) fn stateful_set(object: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    const COUNTS: [&str; 7] = [
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ];
    let status = object.at("status");
    counts(&status, &COUNTS, errors);
    parts(&status, &COUNTS[1..5], errors);
    available(&status, "status.readyReplicas", errors);
    collisions(&status, old, errors);
}

pub(super) fn daemon_set(object: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    const COUNTS: [&str; 9] = [
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ];
    let status = object.at("status");
    counts(&status, &COUNTS, errors);
    collisions(&status, old, errors);
}

fn counts(status: &Node<'_, '_>, fields: &[&str], errors: &mut Errors) {
    fields.iter().for_each(|field| non_negative(&status.at(field), errors));
}

/// No part is more than the whole.
fn parts(status: &Node<'_, '_>, fields: &[&str], errors: &mut Errors) {
    for part in fields.iter().map(|field| status.at(field)) {
        if part.int().unwrap_or_default() > int(status.value, "replicas") {
            errors.push(part.invalid("cannot be greater than status.replicas"));
        }
    }
}

fn available(status: &Node<'_, '_>, ready: &str, errors: &mut Errors) {
    let available = status.at("availableReplicas");
    if available.int().unwrap_or_default() > int(status.value, "readyReplicas") {
        errors.push(available.invalid(format!("cannot be greater than {ready}")));
    }
}

/// Names that were taken are not forgotten.
fn collisions(status: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let count = status.at("collisionCount");
    let value = count.int().unwrap_or_default();
    let old = at(old, "status.collisionCount").as_i64();
    if old.is_some_and(|old| !count.is_set() || value < old) {
        errors.push(count.invalid_as(value, "cannot be decremented"));
    }
}
