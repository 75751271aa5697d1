//! Volumes.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::super::apps::rules::immutable;
use super::super::pod::{node_selector, quantity_of, round_up};
use super::plugin;
use super::source::{self, SOURCES};
use super::{CLASS_ANNOTATION, access_modes, fraction, old_annotation, positive};
use crate::field::{Errors, Node};
use crate::metadata::seconds;
use crate::names;
use crate::value::{at, default_to, default_zero_to, replace, text};

const POLICIES: &[&str] = &["Delete", "Recycle", "Retain"];

pub(super) fn defaults(volume: &mut Value) {
    let Some(spec) = volume.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    default_zero_to(spec, "persistentVolumeReclaimPolicy", "Retain");
    default_to(spec, "volumeMode", "Filesystem");
    if let Some(capacity) = spec.get_mut("capacity") {
        round_up(capacity);
    }
    plugin::defaults(spec);
}

/// A volume waits from the moment it is made.
pub(super) fn create(volume: &mut Value) {
    let mut status = json!({"phase": "Pending"});
    replace(&mut status, "lastPhaseTransitionTime", volume["metadata"].get("creationTimestamp").cloned());
    replace(volume, "status", Some(status));
}

/// Since when it is in its phase is noted for those who do not say.
pub(super) fn note_phase(new: &mut Value, old: &Value, now: Timestamp) {
    const SINCE: &str = "lastPhaseTransitionTime";
    let (same, was) = (text(new, "status.phase") == text(old, "status.phase"), at(old, "status").get(SINCE));
    let Some(status) = new.get_mut("status").filter(|status| status.is_object()) else { return };
    let said = status.get(SINCE).filter(|said| !said.is_null());
    if same && said.is_none() {
        replace(status, SINCE, was.cloned());
    } else if !same && (said.is_none() || said == was) {
        replace(status, SINCE, Some(seconds(now).into()));
    }
}

pub(super) fn volume(volume: &Node<'_, '_>, errors: &mut Errors) {
    let spec = volume.at("spec");
    access_modes(&spec.at("accessModes"), "", errors);
    capacity(&spec.at("capacity"), errors);
    let policy = spec.at("persistentVolumeReclaimPolicy");
    if !policy.text().is_empty() {
        policy.may_be_among(POLICIES, errors);
    }
    let affinity = spec.at("nodeAffinity");
    let required = affinity.at("required");
    match (affinity.is_set(), required.is_set()) {
        (true, true) => node_selector(&required, errors),
        (true, false) => errors.push(required.required("must specify required node constraints")),
        (false, _) => {}
    }
    source::one(&spec, text(volume.value, "metadata.name"), errors);
    if policy.text() == "Recycle" && is_root(text(spec.value, "hostPath.path")) {
        errors.push(policy.forbidden("may not be 'recycle' for a hostPath mount of '/'"));
    }
    spec.at("storageClassName").check_given(names::subdomain, errors);
    spec.at("volumeMode").may_be_among(&["Block", "Filesystem"], errors);
    attributes(&spec, errors);
}

/// The spec of a volume that stands inside an attachment: a CSI volume and nothing around it.
pub(in crate::kinds) fn inline(spec: &Node<'_, '_>, errors: &mut Errors) {
    let outside = "may not be specified in the context of inline volumes";
    for field in ["claimRef", "capacity"] {
        let field = spec.at(field);
        if !field.is_zero() {
            errors.push(field.forbidden(outside));
        }
    }
    if !spec.at("csi").is_set() {
        errors.push(spec.at("csi").required("has to be specified in the context of inline volumes"));
    }
    access_modes(&spec.at("accessModes"), "", errors);
    let (policy, mode) = (spec.at("persistentVolumeReclaimPolicy"), spec.at("volumeMode"));
    if !matches!(policy.text(), "" | "Retain") {
        errors.push(policy.forbidden("may only be Retain in the context of inline volumes"));
    }
    if spec.at("nodeAffinity").is_set() {
        errors.push(spec.at("nodeAffinity").forbidden(outside));
    }
    source::one(spec, "", errors);
    if !spec.at("storageClassName").is_zero() {
        errors.push(spec.at("storageClassName").forbidden(outside));
    }
    if !matches!(mode.text(), "" | "Filesystem") {
        let sentence = "may not specify volumeMode other than Filesystem in the context of inline volumes";
        errors.push(mode.forbidden(sentence));
    }
}

fn capacity(capacity: &Node<'_, '_>, errors: &mut Errors) {
    if capacity.is_zero() {
        errors.push(capacity.required(""));
    }
    if !capacity.entries().map(|(name, _)| name).eq(["storage"]) {
        errors.push(capacity.unsupported(&["storage"]));
    }
    for (name, quantity) in capacity.entries() {
        let Some(amount) = quantity_of(capacity.value, name) else { continue };
        if amount.value() < 0 {
            errors.push(quantity.invalid_as(amount.value(), "must be a valid resource quantity"));
        }
        positive(&quantity, amount, errors);
    }
}

/// Whether a path leads to `/` however it is written.
fn is_root(path: &str) -> bool {
    let mut depth = 0_usize;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = depth.saturating_sub(1),
            _ => depth += 1,
        }
    }
    path.starts_with('/') && depth == 0
}

fn attributes(spec: &Node<'_, '_>, errors: &mut Errors) {
    let (class, driver) = (spec.at("volumeAttributesClassName"), spec.at("csi"));
    if !class.is_set() {
        return;
    }
    match class.text() {
        "" => errors.push(class.required("an empty string is disallowed")),
        _ => class.check(names::subdomain, errors),
    }
    if !driver.is_set() {
        errors.push(driver.required("has to be specified when using volumeAttributesClassName"));
    }
}

/// Where a volume is stays; a secret for growing it may be named later.
pub(super) fn update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let (spec, was) = (new.at("spec"), at(old, "spec"));
    if SOURCES.iter().any(|source| moved(source.field, at(spec.value, source.field), at(was, source.field))) {
        let path = new.at("spec");
        errors.push(
            path.at("persistentvolumesource")
                .forbidden("spec.persistentvolumesource is immutable after creation"),
        );
    }
    // Upstream's paths leave `spec` out.
    let named = |field: &'static str| Node { path: new.path.field(field), value: at(spec.value, field) };
    immutable(&named("volumeMode"), at(was, "volumeMode"), errors);
    if !at(was, "nodeAffinity").is_null() && at(spec.value, "nodeAffinity") != at(was, "nodeAffinity") {
        let sentence = "field is immutable, except for updating from beta label to GA";
        errors.push(named("nodeAffinity").invalid(sentence));
    }
    let class = spec.at("volumeAttributesClassName");
    if !at(was, "volumeAttributesClassName").is_null() && !class.is_set() {
        errors.push(class.forbidden("update from non-nil value to nil is forbidden"));
    }
}

fn moved(field: &str, new: &Value, old: &Value) -> bool {
    const SECRET: &str = "controllerExpandSecretRef";
    if field != "csi" || !at(old, SECRET).is_null() || new.is_null() || old.is_null() {
        return new != old;
    }
    let others = |csi: &Value| {
        let fields = csi.as_object().into_iter().flatten().filter(|(field, _)| *field != SECRET);
        fields.map(|(field, value)| (field.clone(), value.clone())).collect::<Vec<_>>()
    };
    others(new) != others(old)
}

pub(super) fn warnings(volume: &Value, _: Option<&Value>) -> Vec<String> {
    let root = Node::root(volume);
    let spec = root.at("spec");
    let class = "deprecated since v1.8; use \"storageClassName\" attribute instead";
    let options = "deprecated since v1.31; use \"mountOptions\" attribute instead";
    let mut warnings: Vec<String> = old_annotation(volume, CLASS_ANNOTATION, class)
        .into_iter()
        .chain(old_annotation(volume, "volume.beta.kubernetes.io/mount-options", options))
        .collect();
    let policy = spec.at("persistentVolumeReclaimPolicy");
    if policy.text() == "Recycle" {
        warnings.push(format!(
            "{}: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
            policy.path
        ));
    }
    for source in SOURCES.iter().filter(|source| !source.gone.is_empty()) {
        let node = spec.at(source.field);
        if node.is_set() {
            warnings.push(format!("{}: {}", node.path, source.gone));
        }
    }
    warnings.extend(fraction(&spec.at("capacity")));
    warnings
}
