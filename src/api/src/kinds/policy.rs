//! policy: disruption budgets. Eviction is a subresource of pods.

use super::apps::rollout::{amount, at_most_all};
use super::apps::rules::non_negative;
use super::conditions;
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
        validate_status: |new, _, errors| status(&new.at("status"), errors),
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
        at_most_all(&number, errors);
    }
    selector_rules::validate(&spec.at("selector"), errors);
    spec.at("unhealthyPodEvictionPolicy").may_be_among(&["AlwaysAllow", "IfHealthyBudget"], errors);
}

fn status(status: &Node<'_, '_>, errors: &mut Errors) {
    conditions::validate(&status.at("conditions"), errors);
    for field in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
        non_negative(&status.at(field), errors);
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_a_budget_must_say() {
        let found = |spec: Value| {
            let mut errors = Errors::new();
            validate(&Node::root(&json!({"spec": spec})), &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(found(json!({"minAvailable": "50%", "selector": {}})), [""; 0]);
        for (spec, expected) in [
            (
                json!({"minAvailable": 1, "maxUnavailable": 1}),
                "spec: Invalid value: {\"maxUnavailable\":1,\"minAvailable\":1}: minAvailable and maxUnavailable cannot be both set",
            ),
            (
                json!({"minAvailable": -1}),
                "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                json!({"maxUnavailable": "101%"}),
                "spec.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
            ),
            (
                json!({"unhealthyPodEvictionPolicy": "X"}),
                "spec.unhealthyPodEvictionPolicy: Unsupported value: \"X\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
            ),
        ] {
            assert_eq!(found(spec), [expected]);
        }
    }
}
