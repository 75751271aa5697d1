//! node.k8s.io: container runtimes a pod may ask for.

use super::apps::rules::immutable;
use super::core::pod::resource_list;
use super::entry::{GroupVersion, names};
use super::{Kind, Strategy};
use crate::field::{Errors, Node};
use crate::metadata::validate_labels;
use crate::names;
use crate::table::{AGE, Column, NAME, Table, age, name};
use crate::value::{at, text};

const V1: GroupVersion = GroupVersion::new("node.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    strategy: Strategy {
        validate,
        validate_update: |new, old, errors| immutable(&new.at("handler"), at(old, "handler"), errors),
        unconditional_update: false,
        ..Strategy::PLAIN
    },
    table: &TABLE,
    ..V1.cluster(names!("io.k8s.api.node.v1", RuntimeClass, "runtimeclasses"))
}];

fn validate(class: &Node<'_, '_>, errors: &mut Errors) {
    let handler = class.at("handler");
    errors.extend(
        names::dns_label(handler.text())
            .into_iter()
            .map(|problem| handler.invalid_as(handler.text(), problem)),
    );
    resource_list(&class.at("overhead.podFixed"), errors);
    validate_labels(&class.at("scheduling.nodeSelector"), errors);
}

static TABLE: Table = Table {
    columns: &[NAME, Column::text("Handler"), AGE],
    cells: |class, now| vec![name(class), text(class, "handler").into(), age(class, now)],
};
