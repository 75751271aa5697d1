//! Persistent volumes and claims on them.

use serde_json::{Value, json};

use super::super::Strategy;
use super::super::apps::rules::immutable;
use super::pod::{default_claim_spec, node_selector, quantity_of, resource_list, round_up};
use crate::field::{Errors, Node};
use crate::names;
use crate::selector_rules;
use crate::table::{AGE, Column, NAME, Table, age, name, or, plain};
use crate::value::{at, default_to, default_zero_to, is_zero, list, remove, replace, text};

pub(super) const CLAIM: Strategy = Strategy {
    defaults: default_claim_spec,
    prepare_create: pending,
    validate: claim,
    validate_update: claim_update,
    ..Strategy::PLAIN
};

pub(super) const VOLUME: Strategy = Strategy {
    defaults: volume_defaults,
    prepare_create: pending,
    validate: volume,
    validate_update: volume_update,
    ..Strategy::PLAIN
};

const MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

fn pending(object: &mut Value) {
    replace(object, "status", Some(json!({"phase": "Pending"})));
}

fn volume_defaults(volume: &mut Value) {
    let Some(spec) = volume.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    default_zero_to(spec, "persistentVolumeReclaimPolicy", "Retain");
    default_to(spec, "volumeMode", "Filesystem");
    if let Some(capacity) = spec.get_mut("capacity") {
        round_up(capacity);
    }
    if let Some(source) = spec.get_mut("hostPath") {
        default_to(source, "type", "");
    }
    if let Some(source) = spec.get_mut("iscsi") {
        default_zero_to(source, "iscsiInterface", "default");
    }
}

fn claim(object: &Node<'_, '_>, errors: &mut Errors) {
    claim_spec(&object.at("spec"), errors);
}

/// The spec of a claim, or of a template for one.
pub(in crate::kinds) fn claim_spec(spec: &Node<'_, '_>, errors: &mut Errors) {
    access_modes(&spec.at("accessModes"), errors);
    selector_rules::validate(&spec.at("selector"), errors);
    let (requests, storage) =
        (spec.at("resources.requests"), spec.at("resources.requests").value.get("storage"));
    if storage.is_none() {
        errors.push(requests.key("storage").required(""));
    }
    resource_list(&requests, errors);
    names_of(spec, &["storageClassName", "volumeAttributesClassName"], errors);
    mode(&spec.at("volumeMode"), errors);
}

fn access_modes(modes: &Node<'_, '_>, errors: &mut Errors) {
    if modes.list().is_empty() {
        errors.push(modes.required("at least 1 access mode is required"));
    }
    for mode in modes.items().filter(|mode| !MODES.contains(&mode.text())) {
        errors.push(Node { path: modes.path, ..mode }.unsupported(MODES));
    }
    let alone = modes.list().iter().any(|mode| mode == "ReadWriteOncePod");
    if alone && modes.list().len() > 1 {
        errors.push(modes.forbidden("may not use ReadWriteOncePod with other access modes"));
    }
}

fn names_of(spec: &Node<'_, '_>, fields: &[&str], errors: &mut Errors) {
    for field in fields {
        let field = spec.at(field);
        if !field.text().is_empty() {
            errors.extend(names::subdomain(field.text()).into_iter().map(|problem| field.invalid(problem)));
        }
    }
}

fn mode(mode: &Node<'_, '_>, errors: &mut Errors) {
    if mode.is_set() && !matches!(mode.text(), "Block" | "Filesystem") {
        errors.push(mode.unsupported(&["Block", "Filesystem"]));
    }
}

/// A claim can ask for more, and for another class of attributes; once bound it stays with its volume.
fn claim_update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let (spec, old_spec) = (new.at("spec"), at(old, "spec"));
    let frozen = |spec: &Value| {
        let mut spec = spec.clone();
        for field in ["resources", "volumeAttributesClassName"] {
            remove(&mut spec, field);
        }
        if is_zero(at(old_spec, "volumeName")) {
            remove(&mut spec, "volumeName");
        }
        if is_zero(at(old_spec, "storageClassName")) {
            remove(&mut spec, "storageClassName");
        }
        spec
    };
    if frozen(spec.value) != frozen(old_spec) {
        errors.push(spec.forbidden(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        ));
    }
    let asked = |spec: &Value| quantity_of(at(spec, "resources.requests"), "storage");
    if asked(spec.value) < asked(old_spec) {
        errors.push(
            spec.at("resources.requests.storage").forbidden("field can not be less than status.capacity"),
        );
    }
}

/// Fields of a volume's spec that say nothing about where it is.
const DESCRIBING: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

fn volume(object: &Node<'_, '_>, errors: &mut Errors) {
    let spec = object.at("spec");
    access_modes(&spec.at("accessModes"), errors);
    let capacity = spec.at("capacity");
    if capacity.is_zero() {
        errors.push(capacity.required(""));
    } else if capacity.value.get("storage").is_none() {
        errors.push(capacity.unsupported(&["storage"]));
    }
    resource_list(&capacity, errors);
    let policy = spec.at("persistentVolumeReclaimPolicy");
    if !policy.text().is_empty() && !matches!(policy.text(), "Delete" | "Recycle" | "Retain") {
        errors.push(policy.unsupported(&["Delete", "Recycle", "Retain"]));
    }
    if spec.at("nodeAffinity.required").is_set() {
        node_selector(&spec.at("nodeAffinity.required"), errors);
    }
    let sources = source(spec.value).count();
    if sources == 0 {
        errors.push(spec.required("must specify a volume type"));
    }
    for (another, _) in source(spec.value).skip(1) {
        errors.push(spec.at(another).forbidden("may not specify more than 1 volume type"));
    }
    names_of(&spec, &["storageClassName", "volumeAttributesClassName"], errors);
    mode(&spec.at("volumeMode"), errors);
}

fn source(spec: &Value) -> impl Iterator<Item = (&String, &Value)> {
    spec.as_object()
        .into_iter()
        .flatten()
        .filter(|(field, value)| !DESCRIBING.contains(&field.as_str()) && !value.is_null())
}

fn volume_update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let (spec, old) = (new.at("spec"), at(old, "spec"));
    if !source(spec.value).eq(source(old)) {
        errors.push(spec.forbidden("spec.persistentvolumesource is immutable after creation"));
    }
    immutable(&spec.at("volumeMode"), at(old, "volumeMode"), errors);
}

pub(super) static CLAIM_TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("Status"),
        Column::text("Volume"),
        Column::text("Capacity"),
        Column::text("Access Modes"),
        Column::text("StorageClass"),
        Column::text("VolumeAttributesClass"),
        AGE,
        Column::text("VolumeMode").wide(),
    ],
    cells: |claim, now| {
        let bound = !text(claim, "spec.volumeName").is_empty();
        let capacity = if bound { plain(at(claim, "status.capacity.storage"), "0") } else { String::new() };
        let modes = if bound { short_modes(list(claim, "status.accessModes")) } else { String::new() };
        vec![
            name(claim),
            phase(claim).into(),
            text(claim, "spec.volumeName").into(),
            capacity.into(),
            modes.into(),
            class(claim).into(),
            or(text(claim, "spec.volumeAttributesClassName"), "<unset>").into(),
            age(claim, now),
            or(text(claim, "spec.volumeMode"), "<unset>").into(),
        ]
    },
};

pub(super) static VOLUME_TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("Capacity"),
        Column::text("Access Modes"),
        Column::text("Reclaim Policy"),
        Column::text("Status"),
        Column::text("Claim"),
        Column::text("StorageClass"),
        Column::text("VolumeAttributesClass"),
        Column::text("Reason"),
        AGE,
        Column::text("VolumeMode").wide(),
    ],
    cells: |volume, now| {
        let claim = match at(volume, "spec.claimRef") {
            Value::Null => String::new(),
            claim => format!("{}/{}", text(claim, "namespace"), text(claim, "name")),
        };
        vec![
            name(volume),
            plain(at(volume, "spec.capacity.storage"), "0").into(),
            short_modes(list(volume, "spec.accessModes")).into(),
            text(volume, "spec.persistentVolumeReclaimPolicy").into(),
            phase(volume).into(),
            claim.into(),
            class(volume).into(),
            or(text(volume, "spec.volumeAttributesClassName"), "<unset>").into(),
            text(volume, "status.reason").into(),
            age(volume, now),
            or(text(volume, "spec.volumeMode"), "<unset>").into(),
        ]
    },
};

fn phase(object: &Value) -> &str {
    match at(object, "metadata.deletionTimestamp") {
        Value::Null => text(object, "status.phase"),
        _ => "Terminating",
    }
}

/// The annotation is the older way to name a class and wins.
fn class(object: &Value) -> &str {
    match at(object, "metadata.annotations")
        .get("volume.beta.kubernetes.io/storage-class")
        .and_then(Value::as_str)
    {
        Some(class) => class,
        None => text(object, "spec.storageClassName"),
    }
}

/// `RWO,ROX`, in upstream's order.
fn short_modes(modes: &[Value]) -> String {
    [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ]
    .into_iter()
    .filter(|(mode, _)| modes.iter().any(|given| given == mode))
    .map(|(_, short)| short)
    .collect::<Vec<_>>()
    .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(errors: &Errors) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_claim_must_say() {
        let mut errors = Errors::new();
        claim(&Node::root(&json!({"spec": {"accessModes": ["Mine"]}})), &mut errors);
        assert_eq!(
            sentences(&errors),
            [
                "spec.accessModes: Unsupported value: \"Mine\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \
                 \"ReadWriteOnce\", \"ReadWriteOncePod\"",
                "spec.resources.requests[storage]: Required value",
            ]
        );
    }

    #[test]
    fn a_claim_can_only_grow() {
        let ask =
            |size: &str| json!({"spec": {"volumeName": "v", "resources": {"requests": {"storage": size}}}});
        let update = |new: &Value, old: &Value| {
            let mut errors = Errors::new();
            claim_update(&Node::root(new), old, &mut errors);
            sentences(&errors)
        };
        assert_eq!(update(&ask("2Gi"), &ask("1Gi")), [""; 0]);
        assert_eq!(
            update(&ask("1Gi"), &ask("2Gi")),
            ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]
        );
    }

    #[test]
    fn a_volume_is_one_thing() {
        let mut errors = Errors::new();
        let object = json!({"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {}, "nfs": {}}});
        volume(&Node::root(&object), &mut errors);
        assert_eq!(sentences(&errors), ["spec.nfs: Forbidden: may not specify more than 1 volume type"]);
    }
}
