//! Claims: what they ask for, and what may change about that.

use serde_json::{Value, json};

use super::super::super::apps::rules::immutable;
use super::super::pod::quantity_of;
use super::{CLASS_ANNOTATION, access_modes, fraction, old_annotation, positive};
use crate::field::{Errors, Node};
use crate::names;
use crate::selector_rules;
use crate::value::{at, is_zero, replace, text};

const CLAIMS: &str = "PersistentVolumeClaim";

pub(super) fn create(claim: &mut Value) {
    replace(claim, "status", Some(json!({"phase": "Pending"})));
    settle_source(claim, &Value::Null);
}

pub(super) fn prepare_update(new: &mut Value, old: &Value) {
    settle_source(new, at(old, "spec"));
}

/// `dataSource` is the older name of `dataSourceRef`: each is filled in from the other. What the older one never took is left
/// out, and so are sources in other namespaces.
fn settle_source(claim: &mut Value, old: &Value) {
    let Some(spec) = claim.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    if !is_zero(at(spec, "dataSourceRef.namespace")) && at(old, "dataSourceRef").is_null() {
        replace(spec, "dataSourceRef", None);
    }
    let had = !at(old, "dataSource").is_null() || !at(old, "dataSourceRef").is_null();
    if !had && at(spec, "dataSourceRef").is_null() && !is_old_source(at(spec, "dataSource")) {
        replace(spec, "dataSource", None);
    }
    for (from, to) in [("dataSource", "dataSourceRef"), ("dataSourceRef", "dataSource")] {
        if !at(spec, from).is_null() && at(spec, to).is_null() && is_zero(at(at(spec, from), "namespace")) {
            let mut source = at(spec, from).clone();
            replace(&mut source, "namespace", None);
            replace(spec, to, Some(source));
        }
    }
}

fn is_old_source(source: &Value) -> bool {
    matches!(
        (text(source, "apiGroup"), text(source, "kind")),
        ("", CLAIMS) | ("snapshot.storage.k8s.io", "VolumeSnapshot")
    )
}

pub(super) fn spec(spec: &Node<'_, '_>, errors: &mut Errors) {
    let modes = spec.at("accessModes");
    if modes.list().is_empty() {
        errors.push(modes.required("at least 1 access mode is required"));
    }
    selector_rules::validate(&spec.at("selector"), errors);
    if !modes.list().is_empty() {
        access_modes(&modes, "", errors);
    }
    // Upstream leaves `requests` out of the path.
    let resources = spec.at("resources");
    let storage = resources.key("storage");
    match quantity_of(at(resources.value, "requests"), "storage") {
        None => errors.push(storage.required("")),
        Some(amount) => positive(&storage, amount, errors),
    }
    spec.at("storageClassName").check_given(names::subdomain, errors);
    spec.at("volumeMode").may_be_among(&["Block", "Filesystem"], errors);
    sources(spec, errors);
    spec.at("volumeAttributesClassName").check_given(names::subdomain, errors);
}

fn sources(spec: &Node<'_, '_>, errors: &mut Errors) {
    let (old, new) = (spec.at("dataSource"), spec.at("dataSourceRef"));
    for source in [&old, &new].into_iter().filter(|source| source.is_set()) {
        self::source(source, errors);
    }
    new.at("namespace").check_given(names::dns_label, errors);
    if !old.is_set() || !new.is_set() {
        return;
    }
    let same = ["apiGroup", "kind", "name"].iter().all(|field| at(old.value, field) == at(new.value, field));
    let sentence = match is_zero(at(new.value, "namespace")) {
        false => "may not be specified when dataSourceRef.namespace is specified",
        true if !same => "must match dataSourceRef",
        true => return,
    };
    errors.push(spec.invalid_as(old.path.to_string(), sentence));
}

fn source(source: &Node<'_, '_>, errors: &mut Errors) {
    let (kind, group) = (source.at("kind"), source.at("apiGroup"));
    source.at("name").require(errors);
    kind.require(errors);
    if group.text().is_empty() && kind.text() != CLAIMS {
        let sentence = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        errors.push(source.invalid_as(kind.text(), sentence));
    }
    group.check_given(names::subdomain, errors);
}

const IMMUTABLE: &str = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";

/// A bound claim can ask for more, and for another class of attributes; all else stays.
pub(super) fn update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let (spec, was) = (new.at("spec"), at(old, "spec"));
    let annotation = |claim: &Value| at(claim, "metadata.annotations").get(CLASS_ANNOTATION).cloned();
    let (annotated, was_annotated) = (annotation(new.value), annotation(old));
    let moved = at(was, "storageClassName").is_null()
        && was_annotated.as_ref() == Some(at(spec.value, "storageClassName"))
        && annotated.as_ref().is_none_or(|annotated| Some(annotated) == was_annotated.as_ref());
    if !moved && annotated != was_annotated {
        let annotations = new.at("metadata.annotations");
        let shown = annotated.unwrap_or_else(|| "".into());
        errors.push(annotations.at(CLASS_ANNOTATION).invalid_as(shown, "field is immutable"));
    }
    let class_given = at(was, "storageClassName").is_null()
        && was_annotated.as_ref().is_none_or(|class| class == at(spec.value, "storageClassName"));
    let bound = text(old, "status.phase") == "Bound";
    if changed(spec.value, was, |field| match field {
        "volumeName" => !is_zero(at(was, field)),
        "storageClassName" => !(moved || (class_given && !at(spec.value, field).is_null())),
        "volumeAttributesClassName" => !bound || at(spec.value, field).is_null(),
        "resources" => !bound || resources_changed(at(spec.value, field), at(was, field)),
        _ => true,
    }) {
        errors.push(spec.forbidden(IMMUTABLE));
    }
    size(&spec, old, errors);
    immutable(
        &Node { path: new.path.field("volumeMode"), ..spec.at("volumeMode") },
        at(was, "volumeMode"),
        errors,
    );
    attributes(&spec.at("volumeAttributesClassName"), at(was, "volumeAttributesClassName"), errors);
}

/// Whether a field differs that `counts`.
fn changed(new: &Value, old: &Value, counts: impl Fn(&str) -> bool) -> bool {
    let fields = |spec: &Value| {
        spec.as_object().into_iter().flatten().map(|(field, _)| field.clone()).collect::<Vec<_>>()
    };
    fields(new)
        .into_iter()
        .chain(fields(old))
        .any(|field| at(new, &field) != at(old, &field) && counts(&field))
}

/// Whether anything but the amount of storage is asked for in another way.
fn resources_changed(new: &Value, old: &Value) -> bool {
    changed(new, old, |list| {
        list != "requests" || changed(at(new, list), at(old, list), |name| name != "storage")
    })
}

/// A claim that could not grow may be made smaller again, but not as small as it is.
fn size(spec: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let asked = |spec: &Value| quantity_of(at(spec, "resources.requests"), "storage");
    let has = quantity_of(at(old, "status.capacity"), "storage");
    let (new, was) = (asked(spec.value), asked(at(old, "spec")));
    if new < was && has.is_some_and(|has| new <= Some(has)) {
        errors.push(
            spec.at("resources.requests.storage").forbidden("field can not be less than status.capacity"),
        );
    }
}

fn attributes(class: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let to = match class.value.as_str() {
        _ if old.is_null() || class.value == old => return,
        None => "nil",
        Some("") => "an empty string",
        Some(_) => return,
    };
    errors.push(class.forbidden(format!("update from non-nil value to {to} is forbidden")));
}

const RESIZES: &[&str] = &[
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
];

pub(super) fn status(new: &Node<'_, '_>, _: &Value, errors: &mut Errors) {
    let capacity = new.at("status.capacity");
    for (name, quantity) in capacity.entries() {
        not_negative(capacity.value, name, &quantity, errors);
    }
    // Upstream's path is in the singular.
    let path = new.at("status");
    let shown = path.at("allocatedResourceStatus");
    for (name, state) in path.at("allocatedResourceStatuses").entries() {
        resource(&shown, name, errors);
        if !RESIZES.contains(&state.text()) {
            errors.push(Node { path: shown.path, value: &Value::String(name.clone()) }.unsupported(RESIZES));
        }
    }
    let allocated = new.at("status.allocatedResources");
    for (name, quantity) in allocated.entries() {
        let before = errors.len();
        resource(&allocated, name, errors);
        if errors.len() == before {
            not_negative(allocated.value, name, &quantity, errors);
        }
    }
}

fn not_negative(list: &Value, name: &str, quantity: &Node<'_, '_>, errors: &mut Errors) {
    if let Some(amount) = quantity_of(list, name).filter(|amount| amount.value() < 0) {
        errors.push(quantity.invalid_as(amount.value(), "must be a valid resource quantity"));
    }
}

/// Of Kubernetes' own resources a claim has storage alone.
fn resource(at: &Node<'_, '_>, name: &str, errors: &mut Errors) {
    let problems = names::qualified_name(name);
    let native =
        !name.contains('/') || name.split('/').next().is_some_and(|domain| domain.ends_with("kubernetes.io"));
    if problems.is_empty() && native && name != "storage" {
        errors.push(Node { path: at.path, value: &Value::String(name.to_owned()) }.unsupported(&["storage"]));
    }
    errors.extend(problems.into_iter().map(|problem| at.invalid_as(name, problem)));
}

pub(super) fn warnings(claim: &Value, _: Option<&Value>) -> Vec<String> {
    let root = Node::root(claim);
    let spec = root.at("spec");
    let annotation = "deprecated since v1.8; use \"storageClassName\" attribute instead";
    old_annotation(claim, CLASS_ANNOTATION, annotation)
        .into_iter()
        .chain(fraction(&spec.at("resources.requests")))
        .chain(fraction(&spec.at("resources.limits")))
        .collect()
}
