//! The cluster's networks: which addresses are pods, which are Services, and where DNS answers.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Serialize;

use super::names::DnsName;
use super::typed::{NetworkArgs, NetworkBackend};

/// Every list has one entry per address family, the preferred family first, and all lists the same families.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Network {
    pub(crate) cluster_cidr: Vec<IpNet>,
    pub(crate) service_cidr: Vec<IpNet>,
    pub(crate) cluster_dns: Vec<IpAddr>,
    pub(crate) cluster_domain: DnsName,
    pub(crate) backend: NetworkBackend,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("--{option} takes at most one entry per address family, IPv4 and IPv6")]
    Families { option: &'static str },
    #[error("--{option} and --{other} must have the same address families (IPv4, IPv6 or both)")]
    Mismatch { option: &'static str, other: &'static str },
    #[error("--cluster-cidr {cluster} and --service-cidr {service} overlap")]
    Overlap { cluster: IpNet, service: IpNet },
    #[error("--cluster-cidr {network} is too small: every node takes a /{node} of it")]
    NoRoomForNodes { network: IpNet, node: u8 },
    #[error("--service-cidr {network} is too small for a default --cluster-dns, its tenth address")]
    NoRoomForDns { network: IpNet },
    #[error("--cluster-dns {address} is not in --service-cidr {}", list(networks))]
    DnsOutside { address: IpAddr, networks: Vec<IpNet> },
    #[error(
        "--cluster-dns {address} is taken: the first addresses of --service-cidr belong to the network and the API"
    )]
    DnsTaken { address: IpAddr },
}

/// The address of DNS in each Service network unless another is given, as in k3s.
const DNS_INDEX: u128 = 10;

impl NetworkArgs {
    /// `node_ip` decides the family of the defaults, and must match what was given.
    pub(super) fn meaning(self, node_ip: &[IpAddr]) -> Result<Network, Error> {
        let ipv6_first = node_ip.first().is_some_and(IpAddr::is_ipv6);
        let cluster_cidr = or_default(&self.cluster_cidr, ipv6_first, CLUSTER_CIDR);
        let service_cidr = or_default(&self.service_cidr, ipv6_first, SERVICE_CIDR);
        check_families(&cluster_cidr, &service_cidr, node_ip)?;
        check_room(&cluster_cidr, &service_cidr)?;
        let cluster_dns = match self.cluster_dns.is_empty() {
            true => service_cidr.iter().map(default_dns).collect::<Result<_, _>>()?,
            false => given_dns(self.cluster_dns, &service_cidr)?,
        };
        let (cluster_domain, backend) = (self.cluster_domain, self.network_backend);
        Ok(Network { cluster_cidr, service_cidr, cluster_dns, cluster_domain, backend })
    }
}

type Defaults = (Ipv4Net, Ipv6Net);

const CLUSTER_CIDR: Defaults = (
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 42, 0, 0), 16),
    Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0), 56),
);
const SERVICE_CIDR: Defaults = (
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 43, 0, 0), 16),
    Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xfd00, 0x43, 0, 0, 0, 0, 0, 0), 112),
);

fn or_default(given: &[IpNet], ipv6: bool, (v4, v6): Defaults) -> Vec<IpNet> {
    match (given.is_empty(), ipv6) {
        (true, true) => vec![v6.into()],
        (true, false) => vec![v4.into()],
        // A network is its masked form, as Go's parser reads it.
        (false, _) => given.iter().map(IpNet::trunc).collect(),
    }
}

fn check_families(cluster: &[IpNet], service: &[IpNet], node_ip: &[IpAddr]) -> Result<(), Error> {
    let cluster = families("cluster-cidr", cluster.iter().map(IpNet::addr))?;
    let service = families("service-cidr", service.iter().map(IpNet::addr))?;
    let node = families("node-ip", node_ip.iter().copied())?;
    if cluster != service {
        return Err(Error::Mismatch { option: "cluster-cidr", other: "service-cidr" });
    }
    // A node without given addresses finds them itself.
    if node != (false, false) && cluster != node {
        return Err(Error::Mismatch { option: "cluster-cidr", other: "node-ip" });
    }
    Ok(())
}

/// Whether there is an IPv4 and an IPv6 address; two of one family are an error.
pub(super) fn families(
    option: &'static str,
    addresses: impl Iterator<Item = IpAddr>,
) -> Result<(bool, bool), Error> {
    let mut found = (false, false);
    for address in addresses {
        let family = if address.is_ipv4() { &mut found.0 } else { &mut found.1 };
        if std::mem::replace(family, true) {
            return Err(Error::Families { option });
        }
    }
    Ok(found)
}

fn check_room(cluster: &[IpNet], service: &[IpNet]) -> Result<(), Error> {
    for network in cluster {
        let node = if network.addr().is_ipv4() { 24 } else { 64 };
        if network.prefix_len() > node {
            return Err(Error::NoRoomForNodes { network: *network, node });
        }
        if let Some(overlapped) = service.iter().find(|service| overlap(network, service)) {
            return Err(Error::Overlap { cluster: *network, service: *overlapped });
        }
    }
    Ok(())
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

fn default_dns(network: &IpNet) -> Result<IpAddr, Error> {
    let address = indexed(network.network(), DNS_INDEX).filter(|address| network.contains(address));
    address.ok_or(Error::NoRoomForDns { network: *network })
}

fn given_dns(given: Vec<IpAddr>, service: &[IpNet]) -> Result<Vec<IpAddr>, Error> {
    families("cluster-dns", given.iter().copied())?;
    for address in &given {
        let Some(network) = service.iter().find(|network| network.contains(address)) else {
            return Err(Error::DnsOutside { address: *address, networks: service.to_vec() });
        };
        if (0..=1).any(|taken| indexed(network.network(), taken) == Some(*address)) {
            return Err(Error::DnsTaken { address: *address });
        }
    }
    Ok(given)
}

fn indexed(network: IpAddr, index: u128) -> Option<IpAddr> {
    match network {
        IpAddr::V4(base) => Some(IpAddr::V4(u32::from(base).checked_add(u32::try_from(index).ok()?)?.into())),
        IpAddr::V6(base) => Some(IpAddr::V6(u128::from(base).checked_add(index)?.into())),
    }
}

fn list(networks: &[IpNet]) -> String {
    networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> Vec<T> {
        text.split(',').filter(|part| !part.is_empty()).map(|part| part.parse().unwrap()).collect()
    }

    fn network(cluster: &str, service: &str, dns: &str, node_ip: &str) -> Result<Network, Error> {
        let args = NetworkArgs {
            cluster_cidr: parsed(cluster),
            service_cidr: parsed(service),
            cluster_dns: parsed(dns),
            cluster_domain: "cluster.local".parse().unwrap(),
            network_backend: NetworkBackend::Vxlan,
        };
        args.meaning(&parsed::<IpAddr>(node_ip))
    }

    fn meaning(cluster: &str, service: &str, dns: &str, node_ip: &str) -> String {
        match network(cluster, service, dns, node_ip) {
            Ok(network) => {
                let dns = network.cluster_dns.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
                format!("{} {} {dns}", list(&network.cluster_cidr), list(&network.service_cidr))
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn defaults_follow_the_family_of_the_node() {
        assert_eq!(meaning("", "", "", ""), "10.42.0.0/16 10.43.0.0/16 10.43.0.10");
        assert_eq!(meaning("", "", "", "192.0.2.1"), "10.42.0.0/16 10.43.0.0/16 10.43.0.10");
        assert_eq!(meaning("", "", "", "2001:db8::1"), "fd00:42::/56 fd00:43::/112 fd00:43::a");
    }

    #[test]
    fn dns_follows_the_service_networks() {
        assert_eq!(
            meaning("10.1.0.0/16,fd01::/56", "10.2.0.0/16,fd02::/112", "", ""),
            "10.1.0.0/16,fd01::/56 10.2.0.0/16,fd02::/112 10.2.0.10,fd02::a"
        );
        assert_eq!(meaning("", "10.2.3.4/16", "10.2.0.53", ""), "10.42.0.0/16 10.2.0.0/16 10.2.0.53");
    }

    #[test]
    fn contradictions_are_named() {
        let cases = [
            (
                ("10.1.0.0/16,10.2.0.0/16", "", "", ""),
                "--cluster-cidr takes at most one entry per address family, IPv4 and IPv6",
            ),
            (
                ("", "", "10.43.0.4,10.43.0.5", ""),
                "--cluster-dns takes at most one entry per address family, IPv4 and IPv6",
            ),
            (
                ("fd01::/56", "", "", ""),
                "--cluster-cidr and --service-cidr must have the same address families (IPv4, IPv6 or both)",
            ),
            (
                ("10.1.0.0/16,fd01::/56", "10.2.0.0/16,fd02::/112", "", "192.0.2.1"),
                "--cluster-cidr and --node-ip must have the same address families (IPv4, IPv6 or both)",
            ),
            (
                ("10.43.128.0/20", "", "", ""),
                "--cluster-cidr 10.43.128.0/20 and --service-cidr 10.43.0.0/16 overlap",
            ),
            (
                ("10.1.0.0/25", "", "", ""),
                "--cluster-cidr 10.1.0.0/25 is too small: every node takes a /24 of it",
            ),
            (
                ("", "10.1.0.0/29", "", ""),
                "--service-cidr 10.1.0.0/29 is too small for a default --cluster-dns, its tenth address",
            ),
            (
                ("", "255.255.255.248/29", "", ""),
                "--service-cidr 255.255.255.248/29 is too small for a default --cluster-dns, its tenth address",
            ),
            (("", "", "10.44.0.10", ""), "--cluster-dns 10.44.0.10 is not in --service-cidr 10.43.0.0/16"),
            (
                ("", "", "10.43.0.1", ""),
                "--cluster-dns 10.43.0.1 is taken: the first addresses of --service-cidr belong to the network and the API",
            ),
        ];
        for ((cluster, service, dns, node_ip), expected) in cases {
            assert_eq!(meaning(cluster, service, dns, node_ip), expected);
        }
    }
}
