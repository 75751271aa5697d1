//! scheduling.k8s.io: priorities of pods.

use serde_json::Value;

use super::apps::rules::immutable;
use super::entry::{GroupVersion, names};
use super::{Generation, Kind, Strategy};
use crate::field::{Errors, Node};
use crate::table::{AGE, Column, NAME, Table, age, name};
use crate::value::{at, default_to, flag, int, text};

const V1: GroupVersion = GroupVersion::new("scheduling.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    short_names: &["pc"],
    strategy: Strategy {
        defaults: |class| default_to(class, "preemptionPolicy", "PreemptLowerPriority"),
        validate,
        validate_update: update,
        generation: Generation::Once,
        ..Strategy::PLAIN
    },
    table: &TABLE,
    ..V1.cluster(names!("io.k8s.api.scheduling.v1", PriorityClass, "priorityclasses"))
}];

/// Priorities above this are the system's.
const USER_MAX: i64 = 1_000_000_000;
/// The classes that come with every cluster, and their values.
const SYSTEM: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

fn validate(class: &Node<'_, '_>, errors: &mut Errors) {
    let (name, value) = (class.at("metadata.name"), class.at("value"));
    if name.text().starts_with("system-") {
        errors.extend(unlike_the_systems(class).map(|why| {
            name.forbidden(format!(
                "priority class names with 'system-' prefix are reserved for system use only. error: {why}"
            ))
        }));
    } else if value.int().is_some_and(|value| value > USER_MAX) {
        errors
            .push(value.forbidden(format!("maximum allowed value of a user defined priority is {USER_MAX}")));
    }
    let policy = class.at("preemptionPolicy");
    if policy.is_set() {
        policy.must_be_among(&["PreemptLowerPriority", "Never"], errors);
    }
}

fn unlike_the_systems(class: &Node<'_, '_>) -> Option<String> {
    let name = text(class.value, "metadata.name");
    match SYSTEM.iter().find(|(known, _)| *known == name) {
        None => Some(format!("{name} is not a known system priority class")),
        Some((_, value)) if int(class.value, "value") != *value => {
            Some(format!("value of {name} PriorityClass must be {value}"))
        }
        Some(_) if flag(class.value, "globalDefault") => {
            Some(format!("globalDefault of {name} PriorityClass must be false"))
        }
        Some(_) => None,
    }
}

fn update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    if new.at("value").int().unwrap_or_default() != int(old, "value") {
        errors.push(new.at("value").forbidden("may not be changed in an update."));
    }
    immutable(&new.at("preemptionPolicy"), at(old, "preemptionPolicy"), errors);
}

static TABLE: Table = Table {
    columns: &[
        NAME,
        Column::int("Value"),
        Column::flag("Global-Default"),
        AGE,
        Column::text("PreemptionPolicy"),
    ],
    cells: |class, now| {
        vec![
            name(class),
            int(class, "value").into(),
            flag(class, "globalDefault").into(),
            age(class, now),
            text(class, "preemptionPolicy").into(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_class_must_say() {
        let found = |class: Value| {
            let mut errors = Errors::new();
            validate(&Node::root(&class), &mut errors);
            errors.iter().map(ToString::to_string).collect::<String>()
        };
        let reserved = "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: ";
        for (class, expected) in [
            (json!({"metadata": {"name": "a"}, "value": 1_000_000_000}), String::new()),
            (json!({"metadata": {"name": "system-node-critical"}, "value": 2_000_001_000_i64}), String::new()),
            (
                json!({"metadata": {"name": "a"}, "value": 1_000_000_001}),
                "value: Forbidden: maximum allowed value of a user defined priority is 1000000000".into(),
            ),
            (json!({"metadata": {"name": "system-a"}}), format!("{reserved}system-a is not a known system priority class")),
            (
                json!({"metadata": {"name": "system-cluster-critical"}, "value": 1}),
                format!("{reserved}value of system-cluster-critical PriorityClass must be 2000000000"),
            ),
            (
                json!({"metadata": {"name": "a"}, "preemptionPolicy": "X"}),
                "preemptionPolicy: Unsupported value: \"X\": supported values: \"PreemptLowerPriority\", \"Never\"".into(),
            ),
        ] {
            assert_eq!(found(class), expected);
        }
    }
}
