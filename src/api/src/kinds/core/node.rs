//! Nodes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::Strategy;
use super::pod::{EFFECTS, amount, round_up};
use crate::field::{Errors, Node};
use crate::metadata::validate_label_key;
use crate::names;
use crate::table::{AGE, Column, NAME, Table, age, name, or, or_none};
use crate::value::{at, flag, is_zero, list, members, replace, text};

pub(super) const STRATEGY: Strategy = Strategy {
    defaults,
    status_on_create: true,
    validate,
    validate_update: update,
    validate_status: status_update,
    is_sign_of_life,
    warnings,
    ..Strategy::PLAIN
};

/// All of a node is for pods until someone says otherwise; its first range has two names.
fn defaults(node: &mut Value) {
    let (first, all) = (at(node, "spec.podCIDR").clone(), list(node, "spec.podCIDRs").first().cloned());
    if let Some(spec) = node.get_mut("spec").filter(|spec| spec.is_object()) {
        match all {
            None if !is_zero(&first) => replace(spec, "podCIDRs", Some(json!([first]))),
            Some(range) if is_zero(&first) => replace(spec, "podCIDR", Some(range)),
            _ => {}
        }
    }
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

/// A kubelet says every five minutes that its node is as it was; that it lives is in its lease too.
fn is_sign_of_life(new: &Value, old: &Value) -> bool {
    let but_for_times = |node: &Value| {
        let mut node = node.clone();
        for field in ["managedFields", "resourceVersion"] {
            replace(&mut node["metadata"], field, None);
        }
        for condition in
            node.pointer_mut("/status/conditions").and_then(Value::as_array_mut).into_iter().flatten()
        {
            replace(condition, "lastHeartbeatTime", None);
        }
        node
    };
    but_for_times(new) == but_for_times(old)
}

fn validate(node: &Node<'_, '_>, errors: &mut Errors) {
    // Upstream's path.
    let list = node.at("spec.taints");
    taints(&list.named(node.path.field("metadata.taints")), errors);
    resources(node, errors);
    pod_ranges(node, errors);
}

fn resources(node: &Node<'_, '_>, errors: &mut Errors) {
    for list in ["status.capacity", "status.allocatable"].map(|list| node.at(list)) {
        for name in list.value.as_object().into_iter().flat_map(serde_json::Map::keys) {
            let quantity = list.key(name);
            amount(name, &quantity.named(list.path.field(name)), errors);
        }
    }
}

fn pod_ranges(node: &Node<'_, '_>, errors: &mut Errors) {
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
    if all.list().len() < 2 {
        return;
    }
    let sixth = all.items().filter(|range| range.text().contains(':')).count();
    if sixth != 1 || all.list().len() > 2 {
        errors.push(all.invalid("may specify no more than one CIDR for each IP family"));
    }
    let mut seen = BTreeSet::new();
    for range in all.items().filter(|range| !seen.insert(range.text())) {
        errors.push(range.duplicate());
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
            word if !EFFECTS.contains(&word) => errors.push(effect.unsupported(EFFECTS)),
            _ => {}
        }
        if !seen.insert((key.text(), effect.text())) {
            let mut error = taint.duplicate();
            error.detail = "taints must be unique by key and effect pair".into();
            errors.push(error);
        }
    }
}

/// Ranges and provider are given once; no address of a node stands there twice.
fn update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    addresses(new, errors);
    for (field, name) in [("spec.podCIDRs", "podCIDR"), ("spec.providerID", "providerID")] {
        let given = new.at(field);
        if !is_zero(at(old, field)) && given.value != at(old, field) {
            let detail = format!("node updates may not change {name} except from \"\" to valid");
            errors.push(given.forbidden(detail));
        }
    }
    let id = new.at("spec.externalID");
    if id.text() != text(old, "spec.externalID") {
        errors.push(id.forbidden("may not be updated"));
    }
}

fn addresses(node: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for address in node.at("status.addresses").items() {
        if !seen.insert((text(address.value, "type"), text(address.value, "address"))) {
            errors.push(address.duplicate());
        }
    }
}

fn status_update(new: &Node<'_, '_>, _: &Value, errors: &mut Errors) {
    resources(new, errors);
    addresses(new, errors);
}

fn warnings(node: &Value, _: Option<&Value>) -> Vec<String> {
    let old = [
        ("spec.configSource", "the feature is no longer supported"),
        ("spec.externalID", "this field is deprecated, and is unused by Kubernetes"),
    ];
    let set = |(field, _): &(&str, &str)| !is_zero(at(node, field));
    old.into_iter().filter(set).map(|(field, words)| format!("{field}: {words}")).collect()
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
    use super::*;

    #[test]
    fn who_only_lives_says_nothing_new() {
        let node = |version, heard, ready| {
            json!({
                "metadata": {"resourceVersion": version, "managedFields": [{"time": heard}]},
                "status": {"conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": heard}]},
            })
        };
        assert!(is_sign_of_life(
            &node("8", "2026-11-21T10:05:00Z", "True"),
            &node("7", "2026-11-21T10:00:00Z", "True")
        ));
        assert!(!is_sign_of_life(
            &node("8", "2026-11-21T10:05:00Z", "False"),
            &node("7", "2026-11-21T10:00:00Z", "True")
        ));
    }

    #[test]
    fn ranges_addresses_and_amounts() {
        let mut node = json!({"spec": {"podCIDR": "10.0.0.0/24"}, "status": {"capacity": {"cpu": "-1", "pods": "500m"}}});
        defaults(&mut node);
        assert_eq!(node["spec"]["podCIDRs"], json!(["10.0.0.0/24"]));
        let words = |errors: &Errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut errors = Errors::new();
        validate(&Node::root(&node), &mut errors);
        assert_eq!(
            words(&errors)[..2],
            [
                "status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0",
                "status.capacity.pods: Invalid value: \"500m\": must be an integer"
            ]
        );
        let moved = json!({"spec": {"podCIDRs": ["10.1.0.0/24", "10.2.0.0/24"], "externalID": "x"}, "status": {"addresses": [{"type": "Hostname", "address": "n"}, {"type": "Hostname", "address": "n"}]}});
        let mut errors = Errors::new();
        validate(&Node::root(&moved), &mut errors);
        update(&Node::root(&moved), &node, &mut errors);
        assert_eq!(
            words(&errors),
            [
                "spec.podCIDRs: Invalid value: [\"10.1.0.0/24\",\"10.2.0.0/24\"]: may specify no more than one CIDR for each IP family",
                "status.addresses[1]: Duplicate value: {\"address\":\"n\",\"type\":\"Hostname\"}",
                "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid",
                "spec.externalID: Forbidden: may not be updated",
            ]
        );
        assert_eq!(warnings(&moved, None).len(), 1);
    }

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
                "metadata.taints[1]: Duplicate value: {\"effect\":\"NoExecute\",\"key\":\"a\"}: taints must be unique by key and effect pair",
                "metadata.taints[2].effect: Required value",
            ]
        );
    }
}
