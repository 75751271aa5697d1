//! What drivers have attached, and what room they have.

use serde_json::Value;

use super::super::Strategy;
use super::super::apps::rules::immutable;
use super::super::core::{old_labels, volume};
use super::driver::driver_name;
use crate::field::{Errors, Node};
use crate::metadata::keep_described;
use crate::names;
use crate::selector_rules;
use crate::table::{AGE, Column, NAME, Table, age, name, plain};
use crate::value::{at, flag, members, text};

pub(super) const CAPACITY: Strategy = Strategy {
    validate: capacity,
    validate_update: |new, old, errors| {
        for field in ["nodeTopology", "storageClassName"] {
            immutable(&new.at(field), at(old, field), errors);
        }
    },
    unconditional_update: false,
    warnings,
    ..Strategy::PLAIN
};

pub(super) const ATTACHMENT: Strategy = Strategy {
    validate: attachment,
    validate_update: |new, old, errors| immutable(&new.at("spec"), at(old, "spec"), errors),
    prepare_status: keep_described,
    validate_status: |new, _, errors| status(&new.at("status"), errors),
    unconditional_update: false,
    ..Strategy::PLAIN
};

fn capacity(capacity: &Node<'_, '_>, errors: &mut Errors) {
    selector_rules::validate(&capacity.at("nodeTopology"), errors);
    capacity.at("storageClassName").check(names::subdomain, errors);
    let room = capacity.at("capacity");
    if room.text().starts_with('-') {
        errors.push(room.invalid(names::NON_NEGATIVE));
    }
}

/// Nodes chosen by labels that have another name now.
fn warnings(capacity: &Value, _: Option<&Value>) -> Vec<String> {
    let topology = at(capacity, "nodeTopology");
    let expressions = crate::value::list(topology, "matchExpressions").iter().enumerate();
    let by_expression = expressions.filter_map(|(index, expression)| {
        let key = text(expression, "key");
        let sentence = old_labels::sentence(key)?;
        Some(format!("nodeTopology.matchExpressions[{index}]: {key} is {sentence}"))
    });
    let by_label = members(topology, "matchLabels").filter_map(|(label, _)| {
        Some(format!("nodeTopology.matchLabels.{label}: {}", old_labels::sentence(label)?))
    });
    by_expression.chain(by_label).collect()
}

fn attachment(attachment: &Node<'_, '_>, errors: &mut Errors) {
    let spec = attachment.at("spec");
    let attacher = spec.at("attacher");
    attacher.require(errors);
    source(&spec.at("source"), errors);
    spec.at("nodeName").check(names::subdomain, errors);
    status(&attachment.at("status"), errors);
    driver_name(&attacher, errors);
    let volume = spec.at("source.persistentVolumeName");
    if volume.is_set() {
        volume.check(names::subdomain, errors);
    }
}

fn source(source: &Node<'_, '_>, errors: &mut Errors) {
    const ONE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    let (inline, named) = (source.at("inlineVolumeSpec"), source.at("persistentVolumeName"));
    match (inline.is_set(), named.is_set()) {
        (false, false) => errors.push(source.required(ONE)),
        (true, true) => errors.push(source.forbidden(ONE)),
        (false, true) if named.text().is_empty() => {
            errors.push(named.required("must specify non empty persistentVolumeName"));
        }
        (false, true) => {}
        (true, false) => volume::inline(&inline, errors),
    }
}

const METADATA_MAX: usize = 256 * 1024;
const MESSAGE_MAX: usize = 1024;

fn status(status: &Node<'_, '_>, errors: &mut Errors) {
    let metadata = status.at("attachmentMetadata");
    let size: usize = metadata.entries().map(|(key, value)| key.len() + value.text().len()).sum();
    if size > METADATA_MAX {
        errors.push(metadata.too_long(METADATA_MAX));
    }
    for error in ["attachError", "detachError"] {
        let error = status.at(error);
        if error.at("message").text().len() > MESSAGE_MAX {
            // The number is upstream's.
            errors.push(error.at("message").too_long(METADATA_MAX));
        }
        let code = error.at("errorCode");
        if code.int().is_some_and(|code| code < 0) {
            errors.push(code.invalid(names::range(0, i64::from(i32::MAX))));
        }
    }
}

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_attachment_must_say() {
        let one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
        let of = |source: Value| json!({"spec": {"attacher": "a.b", "nodeName": "n", "source": source}});
        for (object, expected) in [
            (of(json!({"persistentVolumeName": "v"})), vec![]),
            (of(json!({})), vec![format!("spec.source: Required value: {one}")]),
            (
                of(json!({"persistentVolumeName": "v", "inlineVolumeSpec": {}})),
                vec![format!("spec.source: Forbidden: {one}")],
            ),
            (
                of(json!({"inlineVolumeSpec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1"},
                    "csi": {"driver": "a.b", "volumeHandle": "h"}}})),
                vec!["spec.source.inlineVolumeSpec.capacity: Forbidden: may not be specified in the context of inline volumes".to_owned()],
            ),
        ] {
            let mut errors = Errors::new();
            attachment(&Node::root(&object), &mut errors);
            assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{object}");
        }
    }
}
