//! Free addresses and ports: those that are named are checked, those that are not are drawn.
//!
//! Drawn at random, and from the upper part of a range first: people who name one themselves take low ones (the cluster's
//! DNS is the tenth), and what was just given back is not given to somebody else at once.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use api::field::{Errors, Node};
use api::status::Status;
use api::value::{int, items_mut, list, replace, text};
use ipnet::IpNet;
use serde_json::{Value, json};
use store::Store;

use super::claims::{Claim, claims};
use super::networks::{Family, Networks};
use super::{wants_address, wants_node_ports};
use crate::random;

const FIRST_NODE_PORT: u16 = 30_000;
const LAST_NODE_PORT: u16 = 32_767;
/// The first so many are for people who choose themselves, as upstream's.
const NODE_PORTS_SET_ASIDE: u16 = 86;
/// Draws before the search goes one by one.
const DRAWS: usize = 32;

pub(super) struct Picker<'a> {
    store: &'a Store,
    networks: &'a Networks,
    /// What the Service holds already.
    held: BTreeSet<Claim>,
}

impl<'a> Picker<'a> {
    pub(super) fn new(store: &'a Store, networks: &'a Networks, old: Option<&Value>) -> Self {
        Self { store, networks, held: old.map(claims).unwrap_or_default() }
    }

    fn is_free(&self, claim: Claim) -> bool {
        self.held.contains(&claim) || self.store.get(&claim.key()).is_none()
    }

    /// One address for each of the Service's families.
    pub(super) fn addresses(&self, service: &mut Value, errors: &mut Errors) -> Result<(), Status> {
        let spec = &service["spec"];
        if !wants_address(spec) {
            return Ok(());
        }
        let named: Vec<IpAddr> =
            list(spec, "clusterIPs").iter().filter_map(|address| address.as_str()?.parse().ok()).collect();
        self.check_addresses(service, &named, errors);
        let families =
            list(&service["spec"], "ipFamilies").iter().filter_map(|name| Family::named(name.as_str()?));
        let mut all = Vec::new();
        for family in families {
            let address = named.iter().copied().find(|address| Family::of(*address) == family);
            let address = address.or_else(|| self.draw_address(family));
            all.push(address.ok_or_else(|| full("serviceIP"))?.to_string());
        }
        if let (Some(spec), Some(first)) = (service.get_mut("spec"), all.first()) {
            replace(spec, "clusterIP", Some(first.clone().into()));
            replace(spec, "clusterIPs", Some(json!(all)));
        }
        Ok(())
    }

    fn check_addresses(&self, service: &Value, named: &[IpAddr], errors: &mut Errors) {
        let root = Node::root(service);
        let all = root.at("spec.clusterIPs");
        for address in named {
            let claim = Claim::Address(*address);
            if self.held.contains(&claim) {
                continue;
            }
            let why = if !self.networks.holds(*address) {
                let range = self.networks.shown();
                format!(
                    "the provided IP ({address}) is not in the valid range. The range of valid IPs is {range}"
                )
            } else if !self.is_free(claim) {
                "provided IP is already allocated".to_owned()
            } else {
                continue;
            };
            errors.push(all.invalid(format!("failed to allocate IP {address}: {why}")));
        }
    }

    fn draw_address(&self, family: Family) -> Option<IpAddr> {
        self.networks.of_family(family).find_map(|network| {
            let range = Range::of(network);
            range.search(|offset| {
                let address = range.address(offset);
                self.is_free(Claim::Address(address)).then_some(address)
            })
        })
    }

    /// A node port for each port, and one for health checks where the Service has any.
    pub(super) fn node_ports(&self, service: &mut Value, errors: &mut Errors) -> Result<(), Status> {
        self.check_node_ports(service, errors);
        let Some(spec) = service.get_mut("spec") else { return Ok(()) };
        let mut taken: BTreeSet<u16> = node_ports(spec).collect();
        if wants_node_ports(spec) {
            let mut shared: Vec<(i64, String, i64)> = list(spec, "ports").iter().map(numbers).collect();
            for (index, port) in items_mut(spec, "ports").enumerate() {
                if int(port, "nodePort") != 0 {
                    continue;
                }
                // The same port over another protocol is the same port to people.
                let (number, protocol, _) = numbers(port);
                let twin = shared.iter().find(|(other, over, node_port)| {
                    *other == number && *over != protocol && *node_port != 0
                });
                let node_port = match twin {
                    Some((_, _, node_port)) => Some(*node_port),
                    None => self.draw_node_port(&mut taken).map(i64::from),
                };
                let node_port = node_port.ok_or_else(|| full("nodePort"))?;
                replace(port, "nodePort", Some(node_port.into()));
                if let Some(noted) = shared.get_mut(index) {
                    noted.2 = node_port;
                }
            }
        }
        let local = text(spec, "type") == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local";
        if local && int(spec, "healthCheckNodePort") == 0 {
            let port = self.draw_node_port(&mut taken).ok_or_else(|| full("HealthCheckNodePort"))?;
            replace(spec, "healthCheckNodePort", Some(port.into()));
        }
        Ok(())
    }

    fn check_node_ports(&self, service: &Value, errors: &mut Errors) {
        let root = Node::root(service);
        let spec = root.at("spec");
        let ports = spec.at("ports");
        for port in ports.items() {
            self.check_node_port(&port.at("nodePort"), errors);
        }
        self.check_node_port(&spec.at("healthCheckNodePort"), errors);
    }

    fn check_node_port(&self, port: &Node<'_, '_>, errors: &mut Errors) {
        let Some(number) = port.int().filter(|number| *number != 0) else { return };
        let valid =
            u16::try_from(number).ok().filter(|port| (FIRST_NODE_PORT..=LAST_NODE_PORT).contains(port));
        match valid {
            Some(number) if self.is_free(Claim::NodePort(number)) => {}
            Some(_) => errors.push(port.invalid("provided port is already allocated")),
            None => errors.push(port.invalid(format!(
                "provided port is not in the valid range. The range of valid ports is {FIRST_NODE_PORT}-{LAST_NODE_PORT}"
            ))),
        }
    }

    fn draw_node_port(&self, taken: &mut BTreeSet<u16>) -> Option<u16> {
        let range = Range {
            base: 0,
            first: FIRST_NODE_PORT.into(),
            last: LAST_NODE_PORT.into(),
            aside: NODE_PORTS_SET_ASIDE.into(),
            v4: true,
        };
        let port = range.search(|port| {
            let port = u16::try_from(port).ok()?;
            (!taken.contains(&port) && self.is_free(Claim::NodePort(port))).then_some(port)
        })?;
        taken.insert(port);
        Some(port)
    }
}

fn full(what: &str) -> Status {
    Status::internal(&format!("failed to allocate a {what}: range is full"))
}

fn numbers(port: &Value) -> (i64, String, i64) {
    (int(port, "port"), text(port, "protocol").to_owned(), int(port, "nodePort"))
}

fn node_ports(spec: &Value) -> impl Iterator<Item = u16> {
    let ports = list(spec, "ports").iter().map(|port| int(port, "nodePort"));
    ports.filter_map(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
}

/// Numbers from `first` to `last`, of which the lowest `aside` are given out last.
struct Range {
    base: u128,
    first: u128,
    last: u128,
    aside: u128,
    v4: bool,
}

impl Range {
    /// The addresses of a network without its first and, for IPv4, its last one.
    fn of(network: &IpNet) -> Self {
        let bits = network.max_prefix_len() - network.prefix_len();
        let size = 1_u128.checked_shl(bits.into()).unwrap_or(u128::MAX);
        let (base, last) = match network.network() {
            IpAddr::V4(base) => (u128::from(base.to_bits()), size.saturating_sub(2)),
            IpAddr::V6(base) => (base.to_bits(), size.saturating_sub(1)),
        };
        // As upstream: a sixteenth, between 16 and 256.
        let aside = if size < 64 { 0 } else { (size / 16).clamp(16, 256) };
        Self { base, first: 1, last: last.max(1), aside, v4: network.addr().is_ipv4() }
    }

    fn address(&self, offset: u128) -> IpAddr {
        let bits = self.base.saturating_add(offset);
        if self.v4 {
            Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(u32::MAX)).into()
        } else {
            Ipv6Addr::from_bits(bits).into()
        }
    }

    /// Draws, then tries what is left one by one: the upper part, then the part that was set aside.
    fn search<T>(&self, mut take: impl FnMut(u128) -> Option<T>) -> Option<T> {
        let split = (self.first + self.aside).min(self.last);
        let span = self.last - split + 1;
        let start = u128::from(u64::from_le_bytes(random::bytes::<8>()));
        for _ in 0..DRAWS {
            let drawn = split + u128::from(u64::from_le_bytes(random::bytes::<8>())) % span;
            if let Some(taken) = take(drawn) {
                return Some(taken);
            }
        }
        // A network of more than this is not full.
        let most = span.min(1 << 20);
        (0..most).map(|step| split + (start + step) % span).chain(self.first..split).find_map(take)
    }
}
