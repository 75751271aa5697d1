//! What a Service means for packets: one [`Port`] per port and address family.

use std::net::IpAddr;
use std::time::Duration;

use client::Key;
use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use network::nft::Family;

/// Says that somebody else routes this Service.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";
const AFFINITY_SECONDS: i32 = 10_800;

/// The number of a protocol in an IP packet.
pub(crate) fn protocol(name: Option<&str>) -> Option<u8> {
    match name.unwrap_or("TCP") {
        "TCP" => Some(TCP),
        "UDP" => Some(UDP),
        "SCTP" => Some(132),
        _ => None,
    }
}

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

/// Of a Service and its EndpointSlices: they name the same port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PortName {
    pub(crate) service: Key,
    /// Empty for the only port of a Service.
    pub(crate) port: String,
    pub(crate) protocol: u8,
    pub(crate) family: Family,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: PortName,
    pub(crate) cluster_ip: IpAddr,
    pub(crate) number: u16,
    /// Of the world outside: external addresses and those of load balancers.
    pub(crate) external_ips: Vec<IpAddr>,
    pub(crate) balancer_ips: Vec<IpAddr>,
    /// Who may come by a load balancer's address; empty: everybody.
    pub(crate) source_ranges: Vec<IpNet>,
    pub(crate) node_port: Option<u16>,
    /// Traffic from outside stays on the node to which it came.
    pub(crate) external_local: bool,
    pub(crate) internal_local: bool,
    /// For how long a client keeps its endpoint.
    pub(crate) affinity: Option<Duration>,
}

impl Port {
    /// Can it be reached from outside the cluster?
    pub(crate) fn is_external(&self) -> bool {
        self.node_port.is_some() || self.public_ips().next().is_some()
    }

    pub(crate) fn public_ips(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.external_ips.iter().chain(&self.balancer_ips).copied()
    }

    /// As people look for it in a list of rules.
    pub(crate) fn words(&self) -> String {
        let Key { namespace, name } = &self.name.service;
        let port = match self.name.port.as_str() {
            "" => self.number.to_string(),
            port => port.to_owned(),
        };
        format!("{namespace}/{name}/{port}")
    }
}

/// The ports of a Service; none if it has no address or is somebody else's.
pub(crate) fn ports(service: &Service) -> Vec<Port> {
    let labels = service.metadata.labels.as_ref();
    let foreign = labels.is_some_and(|labels| labels.contains_key(OTHER_PROXY));
    let Some(spec) = service.spec.as_ref().filter(|spec| !foreign && kind(spec) != "ExternalName") else {
        return Vec::new();
    };
    let families = cluster_ips(spec).into_iter();
    families
        .flat_map(|address| {
            let ports = spec.ports.iter().flatten();
            ports.filter_map(move |port| meaning(service, spec, port, address))
        })
        .collect()
}

fn kind(spec: &ServiceSpec) -> &str {
    spec.type_.as_deref().unwrap_or("ClusterIP")
}

/// "None" is no address.
fn cluster_ips(spec: &ServiceSpec) -> Vec<IpAddr> {
    let listed = spec.cluster_ips.iter().flatten();
    let first = spec.cluster_ip.iter().filter(|_| spec.cluster_ips.as_ref().is_none_or(Vec::is_empty));
    addresses(listed.chain(first))
}

fn addresses<'a>(words: impl Iterator<Item = &'a String>) -> Vec<IpAddr> {
    words.filter_map(|word| word.parse().ok()).collect()
}

fn meaning(service: &Service, spec: &ServiceSpec, port: &ServicePort, cluster_ip: IpAddr) -> Option<Port> {
    let family = Family::of(cluster_ip);
    let mine = |list: Vec<IpAddr>| -> Vec<IpAddr> {
        list.into_iter().filter(|address| Family::of(*address) == family).collect()
    };
    let ranges = spec.load_balancer_source_ranges.iter().flatten();
    let ranges = ranges.filter_map(|range| range.trim().parse::<IpNet>().ok());
    let is_local = |policy: &Option<String>| policy.as_deref() == Some("Local");
    let name = PortName {
        service: Key::of(service),
        port: port.name.clone().unwrap_or_default(),
        protocol: protocol(port.protocol.as_deref())?,
        family,
    };
    Some(Port {
        name,
        cluster_ip,
        number: number(port.port)?,
        external_ips: mine(addresses(spec.external_ips.iter().flatten())),
        balancer_ips: mine(balancers(service)),
        source_ranges: ranges.filter(|range| Family::of(range.addr()) == family).collect(),
        node_port: port.node_port.and_then(number),
        external_local: kind(spec) != "ClusterIP" && is_local(&spec.external_traffic_policy),
        internal_local: is_local(&spec.internal_traffic_policy),
        affinity: affinity(spec),
    })
}

fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port != 0)
}

/// The addresses whose packets arrive unchanged: a load balancer that is a proxy itself sends to node ports.
fn balancers(service: &Service) -> Vec<IpAddr> {
    let ingress = service.status.iter().filter_map(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    let plain = ingress.flatten().filter(|it| it.ip_mode.as_deref().is_none_or(|mode| mode == "VIP"));
    addresses(plain.filter_map(|it| it.ip.as_ref()))
}

fn affinity(spec: &ServiceSpec) -> Option<Duration> {
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let seconds = config.and_then(|client| client.timeout_seconds).unwrap_or(AFFINITY_SECONDS);
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn meanings(spec: &Value, status: &Value) -> Vec<Port> {
        let metadata = json!({"name": "web", "namespace": "shop"});
        let service = json!({"metadata": metadata, "spec": spec, "status": status});
        ports(&serde_json::from_value(service).unwrap())
    }

    #[test]
    fn a_port_per_family_with_the_addresses_of_its_own() {
        let ingress =
            json!([{"ip": "203.0.113.2"}, {"ip": "203.0.113.3", "ipMode": "Proxy"}, {"hostname": "x"}]);
        let found = meanings(
            &json!({
                "type": "LoadBalancer",
                "clusterIPs": ["10.43.0.10", "fd43::10"],
                "externalIPs": ["203.0.113.1", "2001:db8::1"],
                "loadBalancerSourceRanges": ["192.0.2.0/24", " 2001:db8::/32 ", "nonsense"],
                "externalTrafficPolicy": "Local",
                "sessionAffinity": "ClientIP",
                "ports": [{"name": "http", "port": 80, "nodePort": 30080}, {"port": 1, "protocol": "QUIC"}],
            }),
            &json!({"loadBalancer": {"ingress": ingress}}),
        );
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].words(), "shop/web/http");
        assert_eq!(
            found[0].public_ips().map(|it| it.to_string()).collect::<Vec<_>>(),
            ["203.0.113.1", "203.0.113.2"]
        );
        assert_eq!(found[1].public_ips().map(|it| it.to_string()).collect::<Vec<_>>(), ["2001:db8::1"]);
        assert_eq!(found[1].source_ranges, ["2001:db8::/32".parse().unwrap()]);
        assert!(found[0].external_local && !found[0].internal_local);
        assert_eq!(found[0].affinity, Some(Duration::from_secs(10_800)));
        assert_eq!(found[0].node_port, Some(30080));
    }

    #[test]
    fn what_has_no_address_or_another_proxy_is_left_alone() {
        let ports = json!([{"port": 80}]);
        for spec in [
            json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": ports}),
            json!({"type": "ExternalName", "externalName": "example.org", "ports": ports}),
            json!({"ports": ports}),
        ] {
            assert_eq!(meanings(&spec, &json!(null)), [], "{spec}");
        }
        let spec = json!({"clusterIP": "10.43.0.10", "ports": ports});
        assert_eq!(meanings(&spec, &json!(null)).len(), 1);
        let labels = json!({"labels": {OTHER_PROXY: "mesh"}});
        assert_eq!(ports_of(&json!({"metadata": labels, "spec": spec})), []);
    }

    fn ports_of(service: &Value) -> Vec<Port> {
        ports(&serde_json::from_value(service.clone()).unwrap())
    }
}
