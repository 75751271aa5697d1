//! Network policies.

use serde_json::{Value, json};

use super::super::core::pod::port_or_name;
use super::super::{Generation, Strategy};
use crate::field::{Errors, Node};
use crate::names;
use crate::selector_rules;
use crate::table::{AGE, Column, NAME, Table, age, name, selector_or_none};
use crate::value::{at, default_zero_to, items_mut, list};

pub(super) const STRATEGY: Strategy =
    Strategy { defaults, validate, warnings, generation: Generation::Spec, ..Strategy::PLAIN };

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
        return errors.push(types.invalid("may not specify more than two policyTypes"));
    }
    for kind in types.items() {
        kind.may_be_among(&["Ingress", "Egress"], errors);
    }
}

fn port_rule(port: &Node<'_, '_>, errors: &mut Errors) {
    let (number, end) = (port.at("port"), port.at("endPort"));
    port.at("protocol").may_be_among(&["TCP", "UDP", "SCTP"], errors);
    match (number.is_set(), number.int(), end.int()) {
        (false, _, None) => {}
        (false, _, Some(_)) => errors.push(end.invalid("may not be specified when `port` is not specified")),
        (true, Some(first), Some(last)) => {
            port_or_name(&number, errors);
            if last < first {
                errors.push(end.invalid("must be greater than or equal to `port`"));
            }
            errors.extend(names::port_number(last).into_iter().map(|problem| end.invalid(problem)));
        }
        (true, None, Some(_)) => {
            errors.push(end.invalid("may not be specified when `port` is non-numeric"));
            port_or_name(&number, errors);
        }
        (true, _, None) => port_or_name(&number, errors),
    }
}

fn peer(peer: &Node<'_, '_>, errors: &mut Errors) {
    let (pods, namespaces, block) =
        (peer.at("podSelector"), peer.at("namespaceSelector"), peer.at("ipBlock"));
    for selector in [&pods, &namespaces] {
        selector_rules::validate(selector, errors);
    }
    if block.is_set() {
        ip_block(&block, errors);
    }
    match (pods.is_set() || namespaces.is_set(), block.is_set()) {
        (false, false) => errors.push(peer.required("must specify a peer")),
        (true, true) => errors.push(peer.forbidden("may not specify both ipBlock and another peer")),
        _ => {}
    }
}

fn ip_block(block: &Node<'_, '_>, errors: &mut Errors) {
    let range = block.at("cidr");
    range.must_be(names::cidr, errors);
    let Some(outer) = names::network(range.text()) else { return };
    for except in block.at("except").items() {
        except.check(names::cidr, errors);
        if names::network(except.text()).is_some_and(|inner| !names::is_strictly_within(inner, outer)) {
            errors.push(except.invalid("must be a strict subset of `cidr`"));
        }
    }
}

/// Ranges in an unusual spelling.
fn warnings(policy: &Value, _: Option<&Value>) -> Vec<String> {
    let root = Node::root(policy);
    let spec = root.at("spec");
    let mut warnings = Vec::new();
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in spec.at(direction).items() {
            for peer in rule.at(peers).items() {
                let block = peer.at("ipBlock");
                unusual(&block.at("cidr"), &mut warnings);
                block.at("except").items().for_each(|except| unusual(&except, &mut warnings));
            }
        }
    }
    warnings
}

fn unusual(range: &Node<'_, '_>, warnings: &mut Vec<String>) {
    warnings.extend(names::cidr_warning(range.text()).map(|sentence| format!("{}: {sentence}", range.path)));
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
    fn what_is_wrong_with_a_policy() {
        let cidr = "spec.egress[0].to[0].ipBlock.cidr";
        let except = "spec.egress[0].to[0].ipBlock.except[0]: Invalid value";
        for (rule, errors) in [
            (json!({"to": [{}]}), vec!["spec.egress[0].to[0]: Required value: must specify a peer".to_owned()]),
            (
                json!({"to": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]}),
                vec![format!("{cidr}: Invalid value: \"10.0.0.1/8\": must not have bits set beyond the prefix length")],
            ),
            (json!({"to": [{"ipBlock": {}}]}), vec![format!("{cidr}: Required value")]),
            (
                json!({"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}}]}),
                vec![format!("{except}: \"10.0.0.0/8\": must be a strict subset of `cidr`")],
            ),
            (
                json!({"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["x"]}}]}),
                vec![format!("{except}: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")],
            ),
            (
                json!({"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}),
                vec!["spec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer".to_owned()],
            ),
            (
                json!({"ports": [{"protocol": "X"}]}),
                vec!["spec.egress[0].ports[0].protocol: Unsupported value: \"X\": supported values: \"TCP\", \"UDP\", \"SCTP\"".to_owned()],
            ),
            (
                json!({"ports": [{"endPort": 1}]}),
                vec!["spec.egress[0].ports[0].endPort: Invalid value: 1: may not be specified when `port` is not specified".to_owned()],
            ),
            (
                json!({"ports": [{"port": "http", "endPort": 1}]}),
                vec!["spec.egress[0].ports[0].endPort: Invalid value: 1: may not be specified when `port` is non-numeric".to_owned()],
            ),
            (
                json!({"ports": [{"port": 80, "endPort": 79}]}),
                vec!["spec.egress[0].ports[0].endPort: Invalid value: 79: must be greater than or equal to `port`".to_owned()],
            ),
            (
                json!({"ports": [{"port": 0}]}),
                vec!["spec.egress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive".to_owned()],
            ),
        ] {
            let mut found = Errors::new();
            validate(&Node::root(&json!({"spec": {"egress": [rule]}})), &mut found);
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), errors, "{rule}");
        }
        let policy = json!({"spec": {"ingress": [{"from": [{"ipBlock": {"cidr": "FD00::/64"}}]}]}});
        assert_eq!(
            warnings(&policy, None),
            [
                "spec.ingress[0].from[0].ipBlock.cidr: IPv6 CIDR value \"FD00::/64\" should be in RFC 5952 canonical format (\"fd00::/64\")"
            ]
        );
    }
}
