//! Which pods stand behind a Service, under which ports and addresses: what both forms of endpoints ask.

use std::net::IpAddr;
use std::sync::Arc;

use api::selector::LabelSelector;
use client::{Cache, Key};
use k8s_openapi::api::core::v1::{Container, ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;

use crate::pod;

pub(crate) const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";
pub(crate) const HEADLESS: &str = "service.kubernetes.io/headless";

/// The Services of a pod's namespace that select it.
pub(crate) fn selecting(services: &Cache<Service>, pod: &Pod) -> Vec<Key> {
    let services = services.list_in(pod.metadata.namespace.as_deref().unwrap_or_default());
    let selects = |service: &Service| {
        selector(service).is_some_and(|it| it.matches_labels(pod.metadata.labels.as_ref()))
    };
    services.iter().filter(|service| selects(service)).map(|service| Key::of(&**service)).collect()
}

/// The pods behind a Service that have an address and have not ended; none if its endpoints are not ours to keep.
pub(crate) fn selected(service: &Service, pods: &Cache<Pod>) -> Option<Vec<Arc<Pod>>> {
    let selector = selector(service)?;
    let mut pods = pods.list_in(service.metadata.namespace.as_deref().unwrap_or_default());
    pods.retain(|pod| selector.matches_labels(pod.metadata.labels.as_ref()));
    pods.retain(|pod| !pod::is_finished(pod) && addresses(pod).next().is_some());
    Some(pods)
}

/// None for a Service without one, whose endpoints somebody else writes, and for a name that leads elsewhere.
fn selector(service: &Service) -> Option<LabelSelector> {
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        return None;
    }
    LabelSelector::of_labels(spec.selector.as_ref()?).ok()
}

pub(crate) fn addresses(pod: &Pod) -> impl Iterator<Item = IpAddr> {
    let status = pod.status.as_ref();
    let several = status.and_then(|status| status.pod_ips.as_deref()).unwrap_or_default();
    let single = status.and_then(|status| status.pod_ip.as_deref()).filter(|_| several.is_empty());
    several.iter().map(|one| one.ip.as_str()).chain(single).filter_map(|text| text.parse().ok())
}

/// Where a pod listens for a port of the Service: nowhere if the port is named and no container knows the name.
pub(crate) fn port_of(pod: &Pod, port: &ServicePort) -> Option<i32> {
    match &port.target_port {
        None | Some(IntOrString::Int(0)) => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => named(pod, name, protocol(port)),
    }
}

fn named(pod: &Pod, name: &str, protocol: &str) -> Option<i32> {
    let spec = pod.spec.as_ref()?;
    let sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().flatten().filter(sidecar);
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    let mut same = ports.filter(|port| {
        port.name.as_deref() == Some(name) && port.protocol.as_deref().unwrap_or("TCP") == protocol
    });
    same.next().map(|port| port.container_port)
}

pub(crate) fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

pub(crate) fn publishes_not_ready(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses) == Some(true)
}

/// Without an address of its own: its name leads to the pods.
pub(crate) fn is_headless(service: &Service) -> bool {
    let address = service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref());
    address.is_none_or(|address| address.is_empty() || address == "None")
}

/// The name under which the Service's domain knows the pod, if it has one.
pub(crate) fn hostname(pod: &Pod, service: &Service) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let here =
        spec.subdomain.as_deref().is_some_and(|domain| Some(domain) == service.metadata.name.as_deref());
    spec.hostname.clone().filter(|name| here && !name.is_empty())
}

pub(crate) fn target(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".into()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

pub(crate) fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

/// When the earliest of the changes happened that are about to be written: what the delay of the network's programming
/// is measured from. `was_ready` tells what is written of a pod now, by its uid.
pub(crate) fn trigger_time(
    service: &Service,
    pods: &[Arc<Pod>],
    is_new: bool,
    was_ready: impl Fn(&str) -> Option<bool>,
) -> Option<Timestamp> {
    let changed = |pod: &&Arc<Pod>| {
        was_ready(pod.metadata.uid.as_deref().unwrap_or_default()) != Some(pod::is_ready(pod))
    };
    let pods = pods.iter().filter(changed).filter_map(|pod| pod::ready_changed(pod));
    let made = service.metadata.creation_timestamp.as_ref().map(|time| time.0);
    pods.chain(made.filter(|_| is_new)).min()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ContainerPort, PodSpec};

    use super::*;

    #[test]
    fn a_named_port_is_looked_up_by_name_and_protocol() {
        let port = |name: &str, protocol: &str, number| ContainerPort {
            name: Some(name.into()),
            protocol: Some(protocol.into()),
            container_port: number,
            ..ContainerPort::default()
        };
        let container = Container {
            ports: Some(vec![port("web", "UDP", 1), port("web", "TCP", 2)]),
            ..Container::default()
        };
        let spec = PodSpec { containers: vec![container], ..PodSpec::default() };
        let pod = Pod { spec: Some(spec), ..Pod::default() };
        let asked =
            |target| port_of(&pod, &ServicePort { port: 80, target_port: target, ..ServicePort::default() });
        assert_eq!(asked(Some(IntOrString::String("web".into()))), Some(2));
        assert_eq!(asked(Some(IntOrString::String("db".into()))), None);
        assert_eq!(asked(Some(IntOrString::Int(8080))), Some(8080));
        assert_eq!(asked(None), Some(80));
    }
}
