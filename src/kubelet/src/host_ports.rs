//! Ports of the node that a pod asks for (`hostPort`).

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{ContainerPort, PodSpec};
use network::HostPort;

use crate::sandbox::is;

/// Those that lead into the pod's own network; a pod in the node's network has its ports there already.
pub(crate) fn to_lead(spec: &PodSpec) -> Vec<HostPort> {
    if is(spec.host_network) { Vec::new() } else { asked(spec) }
}

/// Whether two pods ask for the same port.
pub(crate) fn conflict(one: &PodSpec, other: &PodSpec) -> bool {
    let (one, other) = (asked(one), asked(other));
    one.iter().any(|a| other.iter().any(|b| is_same_place(a, b)))
}

fn is_same_place(a: &HostPort, b: &HostPort) -> bool {
    let one_address = a.address.is_none() || b.address.is_none() || a.address == b.address;
    (a.protocol, a.port) == (b.protocol, b.port) && one_address
}

/// Of all containers that run as long as the pod does.
fn asked(spec: &PodSpec) -> Vec<HostPort> {
    let stays = |policy: &Option<String>| policy.as_deref() == Some("Always");
    let beside = spec.init_containers.iter().flatten().filter(|container| stays(&container.restart_policy));
    let ports = beside.chain(&spec.containers).flat_map(|container| container.ports.iter().flatten());
    ports.filter_map(meaning).collect()
}

fn meaning(port: &ContainerPort) -> Option<HostPort> {
    let address = port.host_ip.as_deref().and_then(|address| address.parse::<IpAddr>().ok());
    Some(HostPort {
        protocol: match port.protocol.as_deref() {
            Some("UDP") => 17,
            Some("SCTP") => 132,
            _ => 6,
        },
        address: address.filter(|address| !address.is_unspecified()),
        port: port.host_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)?,
        pod_port: u16::try_from(port.container_port).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(ports: &Value) -> PodSpec {
        serde_json::from_value(json!({"containers": [{"name": "a", "ports": ports}]})).unwrap()
    }

    #[test]
    fn ports_without_a_place_on_the_node_are_none() {
        let ports = json!([{"containerPort": 80}, {"containerPort": 53, "hostPort": 5353, "protocol": "UDP", "hostIP": "192.0.2.1"}]);
        let at = Some("192.0.2.1".parse().unwrap());
        assert_eq!(
            to_lead(&spec(&ports)),
            [HostPort { protocol: 17, address: at, port: 5353, pod_port: 53 }]
        );
        let in_the_nodes_network = PodSpec { host_network: Some(true), ..spec(&ports) };
        assert_eq!(to_lead(&in_the_nodes_network), []);
    }

    #[test]
    fn one_port_at_two_addresses_is_two() {
        let at = |address: &str| spec(&json!([{"containerPort": 80, "hostPort": 80, "hostIP": address}]));
        assert!(conflict(&at("192.0.2.1"), &at("192.0.2.1")));
        assert!(conflict(&at("192.0.2.1"), &at("0.0.0.0")));
        assert!(conflict(&at(""), &at("192.0.2.1")));
        assert!(!conflict(&at("192.0.2.1"), &at("192.0.2.2")));
        assert!(!conflict(
            &at(""),
            &spec(&json!([{"containerPort": 80, "hostPort": 80, "protocol": "UDP"}]))
        ));
    }

    #[test]
    fn sidecars_have_ports_too() {
        let spec = serde_json::from_value(json!({"containers": [{"name": "a"}], "initContainers": [
            {"name": "b", "restartPolicy": "Always", "ports": [{"containerPort": 1, "hostPort": 1}]},
            {"name": "c", "ports": [{"containerPort": 2, "hostPort": 2}]}]}));
        let ports: Vec<u16> = to_lead(&spec.unwrap()).iter().map(|port| port.port).collect();
        assert_eq!(ports, [1]);
    }
}
