//! CSI drivers, where they run, what they have attached and what room they have.

use serde_json::{Value, json};

use super::super::Strategy;
use super::super::apps::rules::immutable;
use crate::field::{Errors, Node};
use crate::table::{AGE, Column, NAME, Table, age, joined, name, or, plain};
use crate::value::{at, default_to, default_zero_to, flag, list, text};

pub(super) const DRIVER: Strategy = Strategy {
    defaults,
    validate_update: |new, old, errors| {
        for field in ["spec.attachRequired", "spec.volumeLifecycleModes"] {
            immutable(&new.at(field), at(old, field), errors);
        }
    },
    unconditional_update: false,
    ..Strategy::PLAIN
};

pub(super) const NODE: Strategy =
    Strategy { validate: node, unconditional_update: false, create_on_update: true, ..Strategy::PLAIN };

pub(super) const CAPACITY: Strategy = Strategy {
    validate_update: |new, old, errors| {
        for field in ["nodeTopology", "storageClassName"] {
            immutable(&new.at(field), at(old, field), errors);
        }
    },
    unconditional_update: false,
    ..Strategy::PLAIN
};

pub(super) const ATTACHMENT: Strategy = Strategy {
    validate: attachment,
    validate_update: |new, old, errors| immutable(&new.at("spec"), at(old, "spec"), errors),
    unconditional_update: false,
    ..Strategy::PLAIN
};

fn defaults(driver: &mut Value) {
    let Some(spec) = driver.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    default_to(spec, "attachRequired", true);
    for field in ["podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"] {
        default_to(spec, field, false);
    }
    default_to(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    default_zero_to(spec, "volumeLifecycleModes", json!(["Persistent"]));
}

fn node(node: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = Vec::new();
    for driver in node.at("spec.drivers").items() {
        let (name, id) = (driver.at("name"), driver.at("nodeID"));
        if seen.contains(&name.text()) {
            errors.push(name.duplicate());
        }
        seen.push(name.text());
        for field in [name, id] {
            if field.text().is_empty() {
                errors.push(field.required(""));
            }
        }
    }
}

fn attachment(attachment: &Node<'_, '_>, errors: &mut Errors) {
    for field in ["spec.attacher", "spec.nodeName"] {
        let field = attachment.at(field);
        if field.text().is_empty() {
            errors.push(field.required(""));
        }
    }
    let source = attachment.at("spec.source");
    let (inline, named) = (source.at("inlineVolumeSpec").is_set(), source.at("persistentVolumeName"));
    match (inline, named.is_set()) {
        (false, false) => errors
            .push(source.required("must specify exactly one of inlineVolumeSpec and persistentVolumeName")),
        (true, true) => errors
            .push(source.forbidden("must specify exactly one of inlineVolumeSpec and persistentVolumeName")),
        (false, true) if named.text().is_empty() => {
            errors.push(named.required("must specify non empty persistentVolumeName"));
        }
        _ => {}
    }
}

pub(super) static DRIVER_TABLE: Table = Table {
    columns: &[
        NAME,
        Column::flag("AttachRequired"),
        Column::flag("PodInfoOnMount"),
        Column::flag("StorageCapacity"),
        Column::text("TokenRequests"),
        Column::flag("RequiresRepublish"),
        Column::text("Modes"),
        AGE,
    ],
    cells: |driver, now| {
        let spec = at(driver, "spec");
        let tokens: Vec<&str> =
            list(spec, "tokenRequests").iter().map(|token| text(token, "audience")).collect();
        vec![
            name(driver),
            at(spec, "attachRequired").as_bool().unwrap_or(true).into(),
            flag(spec, "podInfoOnMount").into(),
            flag(spec, "storageCapacity").into(),
            or(&tokens.join(","), "<unset>").into(),
            flag(spec, "requiresRepublish").into(),
            or(&joined(list(spec, "volumeLifecycleModes")), "<none>").into(),
            age(driver, now),
        ]
    },
};

pub(super) static NODE_TABLE: Table = Table {
    columns: &[NAME, Column::int("Drivers"), AGE],
    cells: |node, now| vec![name(node), list(node, "spec.drivers").len().into(), age(node, now)],
};

pub(super) static CAPACITY_TABLE: Table = Table {
    columns: &[NAME, Column::text("StorageClassName"), Column::text("Capacity")],
    cells: |capacity, _| {
        vec![
            name(capacity),
            text(capacity, "storageClassName").into(),
            plain(at(capacity, "capacity"), "<unset>").into(),
        ]
    },
};

pub(super) static ATTACHMENT_TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("Attacher"),
        Column::text("PV"),
        Column::text("Node"),
        Column::flag("Attached"),
        AGE,
    ],
    cells: |attachment, now| {
        vec![
            name(attachment),
            text(attachment, "spec.attacher").into(),
            text(attachment, "spec.source.persistentVolumeName").into(),
            text(attachment, "spec.nodeName").into(),
            flag(attachment, "status.attached").into(),
            age(attachment, now),
        ]
    },
};
