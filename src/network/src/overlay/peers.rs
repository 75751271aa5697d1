//! What the kernel must know of the other nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::packet_route::AddressFamily;

use super::{Backend, Peer};
use crate::netlink::{Error, Mac, Netlink};
use crate::route::{Route, Way};

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tables {
    routes: BTreeSet<Route>,
    /// Which hardware address a gateway has.
    neighbours: BTreeMap<IpAddr, Mac>,
    /// On which node a hardware address is.
    forwarding: BTreeMap<Mac, IpAddr>,
}

/// `index` is the link on which the gateways are.
pub(super) fn desired(backend: Backend, index: u32, peers: &[Peer]) -> Tables {
    let mut tables = Tables::default();
    for peer in peers {
        match (backend, peer.mac) {
            (Backend::Vxlan { .. }, Some(mac)) => tables.add_vxlan(index, peer, mac),
            (Backend::HostGw, _) => tables.add_gateway(index, peer),
            (Backend::Vxlan { .. }, None) | (Backend::None, _) => {}
        }
    }
    tables
}

impl Tables {
    /// A peer's gateway is the first address of its network.
    fn add_vxlan(&mut self, index: u32, peer: &Peer, mac: Mac) {
        self.forwarding.insert(mac, peer.node_ip);
        for network in &peer.pod_cidrs {
            let gateway = network.network();
            self.neighbours.insert(gateway, mac);
            self.routes.insert(Route { destination: network.trunc(), way: Way::OnLink { index, gateway } });
        }
    }

    fn add_gateway(&mut self, index: u32, peer: &Peer) {
        let same = |network: &&IpNet| network.addr().is_ipv6() == peer.node_ip.is_ipv6();
        let routes = peer.pod_cidrs.iter().filter(same).map(|network| Route {
            destination: network.trunc(),
            way: Way::Gateway { index, gateway: peer.node_ip },
        });
        self.routes.extend(routes);
    }
}

/// The tables that are there.
#[derive(Debug)]
pub(super) struct Kernel<'a> {
    pub(super) netlink: &'a Netlink,
    /// Only a device of ours has neighbours of ours.
    pub(super) device: Option<u32>,
}

impl Kernel<'_> {
    /// New ones first, each table before the one that leads to it: no packet is lost that has a way before and after.
    pub(super) async fn become_like(&self, wanted: &Tables) -> Result<(), Error> {
        let found = self.read().await?;
        if let Some(index) = self.device {
            for (mac, node) in missing(&wanted.forwarding, &found.forwarding) {
                self.netlink.forward(index, *mac, *node).await?;
            }
            for (address, mac) in missing(&wanted.neighbours, &found.neighbours) {
                self.netlink.neighbour(index, *address, *mac).await?;
            }
        }
        for route in wanted.routes.difference(&found.routes) {
            self.netlink.route(route).await?;
        }
        for route in found.routes.difference(&wanted.routes) {
            self.netlink.remove_route(route).await?;
        }
        if let Some(index) = self.device {
            for address in found.neighbours.keys().filter(|address| !wanted.neighbours.contains_key(address))
            {
                self.netlink.remove_neighbour(index, *address).await?;
            }
            for (mac, node) in
                found.forwarding.iter().filter(|(mac, _)| !wanted.forwarding.contains_key(*mac))
            {
                self.netlink.remove_forward(index, *mac, *node).await?;
            }
        }
        Ok(())
    }

    async fn read(&self) -> Result<Tables, Error> {
        let mut tables = Tables::default();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let routes = self.netlink.routes(family).await?;
            let to_peers = |route: &Route| matches!(route.way, Way::Gateway { .. } | Way::OnLink { .. });
            tables.routes.extend(routes.iter().filter_map(Route::of).filter(to_peers));
            if let Some(index) = self.device {
                tables.neighbours.extend(self.netlink.neighbours(index, family).await?);
            }
        }
        if let Some(index) = self.device {
            tables.forwarding.extend(self.netlink.forwarding(index).await?);
        }
        Ok(tables)
    }
}

fn missing<'a, K: Ord, V: PartialEq>(
    wanted: &'a BTreeMap<K, V>,
    found: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    wanted.iter().filter(|(key, value)| found.get(key) != Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(mac: Option<Mac>) -> Peer {
        let pod_cidrs = vec!["10.42.1.0/24".parse().unwrap(), "fd42:1::/64".parse().unwrap()];
        Peer { node_ip: "192.0.2.2".parse().unwrap(), pod_cidrs, mac }
    }

    #[test]
    fn a_peer_behind_vxlan_is_a_route_and_a_neighbour_per_family_and_one_place() {
        let tables = desired(Backend::default(), 7, &[peer(Some([2; 6])), peer(None)]);
        let routes: Vec<String> = tables.routes.iter().map(ToString::to_string).collect();
        assert_eq!(routes, ["10.42.1.0/24 by 10.42.1.0 on link 7", "fd42:1::/64 by fd42:1:: on link 7"]);
        assert_eq!(tables.neighbours.len(), 2);
        assert_eq!(tables.forwarding, BTreeMap::from([([2; 6], "192.0.2.2".parse().unwrap())]));
    }

    #[test]
    fn a_peer_on_the_same_link_is_the_gateway_of_its_family() {
        let tables = desired(Backend::HostGw, 7, &[peer(None)]);
        let routes: Vec<String> = tables.routes.iter().map(ToString::to_string).collect();
        assert_eq!(routes, ["10.42.1.0/24 by 192.0.2.2 on link 7"]);
        assert_eq!(desired(Backend::None, 7, &[peer(None)]), Tables::default());
    }
}
