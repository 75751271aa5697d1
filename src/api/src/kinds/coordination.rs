//! coordination.k8s.io: leases, renewed every few seconds and therefore soft.

use super::apps::rules::non_negative;
use super::entry::{GroupVersion, names};
use super::{Kind, Strategy};
use crate::field::{Errors, Node};
use crate::names;
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
    let (strategy, preferred) = (spec.at("strategy"), spec.at("preferredHolder"));
    if strategy.is_set() {
        // Upstream says the name twice.
        let named = strategy.named(strategy.path.field("strategy"));
        match strategy.text().contains('/') {
            true => named.check(names::qualified_name, errors),
            false => named.may_be_among(&["OldestEmulationVersion"], errors),
        }
    }
    if !preferred.text().is_empty() && strategy.text().is_empty() {
        errors.push(preferred.forbidden("may only be specified if `strategy` is defined"));
    }
}

static TABLE: Table = Table {
    columns: &[NAME, Column::text("Holder"), AGE],
    cells: |lease, now| vec![name(lease), text(lease, "spec.holderIdentity").into(), age(lease, now)],
};

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_a_lease_must_say() {
        let found = |spec: Value| {
            let mut errors = Errors::new();
            lease(&Node::root(&json!({"spec": spec})), &mut errors);
            errors.iter().map(ToString::to_string).collect::<String>()
        };
        for (spec, expected) in [
            (json!({"strategy": "a.b/c", "preferredHolder": "x"}), ""),
            (
                json!({"leaseDurationSeconds": 0}),
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
            ),
            (
                json!({"leaseTransitions": -1}),
                "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                json!({"strategy": "X"}),
                "spec.strategy.strategy: Unsupported value: \"X\": supported values: \"OldestEmulationVersion\"",
            ),
            (
                json!({"preferredHolder": "x"}),
                "spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined",
            ),
        ] {
            assert_eq!(found(spec), expected);
        }
    }
}
