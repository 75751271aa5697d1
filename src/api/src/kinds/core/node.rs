//! Nodes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::Strategy;
use super::pod::{resource_list, round_up};
use crate::field::{Errors, Node};
use crate::metadata::validate_label_key;
use crate::names;
use crate::table::{AGE, Column, NAME, Table, age, name, or, or_none};
use crate::value::{at, flag, is_zero, list, members, replace, text};

pub(super) const STRATEGY: Strategy =
    Strategy { defaults, status_on_create: true, validate, validate_update: update, ..Strategy::PLAIN };

/// All of a node is for pods until someone says otherwise.
fn defaults(node: &mut Value) {
    let Some(status) = node.get_mut("status") else { return };
    if at(status, "allocatable").is_null() && !at(status, "capacity").is_null() {
        let capacity = at(status, "capacity").clone();
        replace(status, "allocatable", Some(capacity));
    }
    for list in ["capacity", "allocatable"] {
        if let Some(list) = status.get_mut(list) {
            round_up(list);
        }
    }
}

fn validate(node: &Node<'_, '_>, errors: &mut Errors) {
    taints(&node.at("spec.taints"), errors);
    let (first, all) = (node.at("spec.podCIDR"), node.at("spec.podCIDRs"));
    for range in all.items() {
        range.check(names::canonical_cidr, errors);
    }
    if let Some(range) = all.list().first()
        && !first.is_zero()
        && range != first.value
    {
        errors.push(all.first().invalid("must match podCIDR"));
    }
    for list in ["status.capacity", "status.allocatable"] {
        resource_list(&node.at(list), errors);
    }
}

fn taints(taints: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for taint in taints.items() {
        let (key, value, effect) = (taint.at("key"), taint.at("value"), taint.at("effect"));
        validate_label_key(&key, key.text(), errors);
        let problems = names::label_value(value.text());
        if !problems.is_empty() {
            errors.push(value.invalid(problems.join(";")));
        }
        match effect.text() {
            "" => errors.push(effect.required("")),
            "NoSchedule" | "PreferNoSchedule" | "NoExecute" => {}
            _ => errors.push(effect.unsupported(&["NoSchedule", "PreferNoSchedule", "NoExecute"])),
        }
        if !seen.insert((key.text(), effect.text())) {
            let mut error = taint.duplicate();
            error.detail = "taints must be unique by key and effect pair".into();
            errors.push(error);
        }
    }
}

/// Addresses and provider are given once.
fn update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    for field in ["spec.podCIDRs", "spec.providerID"] {
        let field_node = new.at(field);
        if !is_zero(at(old, field)) && field_node.value != at(old, field) {
            errors.push(field_node.forbidden("node updates may not change it once set"));
        }
    }
}

pub(super) static TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("Status"),
        Column::text("Roles"),
        AGE,
        Column::text("Version"),
        Column::text("Internal-IP").wide(),
        Column::text("External-IP").wide(),
        Column::text("OS-Image").wide(),
        Column::text("Kernel-Version").wide(),
        Column::text("Container-Runtime").wide(),
    ],
    cells: |node, now| {
        let info = |field: &str| text(at(node, "status.nodeInfo"), field);
        vec![
            name(node),
            status(node).into(),
            or_none(&roles(node)).into(),
            age(node, now),
            info("kubeletVersion").into(),
            address(node, "InternalIP").into(),
            address(node, "ExternalIP").into(),
            or(info("osImage"), "<unknown>").into(),
            or(info("kernelVersion"), "<unknown>").into(),
            or(info("containerRuntimeVersion"), "<unknown>").into(),
        ]
    },
};

fn status(node: &Value) -> String {
    let ready = list(node, "status.conditions").iter().find(|condition| text(condition, "type") == "Ready");
    let status = match ready.map(|condition| text(condition, "status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    match flag(node, "spec.unschedulable") {
        true => format!("{status},SchedulingDisabled"),
        false => status.to_owned(),
    }
}

fn roles(node: &Value) -> String {
    let role = |(label, value): (&String, &Value)| match label.strip_prefix("node-role.kubernetes.io/") {
        Some(role) if !role.is_empty() => Some(role.to_owned()),
        None if label == "kubernetes.io/role" => {
            value.as_str().filter(|role| !role.is_empty()).map(str::to_owned)
        }
        _ => None,
    };
    let roles: BTreeSet<String> = members(node, "metadata.labels").filter_map(role).collect();
    roles.into_iter().collect::<Vec<_>>().join(",")
}

fn address<'v>(node: &'v Value, kind: &str) -> &'v str {
    let found = list(node, "status.addresses").iter().find(|address| text(address, "type") == kind);
    or_none(found.map_or("", |address| text(address, "address")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn how_a_node_is_shown() {
        let node = json!({"metadata": {"name": "n", "labels": {"node-role.kubernetes.io/worker": "",
                "node-role.kubernetes.io/control-plane": "true"}}, "spec": {"unschedulable": true},
            "status": {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1"},
                "addresses": [{"type": "InternalIP", "address": "1.2.3.4"}]}});
        let cells = (TABLE.cells)(&node, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(cells[1..3], ["Ready,SchedulingDisabled", "control-plane,worker"]);
        assert_eq!(cells[5..8], ["1.2.3.4", "<none>", "<unknown>"]);
        assert_eq!(cells.len(), TABLE.columns.len());
    }

    #[test]
    fn taints_are_unique_and_effective() {
        let node = json!({"spec": {"taints": [{"key": "a", "effect": "NoExecute"}, {"key": "a", "effect": "NoExecute"}, {"key": "b"}]}});
        let mut errors = Errors::new();
        validate(&Node::root(&node), &mut errors);
        assert_eq!(
            errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "spec.taints[1]: Duplicate value: {\"effect\":\"NoExecute\",\"key\":\"a\"}: taints must be unique by key and effect pair",
                "spec.taints[2].effect: Required value",
            ]
        );
    }
}
