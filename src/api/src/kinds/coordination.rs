//! coordination.k8s.io: leases, renewed every few seconds and therefore soft.

use super::apps::rules::non_negative;
use super::entry::{GroupVersion, names};
use super::{Kind, Strategy};
use crate::field::{Errors, Node};
use crate::table::{AGE, Column, NAME, Table, age, name};
use crate::value::text;

const V1: GroupVersion = GroupVersion::new("coordination.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    soft: true,
    strategy: Strategy {
        validate: lease,
        unconditional_update: false,
        create_on_update: true,
        ..Strategy::PLAIN
    },
    table: &TABLE,
    ..V1.namespaced(names!("io.k8s.api.coordination.v1", Lease, "leases"))
}];

fn lease(lease: &Node<'_, '_>, errors: &mut Errors) {
    let spec = lease.at("spec");
    let duration = spec.at("leaseDurationSeconds");
    if duration.int().is_some_and(|seconds| seconds <= 0) {
        errors.push(duration.invalid("must be greater than 0"));
    }
    non_negative(&spec.at("leaseTransitions"), errors);
}

static TABLE: Table = Table {
    columns: &[NAME, Column::text("Holder"), AGE],
    cells: |lease, now| vec![name(lease), text(lease, "spec.holderIdentity").into(), age(lease, now)],
};
