//! Where a request goes, and under which path.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use api::status::Status;
use api::value::text;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use store::{Entry, Store};
use transport::tunnel::Stream;

use crate::answer;
use crate::object::stored;
use crate::request::Resource;

/// A pod that does not answer by then will not.
const PATIENCE: Duration = Duration::from_secs(10);

/// What stands in a path as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

#[derive(Debug)]
pub(super) struct Route {
    pub(super) place: Place,
    /// With its query.
    pub(super) path: String,
}

#[derive(Debug)]
pub(super) enum Place {
    Node(String),
    /// Within the cluster's network.
    Address(SocketAddr),
}

pub(super) fn to_node(store: &Store, resource: &Resource, query: &str) -> Result<Route, Status> {
    // `NAME:PORT` names a port of the kubelet; there is one, and it is reached without.
    let named = resource.name.as_deref().unwrap_or_default();
    let (name, port) = named.rsplit_once(':').unwrap_or((named, ""));
    if !port.is_empty() && port != "10250" {
        return Err(Status::bad_request(format!(
            "nodes are reached by the port of their agent, not by {port}"
        )));
    }
    let name = name.rsplit_once(':').map_or(name, |(_, name)| name);
    let node = resource.kind;
    let entry = store.get(&stored::key(node, None, name)).ok_or_else(|| not_found(resource, name))?;
    let node = text(&parsed(&entry)?, "metadata.name").to_owned();
    Ok(Route { place: Place::Node(node), path: with_query(&below(resource), query) })
}

pub(super) fn not_found(resource: &Resource, name: &str) -> Status {
    Status::not_found(api::status::Resource { group: resource.kind.group, name: resource.kind.plural }, name)
}

pub(super) fn parsed(entry: &Entry) -> Result<Value, Status> {
    serde_json::from_slice(entry.value()).map_err(|error| answer::damaged(entry, &error))
}

/// The path behind `proxy`.
pub(super) fn below(resource: &Resource) -> String {
    let parts = resource.subresource.as_ref().map(|(_, parts)| parts.as_slice()).unwrap_or_default();
    let mut path = String::new();
    for part in parts {
        path.push('/');
        path.extend(utf8_percent_encode(part, SEGMENT));
    }
    if path.is_empty() { "/".into() } else { path }
}

pub(super) fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

pub(super) async fn dial(address: SocketAddr) -> io::Result<Stream> {
    tokio::time::timeout(PATIENCE, tokio::net::TcpStream::connect(address)).await?.map(Stream::new)
}
