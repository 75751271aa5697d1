//! node.k8s.io: container runtimes a pod may ask for.

use super::apps::rules::immutable;
use super::core::pod::{container_resource, resource_list, tolerations};
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
        create_on_update: true,
        ..Strategy::PLAIN
    },
    table: &TABLE,
    ..V1.cluster(names!("io.k8s.api.node.v1", RuntimeClass, "runtimeclasses"))
}];

/// Told as limits, which is what they are to a pod.
fn overhead(class: &Node<'_, '_>, errors: &mut Errors) {
    let overhead = class.at("overhead");
    let fixed = overhead.at("podFixed");
    let limits = fixed.named(overhead.path.field("limits"));
    for (name, quantity) in limits.entries() {
        container_resource(name, &quantity, errors);
    }
    resource_list(&limits, errors);
}

fn validate(class: &Node<'_, '_>, errors: &mut Errors) {
    class.at("handler").check(names::dns_label, errors);
    overhead(class, errors);
    let scheduling = class.at("scheduling");
    validate_labels(&scheduling.at("nodeSelector"), errors);
    tolerations(&scheduling.at("tolerations"), errors);
}

static TABLE: Table = Table {
    columns: &[NAME, Column::text("Handler"), AGE],
    cells: |class, now| vec![name(class), text(class, "handler").into(), age(class, now)],
};
