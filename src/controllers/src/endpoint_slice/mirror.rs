//! Slices of the Endpoints that people write, for Services without a selector: nodes read slices alone, and find those
//! addresses there too.
//!
//! ```text
//! run ─▶ reconcile ─▶ groups by family and ports (pure) ─▶ one slice for each (pure) ─▶ write
//! ```
//!
//! The Endpoints that [`crate::endpoints`] keeps are not looked at, their Services have slices of their own. So the cache
//! here holds what people wrote, which is nothing in most clusters.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use client::{Cache, Error, Key, ListOptions, Queue, Severity};
use futures_util::future::join4;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Endpoints, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::desired::{Family, Ports};
use super::pack::Changes;
use super::{MANAGED_BY, SERVICE_NAME, service_of};
use crate::context::Context;
use crate::endpoints::LEADER;
use crate::feed::feed;
use crate::work::side_by_side;
use crate::{make_pods, owner, service_pods};

const OURS: &str = "endpointslicemirroring-controller.k8s.io";
/// Those that no controller keeps, and that do not ask to be left alone.
const WRITTEN_BY_PEOPLE: &str =
    "endpoints.kubernetes.io/managed-by!=endpoint-controller,endpointslice.kubernetes.io/skip-mirror!=true";
/// Addresses of a subset that are mirrored, as upstream: they all stand in one slice.
const MOST: usize = 1000;
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

pub(crate) async fn run(context: Context) {
    let queue = Queue::default();
    let options = ListOptions { labels: WRITTEN_BY_PEOPLE.into(), ..ListOptions::default() };
    let endpoints = context.caches.selected::<Endpoints>(options);
    let own = feed(endpoints.clone(), queue.clone(), |it: &Endpoints| [Key::of(it)]);
    let services =
        feed(context.caches.of::<Service>(), queue.clone(), |service: &Service| [Key::of(service)]);
    let slices = feed(context.caches.of::<EndpointSlice>(), queue.clone(), |slice: &EndpointSlice| {
        service_of(&slice.metadata, OURS)
    });
    let work = side_by_side(&queue, "Endpoints to mirror", |key| reconcile(&context, &endpoints, key));
    join4(own, services, slices, work).await;
}

async fn reconcile(
    context: &Context,
    endpoints: &Cache<Endpoints>,
    key: Key,
) -> Result<Option<Duration>, Error> {
    let (services, slices) = (context.caches.of::<Service>(), context.caches.of::<EndpointSlice>());
    endpoints.synced().await;
    services.synced().await;
    slices.synced().await;
    let mut existing = slices.list_in(&key.namespace);
    existing.retain(|slice| {
        service_of(&slice.metadata, OURS).as_ref() == Some(&key)
            && slice.metadata.deletion_timestamp.is_none()
    });
    let wanted = services.get(&key).is_some_and(|service| !selects(&service));
    let Some(endpoints) = endpoints.get(&key).filter(|endpoints| wanted && !leads(endpoints)) else {
        super::write(context, Changes { delete: existing, ..Changes::default() }, None).await?;
        return Ok(None);
    };
    let Desired { groups, skipped } = desired(endpoints.subsets.as_deref().unwrap_or_default());
    if skipped > 0 {
        tell_skipped(context, &endpoints, skipped);
    }
    let mut changes = plan(&endpoints, groups, existing);
    if endpoints.metadata.deletion_timestamp.is_some() {
        changes.create.clear();
    }
    let written = super::write(context, changes, None).await;
    written.inspect_err(|error| super::tell_failure(context, &*endpoints, error))?;
    Ok(None)
}

/// A Service that selects its pods has slices of those.
fn selects(service: &Service) -> bool {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| !selector.is_empty())
}

fn leads(endpoints: &Endpoints) -> bool {
    endpoints.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(LEADER))
}

fn tell_skipped(context: &Context, endpoints: &Endpoints, skipped: usize) {
    let message = format!(
        "A max of {MOST} addresses can be mirrored to EndpointSlices per Endpoints subset. {skipped} addresses were \
         skipped"
    );
    context.recorder.event(endpoints, Severity::Warning, "TooManyAddressesToMirror", message);
}

/// What there should be a slice for, and what is in it.
type Groups = BTreeMap<(Family, Ports), Vec<Endpoint>>;

struct Desired {
    groups: Groups,
    /// Addresses beyond what a slice takes.
    skipped: usize,
}

/// An address, and the pod that it is of.
type Place = (IpAddr, Option<String>);
type Places = BTreeMap<Place, Endpoint>;
/// The places that have the same ports, by which of them are ready.
type ByPlaces = BTreeMap<Vec<(Place, bool)>, (Vec<EndpointPort>, Places)>;

/// Subsets may name one address twice. It stands in one slice with all its ports: what is said of a port in one subset and
/// of another port in the next is brought together first.
fn desired(subsets: &[EndpointSubset]) -> Desired {
    let mut by_places = ByPlaces::new();
    for (port, places) in by_port(subsets).into_values() {
        let same = places.iter().map(|(place, endpoint)| (place.clone(), is_ready(endpoint))).collect();
        by_places.entry(same).or_insert_with(|| (Vec::new(), places)).0.extend(port);
    }
    let mut desired = Desired { groups: Groups::new(), skipped: 0 };
    for (ports, places) in by_places.into_values() {
        desired.skipped += places.len().saturating_sub(MOST);
        let ports = Ports::of(&ports);
        for ((address, _), endpoint) in places.into_iter().take(MOST) {
            desired.groups.entry((Family::of(address), ports.clone())).or_default().push(endpoint);
        }
    }
    desired
}

/// The places behind each port; behind none, for subsets without ports.
fn by_port(subsets: &[EndpointSubset]) -> BTreeMap<Ports, (Option<EndpointPort>, Places)> {
    let mut found: BTreeMap<Ports, (Option<EndpointPort>, Places)> = BTreeMap::new();
    for subset in subsets {
        for port in ports(subset) {
            let key = Ports::of(port.as_slice());
            let (_, places) = found.entry(key).or_insert_with(|| (port, Places::new()));
            for (address, ready) in addresses(subset) {
                note(places, address, ready);
            }
        }
    }
    found
}

fn ports(subset: &EndpointSubset) -> Vec<Option<EndpointPort>> {
    let named = subset.ports.as_deref().unwrap_or_default();
    if named.is_empty() {
        return vec![None];
    }
    let one = |port: &k8s_openapi::api::core::v1::EndpointPort| EndpointPort {
        app_protocol: port.app_protocol.clone(),
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(port.port),
        protocol: port.protocol.clone(),
    };
    named.iter().map(|port| Some(one(port))).collect()
}

fn addresses(subset: &EndpointSubset) -> impl Iterator<Item = (&EndpointAddress, bool)> {
    let ready = subset.addresses.iter().flatten().map(|address| (address, true));
    ready.chain(subset.not_ready_addresses.iter().flatten().map(|address| (address, false)))
}

/// Who is said to be ready and not ready is not.
fn note(places: &mut Places, address: &EndpointAddress, ready: bool) {
    // The API server lets nothing in that is no address.
    let Ok(ip) = address.ip.parse::<IpAddr>() else { return };
    let target = address.target_ref.as_ref().and_then(|target| target.uid.clone());
    match places.entry((ip, target)) {
        Entry::Occupied(_) if ready => {}
        Entry::Occupied(mut known) => *known.get_mut() = endpoint(address, ip, ready),
        Entry::Vacant(place) => drop(place.insert(endpoint(address, ip, ready))),
    }
}

fn endpoint(address: &EndpointAddress, ip: IpAddr, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![ip.to_string()],
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        hostname: address.hostname.clone().filter(|name| !name.is_empty()),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    }
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) == Some(true)
}

/// One slice for each group: the one that is there for it, or a new one.
fn plan(endpoints: &Endpoints, groups: Groups, existing: Vec<Arc<EndpointSlice>>) -> Changes {
    let mut by_group: BTreeMap<(String, Ports), Vec<Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in existing {
        let ports = Ports::of(slice.ports.as_deref().unwrap_or_default());
        by_group.entry((slice.address_type.clone(), ports)).or_default().push(slice);
    }
    let mut changes = Changes::default();
    for ((family, ports), wanted) in groups {
        let mirror = mirror(endpoints, family, &ports, wanted);
        let there = by_group.remove(&(mirror.address_type.clone(), ports)).unwrap_or_default();
        let mut there = there.into_iter();
        match there.next() {
            None => changes.create.push(mirror),
            Some(slice) => changes.update.extend(redone(&slice, mirror)),
        }
        changes.delete.extend(there);
    }
    changes.delete.extend(by_group.into_values().flatten());
    changes
}

/// With the labels and annotations of the Endpoints, beside what a slice is found by.
fn mirror(endpoints: &Endpoints, family: Family, ports: &Ports, wanted: Vec<Endpoint>) -> EndpointSlice {
    let name = endpoints.metadata.name.clone().unwrap_or_default();
    let mut labels = endpoints.metadata.labels.clone().unwrap_or_default();
    let mut annotations = endpoints.metadata.annotations.clone().unwrap_or_default();
    annotations.retain(|name, _| name != service_pods::TRIGGER_TIME && name != LAST_APPLIED);
    labels.insert(SERVICE_NAME.into(), name.clone());
    labels.insert(MANAGED_BY.into(), OURS.into());
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(make_pods::prefix(&name)),
            namespace: endpoints.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: (!annotations.is_empty()).then_some(annotations),
            owner_references: Some(vec![owner::reference(endpoints)]),
            ..ObjectMeta::default()
        },
        address_type: family.as_str().into(),
        endpoints: Some(wanted),
        ports: Some(ports.to_list()),
    }
}

/// The slice as it should be, if that is not what it is.
fn redone(slice: &EndpointSlice, mirror: EndpointSlice) -> Option<EndpointSlice> {
    let said = |slice: &EndpointSlice| {
        let metadata = &slice.metadata;
        let annotations = metadata.annotations.clone().unwrap_or_default();
        (metadata.labels.clone(), annotations, metadata.owner_references.clone(), slice.endpoints.clone())
    };
    if said(slice) == said(&mirror) {
        return None;
    }
    let metadata = ObjectMeta {
        labels: mirror.metadata.labels,
        annotations: mirror.metadata.annotations,
        owner_references: mirror.metadata.owner_references,
        ..slice.metadata.clone()
    };
    Some(EndpointSlice { metadata, ..mirror })
}

#[cfg(test)]
mod tests {
    use api::codec::Typed;
    use serde_json::{Value, json};

    use super::*;

    fn endpoints(subsets: &Value) -> Endpoints {
        let metadata = json!({"name": "db", "namespace": "shop", "uid": "e", "labels": {"tier": "back"},
            "annotations": {"note": "x", LAST_APPLIED: "{}"}});
        let endpoints =
            json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets});
        Endpoints::decode(endpoints.to_string().as_bytes()).unwrap()
    }

    fn planned(endpoints: &Endpoints, existing: &[Arc<EndpointSlice>]) -> Changes {
        plan(endpoints, desired(endpoints.subsets.as_deref().unwrap()).groups, existing.to_vec())
    }

    /// Family, ports and addresses with whether they are ready.
    type Shown = (String, Vec<i32>, Vec<(String, bool)>);

    fn shown(slices: &[EndpointSlice]) -> Vec<Shown> {
        let one = |slice: &EndpointSlice| {
            let ports = slice.ports.iter().flatten().filter_map(|port| port.port).collect();
            let endpoints = slice.endpoints.iter().flatten();
            let addresses = endpoints.map(|it| (it.addresses[0].clone(), is_ready(it))).collect();
            (slice.address_type.clone(), ports, addresses)
        };
        slices.iter().map(one).collect()
    }

    #[test]
    fn ports_of_the_same_addresses_share_a_slice_and_families_do_not() {
        let subset = |port: i32| json!({"addresses": [{"ip": "10.1.2.3"}, {"ip": "fd00::1"}], "ports": [{"port": port, "name": port.to_string()}]});
        let made = planned(&endpoints(&json!([subset(80), subset(81)])), &[]).create;
        let of =
            |family: &str, address: &str| (family.to_owned(), vec![80, 81], vec![(address.to_owned(), true)]);
        assert_eq!(shown(&made), [of("IPv4", "10.1.2.3"), of("IPv6", "fd00::1")]);
        let metadata = &made[0].metadata;
        let labels = json!({"tier": "back", SERVICE_NAME: "db", MANAGED_BY: OURS});
        assert_eq!(json!(metadata.labels), labels);
        assert_eq!(json!(metadata.annotations), json!({"note": "x"}));
        assert_eq!(metadata.owner_references.as_ref().unwrap()[0].kind, "Endpoints");
    }

    #[test]
    fn who_is_ready_and_not_ready_is_not() {
        let both = json!([{"addresses": [{"ip": "10.1.2.3"}], "notReadyAddresses": [{"ip": "10.1.2.3"}, {"ip": "10.1.2.4"}],
            "ports": [{"port": 80}]}]);
        let made = planned(&endpoints(&both), &[]).create;
        let none = vec![("10.1.2.3".to_owned(), false), ("10.1.2.4".to_owned(), false)];
        assert_eq!(shown(&made), [("IPv4".to_owned(), vec![80], none)]);
    }

    #[test]
    fn a_slice_is_changed_in_its_place_and_one_that_fits_is_left_alone() {
        let of =
            |ip: &str, port: i32| endpoints(&json!([{"addresses": [{"ip": ip}], "ports": [{"port": port}]}]));
        let mut slice = planned(&of("10.1.2.3", 80), &[]).create.remove(0);
        slice.metadata.name = Some("db-x".into());
        let existing = [Arc::new(slice)];
        let same = planned(&of("10.1.2.3", 80), &existing);
        assert!(same.create.is_empty() && same.update.is_empty() && same.delete.is_empty());
        let moved = planned(&of("10.2.3.4", 80), &existing);
        assert_eq!((moved.create.len(), moved.update.len(), moved.delete.len()), (0, 1, 0));
        assert_eq!(moved.update[0].metadata.name.as_deref(), Some("db-x"));
        let other = planned(&of("10.1.2.3", 81), &existing);
        assert_eq!((other.create.len(), other.update.len(), other.delete.len()), (1, 0, 1));
    }

    #[test]
    fn no_slice_takes_more_than_a_thousand() {
        let all: Vec<Value> =
            (0..1002).map(|n| json!({"ip": format!("10.1.{}.{}", n / 200, n % 200)})).collect();
        let desired = desired(endpoints(&json!([{"addresses": all}])).subsets.as_deref().unwrap());
        assert_eq!((desired.skipped, desired.groups.into_values().next().unwrap().len()), (2, 1000));
    }
}
