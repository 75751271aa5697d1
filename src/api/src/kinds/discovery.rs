//! discovery.k8s.io: which addresses stand behind a Service.

use std::collections::BTreeSet;

use serde_json::Value;

use super::apps::rules::immutable;
use super::entry::{GroupVersion, names};
use super::{Generation, Kind, Strategy};
use crate::field::{Errors, Node};
use crate::metadata::{validate_label_key, validate_labels};
use crate::names;
use crate::table::{AGE, Column, NAME, Table, age, first_three, name};
use crate::value::{at, default_to, items_mut, list, text};

const V1: GroupVersion = GroupVersion::new("discovery.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    strategy: Strategy {
        defaults,
        validate,
        validate_update: |new, old, errors| immutable(&new.at("addressType"), at(old, "addressType"), errors),
        generation: Generation::SpecAndLabels,
        warnings,
        ..Strategy::PLAIN
    },
    table: &TABLE,
    ..V1.namespaced(names!("io.k8s.api.discovery.v1", EndpointSlice, "endpointslices"))
}];

const ENDPOINTS_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 20_000;
const TOPOLOGY_MAX: usize = 16;
const HINTS_MAX: usize = 8;

fn defaults(slice: &mut Value) {
    for port in items_mut(slice, "ports") {
        default_to(port, "name", "");
        default_to(port, "protocol", "TCP");
    }
}

fn validate(slice: &Node<'_, '_>, errors: &mut Errors) {
    let (kind, endpoints) = (slice.at("addressType"), slice.at("endpoints"));
    kind.must_be_among(&["FQDN", "IPv4", "IPv6"], errors);
    match endpoints.list().len() {
        count if count > ENDPOINTS_MAX => errors.push(endpoints.too_many(count, ENDPOINTS_MAX)),
        _ => endpoints.items().for_each(|one| endpoint(&one, kind.text(), errors)),
    }
    ports(&slice.at("ports"), errors);
}

fn endpoint(endpoint: &Node<'_, '_>, kind: &str, errors: &mut Errors) {
    addresses(&endpoint.at("addresses"), kind, errors);
    let (node, topology, host) =
        (endpoint.at("nodeName"), endpoint.at("deprecatedTopology"), endpoint.at("hostname"));
    if node.is_set() {
        node.check(names::subdomain, errors);
    }
    let labels = topology.entries().count();
    if labels > TOPOLOGY_MAX {
        errors.push(topology.too_many(labels, TOPOLOGY_MAX));
    }
    validate_labels(&topology, errors);
    if host.is_set() {
        host.check(names::dns_label, errors);
    }
    hints(&endpoint.at("hints"), errors);
}

fn addresses(addresses: &Node<'_, '_>, kind: &str, errors: &mut Errors) {
    match addresses.list().len() {
        0 => errors.push(addresses.required("must contain at least 1 address")),
        count if count > ADDRESSES_MAX => errors.push(addresses.too_many(count, ADDRESSES_MAX)),
        _ => {}
    }
    for address in addresses.items() {
        match kind {
            "IPv4" | "IPv6" => ip(&address, kind, errors),
            "FQDN" => full_name(&address, errors),
            _ => {}
        }
    }
}

fn ip(address: &Node<'_, '_>, kind: &str, errors: &mut Errors) {
    let problems = names::ip(address.text());
    let family = address.text().parse().map(|ip: std::net::IpAddr| ip.is_ipv4());
    if problems.is_empty() && family != Ok(kind == "IPv4") {
        errors.push(address.invalid(format!("must be an {kind} address")));
    }
    if problems.is_empty() {
        address.check(names::special, errors);
    }
    address.complain(problems, errors);
}

/// A name of at least two labels; a trailing dot makes it absolute.
fn full_name(name: &Node<'_, '_>, errors: &mut Errors) {
    if !name.must_be_set(errors) {
        return;
    }
    let text = name.text().strip_suffix('.').unwrap_or(name.text());
    let problems = names::subdomain(text);
    if !problems.is_empty() {
        return errors.push(name.invalid_as(text, problems.join(",")));
    }
    if !text.contains('.') {
        return errors
            .push(name.invalid_as(text, "should be a domain with at least two segments separated by dots"));
    }
    let long = text
        .split('.')
        .map(|label| (label, names::dns_label(label)))
        .find(|(_, problems)| !problems.is_empty());
    if let Some((label, problems)) = long {
        errors.push(name.invalid_as(label, problems.join(",")));
    }
}

fn hints(hints: &Node<'_, '_>, errors: &mut Errors) {
    for (field, check) in
        [("forZones", names::label_value as fn(&str) -> names::Problems), ("forNodes", names::subdomain)]
    {
        let listed = hints.at(field);
        if listed.list().len() > HINTS_MAX {
            errors.push(listed.too_many(listed.list().len(), HINTS_MAX));
            continue;
        }
        let mut seen = BTreeSet::new();
        for hint in listed.items() {
            let name = hint.at("name");
            if !seen.insert(text(hint.value, "name")) {
                errors.push(name.duplicate());
            }
            name.check(check, errors);
        }
    }
}

fn ports(ports: &Node<'_, '_>, errors: &mut Errors) {
    if ports.list().len() > PORTS_MAX {
        return errors.push(ports.too_many(ports.list().len(), PORTS_MAX));
    }
    let mut seen = BTreeSet::new();
    for port in ports.items() {
        let (name, application) = (port.at("name"), port.at("appProtocol"));
        name.check_given(names::dns_label, errors);
        if !seen.insert(text(port.value, "name")) {
            errors.push(name.duplicate());
        }
        port.at("protocol").must_be_among(&["SCTP", "TCP", "UDP"], errors);
        if application.is_set() {
            validate_label_key(&application, application.text(), errors);
        }
    }
}

/// Old names for what has a field now, and addresses in an unusual spelling.
fn warnings(slice: &Value, _: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    if text(slice, "addressType") == "FQDN" {
        warnings.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
    }
    for (endpoint_index, endpoint) in list(slice, "endpoints").iter().enumerate() {
        for (index, address) in list(endpoint, "addresses").iter().enumerate() {
            let sentence = address.as_str().and_then(names::ip_warning);
            warnings.extend(
                sentence
                    .map(|sentence| format!("endpoints[{endpoint_index}].addresses[{index}]: {sentence}")),
            );
        }
    }
    warnings
}

static TABLE: Table = Table {
    columns: &[NAME, Column::text("AddressType"), Column::text("Ports"), Column::text("Endpoints"), AGE],
    cells: |slice, now| {
        let ports: Vec<String> = list(slice, "ports").iter().map(port_cell).collect();
        let addresses: Vec<String> = list(slice, "endpoints")
            .iter()
            .flat_map(|endpoint| list(endpoint, "addresses"))
            .map(|address| address.as_str().unwrap_or_default().to_owned())
            .collect();
        vec![
            name(slice),
            text(slice, "addressType").into(),
            first_three(&ports, "<unset>").into(),
            first_three(&addresses, "<unset>").into(),
            age(slice, now),
        ]
    },
};

fn port_cell(port: &Value) -> String {
    match (at(port, "port").as_i64(), text(port, "name")) {
        (Some(number), _) => number.to_string(),
        (None, "") => "*".to_owned(),
        (None, name) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_slice_must_say() {
        let of = |kind: &str, endpoint: Value| json!({"addressType": kind, "endpoints": [endpoint]});
        let first = "endpoints[0].addresses[0]";
        for (slice, expected) in [
            (of("IPv4", json!({"addresses": ["10.0.0.1"]})), String::new()),
            (json!({}), "addressType: Required value".into()),
            (
                json!({"addressType": "X"}),
                "addressType: Unsupported value: \"X\": supported values: \"FQDN\", \"IPv4\", \"IPv6\""
                    .into(),
            ),
            (
                of("IPv4", json!({})),
                "endpoints[0].addresses: Required value: must contain at least 1 address".into(),
            ),
            (
                of("IPv4", json!({"addresses": ["fd00::1"]})),
                format!("{first}: Invalid value: \"fd00::1\": must be an IPv4 address"),
            ),
            (
                of("IPv6", json!({"addresses": ["::1"]})),
                format!(
                    "{first}: Invalid value: \"::1\": may not be in the loopback range (127.0.0.0/8, ::1/128)"
                ),
            ),
            (of("FQDN", json!({"addresses": ["a.b."]})), String::new()),
            (
                of("FQDN", json!({"addresses": ["a"]})),
                format!(
                    "{first}: Invalid value: \"a\": should be a domain with at least two segments separated by dots"
                ),
            ),
            (
                of(
                    "IPv4",
                    json!({"addresses": ["10.0.0.1"], "hints": {"forZones": [{"name": "a"}, {"name": "a"}]}}),
                ),
                "endpoints[0].hints.forZones[1].name: Duplicate value: \"a\"".into(),
            ),
            (
                json!({"addressType": "IPv4", "ports": [{"protocol": "TCP"}, {"protocol": "TCP", "name": ""}]}),
                "ports[1].name: Duplicate value: \"\"".into(),
            ),
            (
                json!({"addressType": "IPv4", "ports": [{"protocol": "X"}]}),
                "ports[0].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\""
                    .into(),
            ),
        ] {
            let mut errors = Errors::new();
            validate(&Node::root(&slice), &mut errors);
            assert_eq!(errors.iter().map(ToString::to_string).collect::<String>(), expected, "{slice}");
        }
    }
}
