//! Endpoints: the older, single-object form of what [`crate::endpoint_slice`] keeps, for old clients and `kubectl describe`.
//!
//! Nobody in skiff reads these objects, so there is no cache of them: each look asks the API server for the one it is about.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use client::{DeleteOptions, Error, Key, ListOptions, Path, Queue, Severity};
use futures_util::future::join4;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use task::{Backoff, causes};
use tracing::warn;

use crate::context::Context;
use crate::feed::feed;
use crate::work::side_by_side;
use crate::{pod, service_pods};

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const OURS: &str = "endpoint-controller";
/// Endpoints that only carry the lease of a leader belong to no Service.
pub(crate) const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";

pub(crate) async fn run(context: Context) {
    let queue = Queue::default();
    let services = context.caches.of::<Service>();
    let own = feed(services.clone(), queue.clone(), |service: &Service| [Key::of(service)]);
    let pods = feed(context.caches.of::<Pod>(), queue.clone(), move |pod: &Pod| {
        service_pods::selecting(&services, pod)
    });
    let work = side_by_side(&queue, "Endpoints", |key| reconcile(&context, key));
    join4(own, pods, leftovers(&context, &queue), work).await;
}

/// Looks once at all Endpoints: their Service may have gone while nobody watched.
async fn leftovers(context: &Context, queue: &Queue<Key>) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    loop {
        match context.client().list::<Endpoints>(&Path::all::<Endpoints>(), &ListOptions::default()).await {
            Ok(page) => {
                let led = |endpoints: &Endpoints| {
                    endpoints.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(LEADER))
                };
                return page.items.iter().filter(|it| !led(it)).for_each(|it| queue.add(Key::of(it)));
            }
            Err(error) => warn!(error = %causes(&error), "cannot list Endpoints, trying again"),
        }
        backoff.wait().await;
    }
}

async fn reconcile(context: &Context, key: Key) -> Result<Option<Duration>, Error> {
    let (services, pods) = (context.caches.of::<Service>(), context.caches.of::<Pod>());
    services.synced().await;
    pods.synced().await;
    let Some(service) = services.get(&key) else { return delete(context, &key).await };
    let Some(mut pods) = service_pods::selected(&service, &pods) else { return Ok(None) };
    pods.retain(|pod| {
        pod.metadata.deletion_timestamp.is_none() || service_pods::publishes_not_ready(&service)
    });
    let current = match context.client().get::<Endpoints>(&key).await {
        Ok(current) => Some(current),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error),
    };
    let Some(changed) = changed(&service, &pods, current.as_ref()) else { return Ok(None) };
    let (what, written) = match current {
        Some(_) => ("update", context.client().update(&changed).await),
        None => ("create", context.client().create(&changed).await),
    };
    match written {
        Ok(_) => Ok(None),
        Err(error) if error.is_namespace_terminating() => Ok(None),
        Err(error) => {
            tell_failure(context, &service, what, &error);
            Err(error)
        }
    }
}

async fn delete(context: &Context, key: &Key) -> Result<Option<Duration>, Error> {
    match context.client().delete::<Endpoints>(key, &DeleteOptions::default()).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(None),
    }
}

fn tell_failure(context: &Context, service: &Service, what: &str, error: &Error) {
    if error.is_conflict() || error.is_already_exists() {
        return;
    }
    let reason = if what == "create" { "FailedToCreateEndpoint" } else { "FailedToUpdateEndpoint" };
    let message = format!("Failed to {what} endpoint {}: {error}", Key::of(service));
    context.recorder.event(service, Severity::Warning, reason, message);
}

/// The Endpoints as they should be, if that is not what they are.
fn changed(service: &Service, pods: &[Arc<Pod>], current: Option<&Endpoints>) -> Option<Endpoints> {
    let subsets = subsets(service, pods);
    let labels = Some(labels(service));
    let same = |current: &Endpoints| {
        current.subsets.clone().unwrap_or_default() == subsets && current.metadata.labels == labels
    };
    if current.is_some_and(same) {
        return None;
    }
    let mut metadata = current.map_or_else(
        || ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            ..ObjectMeta::default()
        },
        |current| current.metadata.clone(),
    );
    metadata.labels = labels;
    let mut annotations = metadata.annotations.take().unwrap_or_default();
    annotations.remove(service_pods::TRIGGER_TIME);
    let trigger = trigger_time(service, pods, current);
    annotations.extend(trigger.map(|time| (service_pods::TRIGGER_TIME.to_string(), time.to_string())));
    metadata.annotations = (!annotations.is_empty()).then_some(annotations);
    Some(Endpoints { metadata, subsets: (!subsets.is_empty()).then_some(subsets) })
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(service_pods::HEADLESS);
    if service_pods::is_headless(service) {
        labels.insert(service_pods::HEADLESS.into(), String::new());
    }
    labels.insert(MANAGED_BY.into(), OURS.into());
    labels
}

fn trigger_time(service: &Service, pods: &[Arc<Pod>], current: Option<&Endpoints>) -> Option<Timestamp> {
    let subsets = || current.iter().flat_map(|current| current.subsets.iter().flatten());
    let uid = |address: &EndpointAddress| address.target_ref.as_ref()?.uid.clone();
    let ready = subsets().flat_map(|subset| subset.addresses.iter().flatten()).map(|it| (uid(it), true));
    let not_ready =
        subsets().flat_map(|subset| subset.not_ready_addresses.iter().flatten()).map(|it| (uid(it), false));
    let was: HashMap<String, bool> =
        ready.chain(not_ready).filter_map(|(uid, ready)| Some((uid?, ready))).collect();
    service_pods::trigger_time(service, pods, current.is_none(), |uid| was.get(uid).copied())
}

/// A port as it can be compared; none for a headless Service without ports.
type Port = Option<(Option<String>, i32, Option<String>, Option<String>)>;
/// Address and uid of a pod.
type Place = (String, Option<String>);

/// Ports that lead to the very same pods share a subset.
fn subsets(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSubset> {
    let mut by_port: BTreeMap<Port, BTreeMap<Place, (EndpointAddress, bool)>> = BTreeMap::new();
    for pod in pods {
        let Some(address) = address(service, pod) else { continue };
        let ready = service_pods::publishes_not_ready(service) || pod::is_ready(pod);
        for port in ports(service, pod) {
            let place = (address.ip.clone(), pod.metadata.uid.clone());
            by_port.entry(port).or_default().insert(place, (address.clone(), ready));
        }
    }
    let mut by_pods: BTreeMap<Vec<(Place, bool)>, Group> = BTreeMap::new();
    for (port, places) in by_port {
        let key = places.iter().map(|(place, (_, ready))| (place.clone(), *ready)).collect();
        let group = || Group { ports: Vec::new(), addresses: places.into_values().collect() };
        by_pods.entry(key).or_insert_with(group).ports.push(port);
    }
    by_pods.into_values().map(subset).collect()
}

/// Ports, and the addresses with whether each is ready.
struct Group {
    ports: Vec<Port>,
    addresses: Vec<(EndpointAddress, bool)>,
}

fn subset(Group { ports, addresses }: Group) -> EndpointSubset {
    let (ready, not_ready): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|(_, ready)| *ready);
    let listed = |all: Vec<(EndpointAddress, bool)>| {
        (!all.is_empty()).then(|| all.into_iter().map(|(address, _)| address).collect())
    };
    let ports: Vec<EndpointPort> = ports
        .into_iter()
        .flatten()
        .map(|(name, port, protocol, app_protocol)| EndpointPort { name, port, protocol, app_protocol })
        .collect();
    EndpointSubset {
        addresses: listed(ready),
        not_ready_addresses: listed(not_ready),
        ports: (!ports.is_empty()).then_some(ports),
    }
}

/// The pod in the Service's first family of addresses: this form knows only one.
fn address(service: &Service, pod: &Pod) -> Option<EndpointAddress> {
    let families = service.spec.as_ref().and_then(|spec| spec.ip_families.as_deref()).unwrap_or_default();
    let fits =
        |ip: &std::net::IpAddr| families.first().is_none_or(|family| (family == "IPv6") == ip.is_ipv6());
    let ip = service_pods::addresses(pod).find(fits)?;
    Some(EndpointAddress {
        ip: ip.to_string(),
        hostname: service_pods::hostname(pod, service),
        node_name: service_pods::node(pod).map(Into::into),
        target_ref: Some(service_pods::target(pod)),
    })
}

fn ports(service: &Service, pod: &Pod) -> Vec<Port> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    if ports.is_empty() && service_pods::is_headless(service) {
        return vec![None];
    }
    let one = |port: &k8s_openapi::api::core::v1::ServicePort| {
        let number = service_pods::port_of(pod, port)?;
        let protocol = Some(service_pods::protocol(port).to_string());
        let name = port.name.clone().filter(|name| !name.is_empty());
        Some(Some((name, number, protocol, port.app_protocol.clone())))
    };
    ports.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{PodIP, ServicePort, ServiceSpec};
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

    use super::*;
    use crate::pod::tests::pod;

    fn service(ports: &[(&str, i32)]) -> Service {
        let port = |(name, target): &(&str, i32)| ServicePort {
            name: Some((*name).into()),
            port: 80,
            target_port: Some(IntOrString::Int(*target)),
            ..ServicePort::default()
        };
        let ports = Some(ports.iter().map(port).collect());
        let spec = ServiceSpec { cluster_ip: Some("10.43.0.9".into()), ports, ..ServiceSpec::default() };
        Service { spec: Some(spec), ..Service::default() }
    }

    fn at(ip: &str, ready: bool) -> Arc<Pod> {
        let mut pod = Pod::clone(&pod(ip, "n", ready.then_some(1)));
        pod.status.as_mut().unwrap().pod_ips = Some(vec![PodIP { ip: ip.into() }]);
        Arc::new(pod)
    }

    #[test]
    fn ports_of_the_same_pods_share_a_subset() {
        let pods = [at("10.42.0.3", true), at("10.42.0.2", false)];
        let subsets = subsets(&service(&[("web", 8080), ("admin", 9090)]), &pods);
        assert_eq!(subsets.len(), 1);
        let ips = |all: &Option<Vec<EndpointAddress>>| {
            all.iter().flatten().map(|a| a.ip.clone()).collect::<Vec<_>>()
        };
        assert_eq!(ips(&subsets[0].addresses), ["10.42.0.3"]);
        assert_eq!(ips(&subsets[0].not_ready_addresses), ["10.42.0.2"]);
        assert_eq!(subsets[0].ports.as_ref().unwrap().len(), 2);
    }

    #[test]
    fn what_is_as_it_should_be_is_not_written() {
        let (service, pods) = (service(&[("", 8080)]), [at("10.42.0.3", true)]);
        let first = changed(&service, &pods, None).unwrap();
        assert!(changed(&service, &pods, Some(&first)).is_none());
        let gone = changed(&service, &[], Some(&first)).unwrap();
        assert_eq!(gone.subsets, None);
        assert_eq!(gone.metadata.labels.unwrap()[MANAGED_BY], OURS);
    }
}
