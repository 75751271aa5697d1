//! scheduling.k8s.io: priorities of pods.

use serde_json::Value;

use super::apps::rules::immutable;
use super::entry::{GroupVersion, names};
use super::{Kind, Strategy};
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
        ..Strategy::PLAIN
    },
    table: &TABLE,
    ..V1.cluster(names!("io.k8s.api.scheduling.v1", PriorityClass, "priorityclasses"))
}];

/// Priorities above this are the system's.
const USER_MAX: i64 = 1_000_000_000;
const SYSTEM: [&str; 2] = ["system-node-critical", "system-cluster-critical"];

fn validate(class: &Node<'_, '_>, errors: &mut Errors) {
    let (name, value) = (class.at("metadata.name"), class.at("value"));
    if name.text().starts_with("system-") {
        if !SYSTEM.contains(&name.text()) {
            errors.push(class.at("metadata.name").forbidden(
                "priority class names with 'system-' prefix are reserved for system use only. error: no such class",
            ));
        }
    } else if value.int().is_some_and(|value| value > USER_MAX) {
        errors
            .push(value.forbidden(format!("maximum allowed value of a user defined priority is {USER_MAX}")));
    }
    let policy = class.at("preemptionPolicy");
    if !matches!(policy.text(), "PreemptLowerPriority" | "Never") {
        errors.push(policy.unsupported(&["PreemptLowerPriority", "Never"]));
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
