//! policy: disruption budgets. Eviction is a subresource of pods.

use super::apps::rules::amount;
use super::entry::{GroupVersion, names};
use super::{Generation, Kind, Strategy};
use crate::field::{Errors, Node};
use crate::selector_rules;
use crate::table::{AGE, Column, NAME, Table, age, name, plain};
use crate::value::{at, int};

const V1: GroupVersion = GroupVersion::new("policy", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    short_names: &["pdb"],
    subresources: &[V1.status("PodDisruptionBudget")],
    strategy: Strategy {
        validate,
        generation: Generation::Spec,
        unconditional_update: false,
        ..Strategy::PLAIN
    },
    table: &TABLE,
    ..V1.namespaced(names!("io.k8s.api.policy.v1", PodDisruptionBudget, "poddisruptionbudgets"))
}];

fn validate(budget: &Node<'_, '_>, errors: &mut Errors) {
    let spec = budget.at("spec");
    let (least, most) = (spec.at("minAvailable"), spec.at("maxUnavailable"));
    if least.is_set() && most.is_set() {
        errors.push(spec.invalid("minAvailable and maxUnavailable cannot be both set"));
    }
    for number in [least, most] {
        amount(&number, errors);
    }
    selector_rules::validate(&spec.at("selector"), errors);
    let policy = spec.at("unhealthyPodEvictionPolicy");
    if policy.is_set() && !matches!(policy.text(), "AlwaysAllow" | "IfHealthyBudget") {
        errors.push(policy.unsupported(&["AlwaysAllow", "IfHealthyBudget"]));
    }
}

static TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("Min Available"),
        Column::text("Max Unavailable"),
        Column::int("Allowed Disruptions"),
        AGE,
    ],
    cells: |budget, now| {
        vec![
            name(budget),
            plain(at(budget, "spec.minAvailable"), "N/A").into(),
            plain(at(budget, "spec.maxUnavailable"), "N/A").into(),
            int(budget, "status.disruptionsAllowed").into(),
            age(budget, now),
        ]
    },
};
