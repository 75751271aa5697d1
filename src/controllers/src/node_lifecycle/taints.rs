//! The taints that say in what state a node is. Those that people and other programs set are left alone.

use api::taint::{NO_EXECUTE, NO_SCHEDULE};
use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Conditions of a node, and the taint each means in which status.
const OF_CONDITIONS: [(&str, &str, &str); 6] = [
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
];

/// The taints a node should have, or none if it has them. `given_up` sends its pods away.
pub(super) fn changed(node: &Node, given_up: bool, now: Timestamp) -> Option<Vec<Taint>> {
    let current = of(node);
    let wanted = wanted(node, given_up);
    let is_wanted =
        |taint: &Taint| wanted.iter().any(|(key, effect)| taint.key == *key && taint.effect == *effect);
    let mut taints: Vec<Taint> =
        current.iter().filter(|taint| !is_ours(taint) || is_wanted(taint)).cloned().collect();
    for (key, effect) in &wanted {
        if !taints.iter().any(|taint| taint.key == *key && taint.effect == *effect) {
            let (key, effect) = ((*key).to_string(), (*effect).to_string());
            taints.push(Taint { key, effect, value: None, time_added: Some(Time(now)) });
        }
    }
    (taints != current).then_some(taints)
}

/// Whether a node's pods are being sent away because it is down.
pub(super) fn is_given_up(node: &Node) -> bool {
    of(node).iter().any(|taint| taint.effect == NO_EXECUTE && is_ours(taint))
}

pub(super) fn of(node: &Node) -> &[Taint] {
    node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
}

fn is_ours(taint: &Taint) -> bool {
    match taint.effect.as_str() {
        NO_SCHEDULE => {
            taint.key == UNSCHEDULABLE || OF_CONDITIONS.iter().any(|(_, _, key)| taint.key == *key)
        }
        NO_EXECUTE => taint.key == NOT_READY || taint.key == UNREACHABLE,
        _ => false,
    }
}

fn wanted(node: &Node, given_up: bool) -> Vec<(&'static str, &'static str)> {
    let mut wanted = Vec::new();
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    for (condition, status, key) in OF_CONDITIONS {
        if conditions.iter().any(|one| one.type_ == condition && one.status == status) {
            wanted.push((key, NO_SCHEDULE));
            if condition == "Ready" && given_up {
                wanted.push((key, NO_EXECUTE));
            }
        }
    }
    // A node that has said nothing yet comes with this taint, and keeps it unless somebody takes it away.
    let silent = !conditions.iter().any(|one| one.type_ == "Ready");
    if silent && of(node).iter().any(|taint| taint.key == NOT_READY && taint.effect == NO_SCHEDULE) {
        wanted.push((NOT_READY, NO_SCHEDULE));
    }
    if node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or_default() {
        wanted.push((UNSCHEDULABLE, NO_SCHEDULE));
    }
    wanted
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(conditions: &[(&str, &str)], spec: &Value) -> Node {
        let conditions: Vec<Value> =
            conditions.iter().map(|(kind, status)| json!({"type": kind, "status": status})).collect();
        serde_json::from_value(json!({"metadata": {}, "spec": spec, "status": {"conditions": conditions}}))
            .unwrap()
    }

    fn after(node: &Node, given_up: bool) -> Option<Vec<String>> {
        let taints = changed(node, given_up, Timestamp::UNIX_EPOCH)?;
        Some(taints.iter().map(|taint| format!("{}:{}", taint.key, taint.effect)).collect())
    }

    fn taint(key: &str, effect: &str) -> Value {
        json!({"key": key, "effect": effect})
    }

    #[test]
    fn a_node_that_becomes_ready_loses_what_it_came_with() {
        let fresh = taint(NOT_READY, NO_SCHEDULE);
        let foreign = taint("example.com/gpu", NO_EXECUTE);
        let ready = node(&[("Ready", "True")], &json!({"taints": [fresh, foreign]}));
        assert_eq!(after(&ready, false), Some(vec!["example.com/gpu:NoExecute".into()]));
        let silent = node(&[], &json!({"taints": [taint(NOT_READY, NO_SCHEDULE)]}));
        assert_eq!(after(&silent, false), None);
        assert_eq!(after(&node(&[], &json!({})), false), None);
    }

    #[test]
    fn conditions_are_taints() {
        let troubled = node(
            &[("Ready", "True"), ("DiskPressure", "True"), ("MemoryPressure", "False")],
            &json!({"unschedulable": true}),
        );
        assert_eq!(
            after(&troubled, false),
            Some(vec![
                "node.kubernetes.io/disk-pressure:NoSchedule".into(),
                "node.kubernetes.io/unschedulable:NoSchedule".into()
            ])
        );
    }

    #[test]
    fn a_node_that_is_down_sends_its_pods_away_only_when_given_up() {
        let lost = node(&[("Ready", "Unknown")], &json!({}));
        assert_eq!(after(&lost, false), Some(vec![format!("{UNREACHABLE}:NoSchedule")]));
        assert_eq!(
            after(&lost, true),
            Some(vec![format!("{UNREACHABLE}:NoSchedule"), format!("{UNREACHABLE}:NoExecute")])
        );
        let was_lost = json!({"taints": [taint(UNREACHABLE, NO_SCHEDULE), taint(UNREACHABLE, NO_EXECUTE)]});
        let sick = node(&[("Ready", "False")], &was_lost);
        assert_eq!(
            after(&sick, true),
            Some(vec![format!("{NOT_READY}:NoSchedule"), format!("{NOT_READY}:NoExecute")])
        );
        assert_eq!(after(&node(&[("Ready", "True")], &was_lost), false), Some(vec![]));
        assert!(is_given_up(&node(&[], &was_lost)) && !is_given_up(&lost));
    }
}
