//! Classes of storage and of volume attributes.

use serde_json::Value;

use super::super::Strategy;
use crate::field::{Errors, Node};
use crate::metadata::validate_label_key;
use crate::table::{AGE, Column, NAME, Table, age, name};
use crate::value::{at, default_to, flag, text};

pub(super) const STORAGE: Strategy =
    Strategy { defaults, validate: storage, validate_update: storage_update, ..Strategy::PLAIN };

pub(super) const ATTRIBUTES: Strategy = Strategy {
    validate: attributes,
    validate_update: |new, old, errors| frozen(new, old, &["driverName", "parameters"], errors),
    unconditional_update: false,
    ..Strategy::PLAIN
};

fn defaults(class: &mut Value) {
    default_to(class, "reclaimPolicy", "Delete");
    default_to(class, "volumeBindingMode", "Immediate");
}

fn storage(class: &Node<'_, '_>, errors: &mut Errors) {
    provisioner(&class.at("provisioner"), errors);
    let (policy, mode) = (class.at("reclaimPolicy"), class.at("volumeBindingMode"));
    if policy.is_set() && !matches!(policy.text(), "Delete" | "Retain") {
        errors.push(policy.unsupported(&["Delete", "Retain"]));
    }
    match mode.text() {
        "" => errors.push(mode.required("")),
        "Immediate" | "WaitForFirstConsumer" => {}
        _ => errors.push(mode.unsupported(&["Immediate", "WaitForFirstConsumer"])),
    }
}

fn provisioner(provisioner: &Node<'_, '_>, errors: &mut Errors) {
    match provisioner.text() {
        "" => errors.push(provisioner.required("")),
        text => validate_label_key(provisioner, &text.to_lowercase(), errors),
    }
}

fn storage_update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    frozen(new, old, &["parameters", "provisioner", "reclaimPolicy"], errors);
    super::super::apps::rules::immutable(&new.at("volumeBindingMode"), at(old, "volumeBindingMode"), errors);
}

fn attributes(class: &Node<'_, '_>, errors: &mut Errors) {
    provisioner(&class.at("driverName"), errors);
    if class.at("parameters").is_zero() {
        errors.push(class.at("parameters").required("must contain at least one key/value pair"));
    }
}

fn frozen(new: &Node<'_, '_>, old: &Value, fields: &[&str], errors: &mut Errors) {
    for field in fields {
        let node = new.at(field);
        if node.value != at(old, field) {
            errors.push(node.forbidden(format!("updates to {field} are forbidden.")));
        }
    }
}

pub(super) static STORAGE_TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("Provisioner"),
        Column::text("ReclaimPolicy"),
        Column::text("VolumeBindingMode"),
        Column::flag("AllowVolumeExpansion"),
        AGE,
    ],
    cells: |class, now| {
        vec![
            marked(class, "storageclass").into(),
            text(class, "provisioner").into(),
            text(class, "reclaimPolicy").into(),
            text(class, "volumeBindingMode").into(),
            flag(class, "allowVolumeExpansion").into(),
            age(class, now),
        ]
    },
};

/// The name, with a mark on the class that is used by default.
fn marked(class: &Value, kind: &str) -> String {
    let annotations = at(class, "metadata.annotations");
    let is_default = [
        format!("{kind}.kubernetes.io/is-default-class"),
        format!("{kind}.beta.kubernetes.io/is-default-class"),
    ]
    .iter()
    .any(|key| annotations.get(key).is_some_and(|value| value == "true"));
    let name = text(class, "metadata.name");
    if is_default { format!("{name} (default)") } else { name.to_owned() }
}

pub(super) static ATTRIBUTES_TABLE: Table = Table {
    columns: &[NAME, Column::text("DriverName"), AGE],
    cells: |class, now| vec![name(class), text(class, "driverName").into(), age(class, now)],
};
