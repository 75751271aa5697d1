//! discovery.k8s.io: which addresses stand behind a Service.

use serde_json::Value;

use super::apps::rules::immutable;
use super::core::pod::IP;
use super::entry::{GroupVersion, names};
use super::{Generation, Kind, Strategy};
use crate::field::{Errors, Node};
use crate::names;
use crate::table::{AGE, Column, NAME, Table, age, first_three, name};
use crate::value::{at, default_to, items_mut, list, text};

const V1: GroupVersion = GroupVersion::new("discovery.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    strategy: Strategy {
        defaults,
        validate,
        validate_update: |new, old, errors| immutable(&new.at("addressType"), at(old, "addressType"), errors),
        generation: Generation::Spec,
        ..Strategy::PLAIN
    },
    table: &TABLE,
    ..V1.namespaced(names!("io.k8s.api.discovery.v1", EndpointSlice, "endpointslices"))
}];

const ENDPOINTS_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 100;

fn defaults(slice: &mut Value) {
    for port in items_mut(slice, "ports") {
        default_to(port, "name", "");
        default_to(port, "protocol", "TCP");
    }
}

fn validate(slice: &Node<'_, '_>, errors: &mut Errors) {
    let (kind, endpoints) = (slice.at("addressType"), slice.at("endpoints"));
    match kind.text() {
        "" => errors.push(kind.required("")),
        "FQDN" | "IPv4" | "IPv6" => {}
        _ => errors.push(kind.unsupported(&["FQDN", "IPv4", "IPv6"])),
    }
    if endpoints.list().len() > ENDPOINTS_MAX {
        return errors.push(endpoints.too_many(endpoints.list().len(), ENDPOINTS_MAX));
    }
    for endpoint in endpoints.items() {
        addresses(&endpoint.at("addresses"), kind.text(), errors);
    }
    ports(&slice.at("ports"), errors);
}

fn addresses(addresses: &Node<'_, '_>, kind: &str, errors: &mut Errors) {
    match addresses.list().len() {
        0 => errors.push(addresses.required("must contain at least 1 address")),
        count if count > ADDRESSES_MAX => errors.push(addresses.too_many(count, ADDRESSES_MAX)),
        _ => {}
    }
    for address in addresses.items() {
        let ip = address.text().parse::<std::net::IpAddr>();
        match (kind, ip) {
            ("IPv4", Ok(ip)) if !ip.is_ipv4() => errors.push(address.invalid("must be an IPv4 address")),
            ("IPv6", Ok(ip)) if !ip.is_ipv6() => errors.push(address.invalid("must be an IPv6 address")),
            ("IPv4" | "IPv6", Err(_)) => errors.push(address.invalid(IP)),
            ("FQDN", _) => {
                errors.extend(
                    names::subdomain(address.text()).into_iter().map(|problem| address.invalid(problem)),
                );
            }
            _ => {}
        }
    }
}

fn ports(ports: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = std::collections::BTreeSet::new();
    for port in ports.items() {
        let (name, protocol, number) = (port.at("name"), port.at("protocol"), port.at("port"));
        if !name.text().is_empty() {
            errors.extend(names::dns_label(name.text()).into_iter().map(|problem| name.invalid(problem)));
        }
        if !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
        if !matches!(protocol.text(), "SCTP" | "TCP" | "UDP") {
            errors.push(protocol.unsupported(&["SCTP", "TCP", "UDP"]));
        }
        if let Some(value) = number.int() {
            errors.extend(names::port_number(value).into_iter().map(|problem| number.invalid(problem)));
        }
    }
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
    match at(port, "port").as_i64() {
        Some(number) => number.to_string(),
        None => "*".to_owned(),
    }
}
