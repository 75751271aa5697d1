//! The endpoints a Service should have, by family of address and by ports: pods may give one name to different ports.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};

use crate::{pod, service_pods};

const ZONE: &str = "topology.kubernetes.io/zone";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

/// Ports in an order of their own, so that sets of them can be compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ports(Vec<Port>);

/// Name, protocol, number and application protocol.
type Port = (Option<String>, Option<String>, Option<i32>, Option<String>);

pub(super) struct Desired {
    pub(super) families: BTreeMap<Family, Groups>,
    /// A pod that is left out because its node is not known.
    pub(super) without_node: Option<String>,
}

/// Endpoints by the ports they share.
pub(super) type Groups = BTreeMap<Ports, Vec<Endpoint>>;

impl Family {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    pub(super) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

impl Ports {
    pub(super) fn of(ports: &[EndpointPort]) -> Self {
        let one = |port: &EndpointPort| {
            let EndpointPort { app_protocol, name, port, protocol } = port.clone();
            (name, protocol, port, app_protocol)
        };
        let mut ports: Vec<_> = ports.iter().map(one).collect();
        ports.sort();
        Self(ports)
    }

    pub(super) fn to_list(&self) -> Vec<EndpointPort> {
        let one = |port: &Port| {
            let (name, protocol, port, app_protocol) = port.clone();
            EndpointPort { app_protocol, name, port, protocol }
        };
        self.0.iter().map(one).collect()
    }
}

pub(super) fn desired(
    service: &Service,
    pods: &[Arc<Pod>],
    node: impl Fn(&str) -> Option<Arc<Node>>,
) -> Desired {
    let families = families(service).into_iter().map(|family| (family, Groups::new()));
    let mut desired = Desired { families: families.collect(), without_node: None };
    for pod in pods {
        let node = service_pods::node(pod).and_then(&node);
        if node.is_none() && !service_pods::publishes_not_ready(service) {
            desired.without_node = pod.metadata.name.clone();
            continue;
        }
        let ports = Ports::of(&ports(service, pod));
        for (family, groups) in &mut desired.families {
            let group = groups.entry(ports.clone()).or_default();
            group.extend(endpoint(service, pod, node.as_deref(), *family));
        }
    }
    desired
}

fn families(service: &Service) -> Vec<Family> {
    let spec = service.spec.as_ref();
    let named = spec.and_then(|spec| spec.ip_families.as_deref()).unwrap_or_default();
    if !named.is_empty() {
        return named.iter().map(|name| if name == "IPv6" { Family::V6 } else { Family::V4 }).collect();
    }
    match spec.and_then(|spec| spec.cluster_ip.as_deref()?.parse().ok()) {
        Some(address) => vec![Family::of(address)],
        None => vec![Family::V4, Family::V6],
    }
}

fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let one = |port: &k8s_openapi::api::core::v1::ServicePort| {
        Some(EndpointPort {
            name: Some(port.name.clone().unwrap_or_default()),
            protocol: Some(service_pods::protocol(port).to_string()),
            port: Some(service_pods::port_of(pod, port)?),
            app_protocol: port.app_protocol.clone(),
        })
    };
    ports.filter_map(one).collect()
}

/// None if the pod has no address of the family.
fn endpoint(service: &Service, pod: &Pod, node: Option<&Node>, family: Family) -> Option<Endpoint> {
    let addresses: Vec<String> = service_pods::addresses(pod)
        .filter(|address| Family::of(*address) == family)
        .map(|address| address.to_string())
        .collect();
    let (serving, terminating) = (pod::is_ready(pod), pod.metadata.deletion_timestamp.is_some());
    // One that is going takes no new work, unless every pod is to be found whatever its state.
    let ready = service_pods::publishes_not_ready(service) || serving && !terminating;
    let zone = node.and_then(|node| node.metadata.labels.as_ref()?.get(ZONE).cloned());
    (!addresses.is_empty()).then(|| Endpoint {
        addresses,
        conditions: Some(EndpointConditions {
            ready: Some(ready),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: service_pods::hostname(pod, service),
        node_name: service_pods::node(pod).map(Into::into),
        target_ref: Some(service_pods::target(pod)),
        zone: zone.filter(|zone| !zone.is_empty()),
        ..Endpoint::default()
    })
}
