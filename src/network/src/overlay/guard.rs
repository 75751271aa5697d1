//! Between the cluster and the world: pods go out under the node's address, and addresses of the cluster do not go out at all.
//!
//! An address in the cluster's networks that no node has is unreachable. One of a Service is translated before it is
//! routed, by whoever routes Services; but a program on the node itself needs a route to it before it may even send. So the
//! service networks lead to the link of the other nodes, and what is still addressed to them behind all translation is dropped: a
//! Service that is not known yet is tried again by its client, and never heard of outside. (Rejected: the loopback
//! link. To the kernel everything beyond it is local, also the sender of a refusal, and IPv6 has no routes to it.)

use std::collections::BTreeSet;

use ipnet::IpNet;
use rtnetlink::packet_route::AddressFamily;

use super::{Error, OverlayConfig};
use crate::netlink::Netlink;
use crate::nft::{Base, Chain, Expression as E, Field, Hook, Kind, Rule, Ruleset, Value, Verdict, priority};
use crate::route::{Route, Way};

pub(super) const TABLE: &str = "skiff-overlay";
/// The routing type of this machine's own addresses.
const LOCAL: u32 = 2;

/// Makes these the fall-back routes that there are.
pub(super) async fn routes(kernel: &Netlink, config: &OverlayConfig, index: u32) -> Result<(), Error> {
    let wanted = fall_backs(config, index);
    let mut found = BTreeSet::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let fall_back = |route: &Route| matches!(route.way, Way::Last { .. } | Way::Unreachable);
        found.extend(kernel.routes(family).await?.iter().filter_map(Route::of).filter(fall_back));
    }
    for route in wanted.difference(&found) {
        kernel.route(route).await?;
    }
    for route in found.difference(&wanted) {
        kernel.remove_route(route).await?;
    }
    Ok(())
}

/// Makes those of the pods' networks, which need no link.
pub(super) async fn routes_to_nobody(kernel: &Netlink, config: &OverlayConfig) -> Result<(), Error> {
    for route in to_nobody(config) {
        kernel.route(&route).await?;
    }
    Ok(())
}

fn fall_backs(config: &OverlayConfig, index: u32) -> BTreeSet<Route> {
    let services = config.service_cidrs.iter();
    let services = services.map(|network| Route { destination: network.trunc(), way: Way::Last { index } });
    to_nobody(config).chain(services).collect()
}

fn to_nobody(config: &OverlayConfig) -> impl Iterator<Item = Route> {
    let networks = config.cluster_cidrs.iter();
    networks.map(|network| Route { destination: network.trunc(), way: Way::Unreachable })
}

pub(super) fn rules(config: &OverlayConfig) -> Ruleset {
    let filter = |hook| {
        Some(Base { kind: Kind::Filter, hook, priority: priority::FILTER + 10 }) // behind those who refuse politely
    };
    let nat = Some(Base { kind: Kind::Nat, hook: Hook::Postrouting, priority: priority::SOURCE_NAT });
    let unknown: Vec<Rule> = config.service_cidrs.iter().map(drop_to).collect();
    let chain = |name: &str, base, rules| Chain { name: name.into(), base, rules };
    Ruleset {
        table: TABLE.into(),
        sets: Vec::new(),
        chains: vec![
            chain("forward", filter(Hook::Forward), unknown.clone()),
            chain("output", filter(Hook::Output), unknown),
            chain("leave", nat, config.pod_cidrs.iter().map(|network| leave(network, config)).collect()),
        ],
    }
}

/// Unless it is an address that this node answers at itself.
fn drop_to(network: &IpNet) -> Rule {
    let network = network.trunc();
    let service = E::Network { field: destination(&network), network, inside: true };
    let elsewhere = E::Unequal(Field::DestinationType, Value::number(LOCAL));
    Rule(vec![service, elsewhere, E::Verdict(Verdict::Drop)])
}

/// What a pod sends out of the cluster carries the node's address; groups keep their members.
fn leave(pods: &IpNet, config: &OverlayConfig) -> Rule {
    let (source, groups) = match pods {
        IpNet::V4(_) => (Field::Ip4Source, IpNet::V4(ipnet::Ipv4Net::new_assert(MULTICAST, 4))),
        IpNet::V6(_) => (Field::Ip6Source, IpNet::V6(ipnet::Ipv6Net::new_assert(MULTICAST6, 8))),
    };
    let same = |network: &&IpNet| matches!(network, IpNet::V4(_)) == matches!(pods, IpNet::V4(_));
    let outside = config.cluster_cidrs.iter().chain([&groups]).filter(same).map(|network| E::Network {
        field: destination(network),
        network: network.trunc(),
        inside: false,
    });
    let inside = E::Network { field: source, network: pods.trunc(), inside: true };
    Rule([inside].into_iter().chain(outside).chain([E::Masquerade]).collect())
}

const MULTICAST: std::net::Ipv4Addr = std::net::Ipv4Addr::new(224, 0, 0, 0);
const MULTICAST6: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0);

fn destination(network: &IpNet) -> Field {
    match network {
        IpNet::V4(_) => Field::Ip4Destination,
        IpNet::V6(_) => Field::Ip6Destination,
    }
}
