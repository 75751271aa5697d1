//! What a Service holds, and the records that say so.

use std::collections::BTreeSet;
use std::net::IpAddr;

use api::kinds::{self, Kind};
use api::value::{int, list, text};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{Precondition, Store, Write};

use crate::object::stored::{self, Head};
use crate::verb;

/// Node ports have no kind upstream: a record of our own, beside the objects.
const NODE_PORTS: &str = "/nodeports/";

/// One thing that only one Service can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Claim {
    Address(IpAddr),
    NodePort(u16),
}

impl Claim {
    pub(super) fn key(self) -> String {
        match self {
            Self::Address(address) => match addresses() {
                Some(kind) => stored::key(kind, None, &address.to_string()),
                None => format!("/ipaddresses/{address}"),
            },
            Self::NodePort(port) => format!("{NODE_PORTS}{port}"),
        }
    }

    fn record(self, service: &Value) -> Bytes {
        match (self, addresses()) {
            (Self::Address(address), Some(kind)) => Head::of(kind).encode(&address_object(address, service)),
            _ => Bytes::from(holder(service).to_string()),
        }
    }
}

fn addresses() -> Option<&'static Kind> {
    kinds::by_resource("networking.k8s.io", "v1", "ipaddresses")
}

fn holder(service: &Value) -> Value {
    json!({"group": "", "resource": "services",
        "namespace": text(service, "metadata.namespace"), "name": text(service, "metadata.name")})
}

fn address_object(address: IpAddr, service: &Value) -> Value {
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    json!({
        "metadata": {
            "name": address.to_string(),
            "uid": verb::uid(),
            "creationTimestamp": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "labels": {"ipaddress.kubernetes.io/ip-family": family,
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"},
        },
        "spec": {"parentRef": holder(service)},
    })
}

/// All that a Service holds.
pub(super) fn claims(service: &Value) -> BTreeSet<Claim> {
    let spec = &service["spec"];
    let addresses = list(spec, "clusterIPs").iter().filter_map(|address| address.as_str()?.parse().ok());
    let ports = list(spec, "ports").iter().map(|port| int(port, "nodePort"));
    let health = int(spec, "healthCheckNodePort");
    let ports = ports.chain([health]).filter(|port| *port != 0).filter_map(|port| u16::try_from(port).ok());
    addresses.map(Claim::Address).chain(ports.map(Claim::NodePort)).collect()
}

/// The writes that go with one of a Service from `old` to `new`.
pub(crate) fn changes(store: &Store, old: Option<&Value>, new: Option<&Value>) -> Vec<Write> {
    let held = old.map(claims).unwrap_or_default();
    let wanted = new.map(claims).unwrap_or_default();
    let record = |claim: &Claim| new.map(|service| Write::create(claim.key(), claim.record(service)));
    let taken = wanted.difference(&held).filter_map(record);
    // Somebody may have deleted an IPAddress by hand: its Service must still be able to go.
    let there = |claim: &&Claim| store.get(&claim.key()).is_some();
    let given = held.difference(&wanted).filter(there);
    taken.chain(given.map(|claim| Write::delete(claim.key(), Precondition::Exists))).collect()
}

/// Whether a key that was in the way is that of something a Service holds.
pub(crate) fn is_claim(key: &str) -> bool {
    key.starts_with(NODE_PORTS) || key.starts_with("/ipaddresses")
}
