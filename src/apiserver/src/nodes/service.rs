//! A Service's proxy: one of its ready endpoints, directly.

use std::net::SocketAddr;

use api::kinds;
use api::status::Status;
use api::value::{at, list, text};
use serde_json::Value;
use store::Store;

use super::route::{self, Place, Route};
use crate::object::stored;
use crate::random;
use crate::request::Resource;

pub(super) fn route(store: &Store, resource: &Resource, query: &str) -> Result<Route, Status> {
    let named = resource.name.as_deref().unwrap_or_default();
    let parts: Vec<&str> = named.split(':').collect();
    let (name, port) = match parts[..] {
        [name] => (name, ""),
        [name, port] | ["http" | "", name, port] => (name, port),
        ["https", ..] => return Err(Status::bad_request("services are reached by http here, not by https")),
        _ => return Err(Status::bad_request(format!("invalid service request {named:?}"))),
    };
    let key = stored::key(resource.kind, resource.namespace.as_deref(), name);
    let service = route::parsed(&store.get(&key).ok_or_else(|| route::not_found(resource, name))?)?;
    let port = port_name(&service, port)?;
    let endpoints = endpoints(store, resource, name, &port)?;
    let none = || Status::unavailable(&format!("no endpoints available for service {named:?}"));
    let drawn = usize::from(random::bytes::<1>()[0]) % endpoints.len().max(1);
    let address = *endpoints.get(drawn).ok_or_else(none)?;
    Ok(Route { place: Place::Address(address), path: route::with_query(&route::below(resource), query) })
}

/// The name of the port that is meant by its name, its number, or as the only one.
fn port_name(service: &Value, port: &str) -> Result<String, Status> {
    let ports = list(at(service, "spec"), "ports");
    let meant = |candidate: &&Value| {
        port.is_empty() || text(candidate, "name") == port || candidate["port"].as_u64() == port.parse().ok()
    };
    let found = ports.iter().find(meant).ok_or_else(|| {
        Status::unavailable(&format!(
            "no service port {port:?} found for service {:?}",
            text(service, "metadata.name")
        ))
    })?;
    Ok(text(found, "name").to_owned())
}

fn endpoints(
    store: &Store,
    resource: &Resource,
    service: &str,
    port: &str,
) -> Result<Vec<SocketAddr>, Status> {
    let kind = kinds::by_resource("discovery.k8s.io", "v1", "endpointslices")
        .ok_or_else(|| Status::internal("there are no EndpointSlices"))?;
    let mut found = Vec::new();
    for entry in store.snapshot(&stored::collection(kind, resource.namespace.as_deref())).iter() {
        let slice = route::parsed(entry)?;
        if slice["metadata"]["labels"]["kubernetes.io/service-name"] != service {
            continue;
        }
        let of_port = list(&slice, "ports").iter().filter(|candidate| text(candidate, "name") == port);
        let numbers: Vec<u16> =
            of_port.filter_map(|port| u16::try_from(port["port"].as_u64()?).ok()).collect();
        let ready =
            list(&slice, "endpoints").iter().filter(|endpoint| endpoint["conditions"]["ready"] != false);
        for address in ready.flat_map(|endpoint| list(endpoint, "addresses")) {
            let address = address.as_str().and_then(|address| address.parse().ok());
            found.extend(
                address
                    .into_iter()
                    .flat_map(|address| numbers.iter().map(move |number| SocketAddr::new(address, *number))),
            );
        }
    }
    Ok(found)
}
