//! Network policies.

use serde_json::{Value, json};

use super::super::core::pod::port_or_name;
use super::super::core::service::is_cidr;
use super::super::{Generation, Strategy};
use crate::field::{Errors, Node};
use crate::names;
use crate::selector_rules;
use crate::table::{AGE, Column, NAME, Table, age, name, selector_or_none};
use crate::value::{at, default_zero_to, items_mut, list};

pub(super) const STRATEGY: Strategy =
    Strategy { defaults, validate, generation: Generation::Spec, ..Strategy::PLAIN };

fn defaults(policy: &mut Value) {
    let Some(spec) = policy.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    for direction in ["ingress", "egress"] {
        for rule in items_mut(spec, direction) {
            items_mut(rule, "ports").for_each(|port| default_zero_to(port, "protocol", "TCP"));
        }
    }
    let types =
        if list(spec, "egress").is_empty() { json!(["Ingress"]) } else { json!(["Ingress", "Egress"]) };
    default_zero_to(spec, "policyTypes", types);
}

fn validate(policy: &Node<'_, '_>, errors: &mut Errors) {
    let spec = policy.at("spec");
    selector_rules::validate(&spec.at("podSelector"), errors);
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in spec.at(direction).items() {
            for port in rule.at("ports").items() {
                port_rule(&port, errors);
            }
            for other in rule.at(peers).items() {
                peer(&other, errors);
            }
        }
    }
    let types = spec.at("policyTypes");
    if types.list().len() > 2 {
        errors.push(types.invalid("may not specify more than two policyTypes"));
    }
    for kind in types.items().filter(|kind| !matches!(kind.text(), "Ingress" | "Egress")) {
        errors.push(Node { path: types.path, ..kind }.unsupported(&["Egress", "Ingress"]));
    }
}

fn port_rule(port: &Node<'_, '_>, errors: &mut Errors) {
    let (protocol, number, end) = (port.at("protocol"), port.at("port"), port.at("endPort"));
    if protocol.is_set() && !matches!(protocol.text(), "SCTP" | "TCP" | "UDP") {
        errors.push(protocol.unsupported(&["SCTP", "TCP", "UDP"]));
    }
    if number.is_set() {
        port_or_name(&number, errors);
    }
    let Some(last) = end.int() else { return };
    match number.int() {
        None if number.is_set() => {
            errors.push(end.invalid("may not be specified when `port` is non-numeric"));
        }
        None => errors.push(end.invalid("must be specified only if `port` is specified")),
        Some(first) if last < first => errors.push(end.invalid("must be greater than or equal to `port`")),
        Some(_) => errors.extend(names::port_number(last).into_iter().map(|problem| end.invalid(problem))),
    }
}

fn peer(peer: &Node<'_, '_>, errors: &mut Errors) {
    let (pods, namespaces, block) =
        (peer.at("podSelector"), peer.at("namespaceSelector"), peer.at("ipBlock"));
    for selector in [&pods, &namespaces] {
        selector_rules::validate(selector, errors);
    }
    let selects = pods.is_set() || namespaces.is_set();
    match (selects, block.is_set()) {
        (false, false) => errors.push(peer.required("must specify a peer")),
        (true, true) => errors.push(peer.forbidden("may not specify both ipBlock and another peer")),
        (false, true) => ip_block(&block, errors),
        (true, false) => {}
    }
}

fn ip_block(block: &Node<'_, '_>, errors: &mut Errors) {
    let sentence = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    let range = block.at("cidr");
    match range.text() {
        "" => return errors.push(range.required("")),
        text if !is_cidr(text) => return errors.push(range.invalid(sentence)),
        _ => {}
    }
    for except in block.at("except").items().filter(|except| !is_cidr(except.text())) {
        errors.push(except.invalid(sentence));
    }
}

pub(super) static TABLE: Table = Table {
    columns: &[NAME, Column::text("Pod-Selector"), AGE],
    cells: |policy, now| {
        vec![name(policy), selector_or_none(at(policy, "spec.podSelector")).into(), age(policy, now)]
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_follow_from_the_rules() {
        let mut policy = json!({"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}});
        defaults(&mut policy);
        assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress"]));
        assert_eq!(policy["spec"]["ingress"][0]["ports"][0]["protocol"], "TCP");
        let mut policy = json!({"spec": {"podSelector": {}, "egress": [{}]}});
        defaults(&mut policy);
        assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    }

    #[test]
    fn peers() {
        let policy = json!({"spec": {"egress": [{"to": [{}, {"ipBlock": {"cidr": "10.0.0.1"}},
            {"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}]}});
        let mut errors = Errors::new();
        validate(&Node::root(&policy), &mut errors);
        assert_eq!(
            errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "spec.egress[0].to[0]: Required value: must specify a peer",
                "spec.egress[0].to[1].ipBlock.cidr: Invalid value: \"10.0.0.1\": must be a valid CIDR value, (e.g. \
                 10.9.8.0/24 or 2001:db8::/64)",
                "spec.egress[0].to[2]: Forbidden: may not specify both ipBlock and another peer",
            ]
        );
    }
}
