//! Rules of Services.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::super::pod::{IP, port_or_name};
use crate::field::{Errors, Node};
use crate::metadata::validate_labels;
use crate::names;
use crate::value::{at, text};

const DAY: i64 = 86_400;

pub(super) fn service(service: &Node<'_, '_>, errors: &mut Errors) {
    let spec = service.at("spec");
    let kind = spec.at("type");
    let headless = spec.at("clusterIP").text() == "None";
    if spec.at("ports").list().is_empty() && !headless && kind.text() != "ExternalName" {
        errors.push(spec.at("ports").required(""));
    }
    by_type(&spec, errors);
    ports(&spec, errors);
    validate_labels(&spec.at("selector"), errors);
    affinity(&spec, errors);
    addresses(&spec, errors);
    policies(&spec, errors);
}

fn by_type(spec: &Node<'_, '_>, errors: &mut Errors) {
    let (kind, ip, name) = (spec.at("type"), spec.at("clusterIP"), spec.at("externalName"));
    match kind.text() {
        "" => errors.push(kind.required("")),
        "LoadBalancer" if ip.text() == "None" => {
            errors.push(ip.invalid("may not be set to 'None' for LoadBalancer services"));
        }
        "NodePort" if ip.text() == "None" => {
            errors.push(ip.invalid("may not be set to 'None' for NodePort services"));
        }
        "ClusterIP" | "LoadBalancer" | "NodePort" => {}
        "ExternalName" => {
            if !ip.text().is_empty() {
                errors.push(ip.forbidden("may not be set for ExternalName services"));
            }
            // A trailing dot makes the name absolute and is fine.
            match name.text().strip_suffix('.').unwrap_or(name.text()) {
                "" => errors.push(name.required("")),
                host => {
                    errors.extend(names::subdomain(host).into_iter().map(|problem| name.invalid(problem)));
                }
            }
        }
        _ => errors.push(kind.unsupported(&["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"])),
    }
}

fn ports(spec: &Node<'_, '_>, errors: &mut Errors) {
    let ports = spec.at("ports");
    let (mut names_seen, mut node_ports, mut numbers) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let several = ports.list().len() > 1;
    for port in ports.items() {
        name(&port.at("name"), several, &mut names_seen, errors);
        let number = port.at("port");
        errors.extend(
            names::port_number(number.int().unwrap_or_default())
                .into_iter()
                .map(|problem| number.invalid(problem)),
        );
        protocol(&port.at("protocol"), errors);
        port_or_name(&port.at("targetPort"), errors);
        node_port(&port, spec.at("type").text(), &mut node_ports, errors);
        if number.is_set() && !numbers.insert((number.int(), port.at("protocol").text())) {
            let shown = serde_json::json!({"port": number.value, "protocol": port.at("protocol").text()});
            errors.push(port.duplicate_as(shown));
        }
    }
}

fn name<'v>(name: &Node<'v, '_>, required: bool, seen: &mut BTreeSet<&'v str>, errors: &mut Errors) {
    match name.text() {
        "" if required => errors.push(name.required("")),
        "" => {}
        text => {
            errors.extend(names::dns_label(text).into_iter().map(|problem| name.invalid(problem)));
            if !seen.insert(text) {
                errors.push(name.duplicate());
            }
        }
    }
}

fn protocol(protocol: &Node<'_, '_>, errors: &mut Errors) {
    match protocol.text() {
        "" => errors.push(protocol.required("")),
        "SCTP" | "TCP" | "UDP" => {}
        _ => errors.push(protocol.unsupported(&["SCTP", "TCP", "UDP"])),
    }
}

fn node_port<'v>(port: &Node<'v, '_>, kind: &str, seen: &mut BTreeSet<(i64, &'v str)>, errors: &mut Errors) {
    let node_port = port.at("nodePort");
    let Some(number) = node_port.int().filter(|number| *number != 0) else { return };
    if matches!(kind, "ClusterIP" | "ExternalName") {
        errors.push(node_port.forbidden(format!("may not be used when `type` is '{kind}'")));
    }
    if !seen.insert((number, port.at("protocol").text())) {
        errors.push(node_port.duplicate());
    }
}

fn affinity(spec: &Node<'_, '_>, errors: &mut Errors) {
    let (affinity, config) = (spec.at("sessionAffinity"), spec.at("sessionAffinityConfig"));
    match affinity.text() {
        "" => errors.push(affinity.required("")),
        "None" => {
            if config.is_set() {
                errors.push(config.forbidden("must not be set when session affinity is None"));
            }
        }
        "ClientIP" => {
            let timeout = config.at("clientIP.timeoutSeconds");
            match timeout.int() {
                None => errors.push(timeout.required("must be set when session affinity is ClientIP")),
                Some(1..=DAY) => {}
                Some(_) => {
                    errors.push(timeout.invalid(format!("must be greater than 0 and less than {DAY}")));
                }
            }
        }
        _ => errors.push(affinity.unsupported(&["ClientIP", "None"])),
    }
}

fn addresses(spec: &Node<'_, '_>, errors: &mut Errors) {
    let (primary, all) = (spec.at("clusterIP"), spec.at("clusterIPs"));
    if let Some(first) = all.list().first() {
        if first != primary.value && primary.is_set() {
            errors.push(all.first().invalid("first value must match `clusterIP`"));
        }
        if all.list().len() > 2 {
            errors.push(all.invalid("may only hold up to 2 values"));
        }
    }
    for address in all.items().filter(|address| !matches!(address.text(), "None" | "")) {
        if address.text().parse::<IpAddr>().is_err() {
            errors.push(address.invalid(IP));
        }
    }
    if !matches!(primary.text(), "" | "None")
        && primary.text().parse::<IpAddr>().is_err()
        && all.list().is_empty()
    {
        errors.push(primary.invalid(IP));
    }
    for external in spec.at("externalIPs").items() {
        match external.text().parse::<IpAddr>() {
            Err(_) => errors.push(external.invalid(IP)),
            Ok(address) => errors.extend(unusable(address).map(|why| external.invalid(why))),
        }
    }
    for range in spec.at("loadBalancerSourceRanges").items() {
        if !is_cidr(range.text().trim()) {
            errors.push(range.invalid("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"));
        }
    }
}

/// Why nobody else could reach a machine by this address.
fn unusable(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    match address {
        address if address.is_unspecified() => Some("may not be unspecified (0.0.0.0 or ::)"),
        address if address.is_loopback() => Some("may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        _ if link_local => Some("may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        address if address.is_multicast() => {
            Some("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
        }
        _ => None,
    }
}

pub(in crate::kinds) fn is_cidr(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let max = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    prefix.bytes().all(|digit| digit.is_ascii_digit())
        && prefix.parse::<u8>().is_ok_and(|prefix| prefix <= max)
}

fn policies(spec: &Node<'_, '_>, errors: &mut Errors) {
    let kind = spec.at("type").text();
    let external = matches!(kind, "NodePort" | "LoadBalancer")
        || (kind == "ClusterIP" && !spec.at("externalIPs").list().is_empty());
    let policy = spec.at("externalTrafficPolicy");
    match (external, policy.text()) {
        (false, "") => {}
        (false, _) => errors.push(policy.invalid("may only be set for externally-accessible services")),
        (true, "Cluster" | "Local") => {}
        (true, "") if kind == "ClusterIP" => {}
        (true, "") => errors.push(policy.required("")),
        (true, _) => errors.push(policy.unsupported(&["Cluster", "Local"])),
    }
    let internal = spec.at("internalTrafficPolicy");
    if internal.is_set() && !matches!(internal.text(), "Cluster" | "Local") {
        errors.push(internal.unsupported(&["Cluster", "Local"]));
    }
    let class = spec.at("loadBalancerClass");
    if class.is_set() && kind != "LoadBalancer" {
        errors.push(class.forbidden("may only be used when `type` is 'LoadBalancer'"));
    }
    let allocate = spec.at("allocateLoadBalancerNodePorts");
    if allocate.is_set() && kind != "LoadBalancer" {
        errors.push(allocate.forbidden("may only be used when `type` is 'LoadBalancer'"));
    }
    let family = spec.at("ipFamilyPolicy");
    if family.is_set() && !matches!(family.text(), "SingleStack" | "PreferDualStack" | "RequireDualStack") {
        errors.push(family.unsupported(&["SingleStack", "PreferDualStack", "RequireDualStack"]));
    }
}

/// An address once given stays, unless the Service stops having one.
pub(super) fn update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let (spec, old) = (new.at("spec"), at(old, "spec"));
    let either_external = [spec.value, old].iter().any(|spec| text(spec, "type") == "ExternalName");
    if either_external || text(old, "clusterIP").is_empty() {
        return;
    }
    // The primary address is told of as the first of the list, as upstream does.
    let all = spec.at("clusterIPs");
    if spec.at("clusterIP").value != at(old, "clusterIP") {
        errors.push(all.first().invalid_as(spec.at("clusterIP").value.clone(), "may not change once set"));
    }
    let (class, both) = (spec.at("loadBalancerClass"), [spec.value, old]);
    if both.iter().all(|spec| text(spec, "type") == "LoadBalancer")
        && class.value != at(old, "loadBalancerClass")
    {
        errors.push(class.invalid("may not change once set"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::{Part, by_resource};

    #[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
    fn found(spec: Value) -> Vec<String> {
        let kind = by_resource("", "v1", "services").unwrap();
        let mut object = json!({"metadata": {"name": "x", "namespace": "d"}, "spec": spec});
        kind.default_object(&mut object);
        kind.validate_create(&object).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_service_must_say() {
        assert_eq!(found(json!({"ports": [{"port": 80}]})), [""; 0]);
        assert_eq!(found(json!({"clusterIP": "None"})), [""; 0]);
        assert_eq!(found(json!({})), ["spec.ports: Required value"]);
        assert_eq!(
            found(json!({"ports": [{"port": 0}]})),
            [
                "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            ]
        );
        assert_eq!(
            found(json!({"ports": [{"port": 80}, {"port": 81, "name": "a"}]})),
            ["spec.ports[0].name: Required value"]
        );
        assert_eq!(
            found(json!({"ports": [{"port": 80, "nodePort": 30000}]})),
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"]
        );
        assert_eq!(
            found(json!({"type": "Magic", "ports": [{"port": 80}]})),
            [
                "spec.type: Unsupported value: \"Magic\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\""
            ]
        );
        assert_eq!(
            found(json!({"ports": [{"port": 80}], "externalIPs": ["127.0.0.1"]})),
            [
                "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)"
            ]
        );
    }

    #[test]
    fn the_address_stays() {
        let kind = by_resource("", "v1", "services").unwrap();
        let service = |ip: &str| {
            let mut object = json!({"metadata": {"name": "x", "namespace": "d"},
                "spec": {"clusterIP": ip, "clusterIPs": [ip], "ports": [{"port": 80}]}});
            kind.default_object(&mut object);
            object
        };
        let errors = kind.validate_update(&service("10.0.0.2"), &service("10.0.0.1"), Part::Main);
        assert_eq!(
            errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["spec.clusterIPs[0]: Invalid value: \"10.0.0.2\": may not change once set"]
        );
    }

    #[test]
    fn networks() {
        assert!(is_cidr("10.0.0.0/8") && is_cidr("::/0"));
        assert!(!is_cidr("10.0.0.0") && !is_cidr("10.0.0.0/33") && !is_cidr("10.0.0.0/+8"));
    }
}
