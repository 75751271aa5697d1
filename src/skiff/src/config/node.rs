//! This machine as a node.

use std::net::IpAddr;

use serde::Serialize;

use super::names::{DnsName, Label, Taint};
use super::network::{self, families};
use super::typed::NodeArgs;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Node {
    pub(crate) name: DnsName,
    /// Empty: the address of the default route, once there is one.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) labels: Vec<Label>,
    pub(crate) taints: Vec<Taint>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("the host name `{name}` cannot be the name of a node; give one with --node-name")]
    HostName { name: String },
    #[error("--node-ip {address} cannot be the address of a node: it is {reason}")]
    Address { address: IpAddr, reason: &'static str },
    #[error(transparent)]
    Families(#[from] network::Error),
}

impl NodeArgs {
    pub(super) fn meaning(self, host_name: &str) -> Result<Node, Error> {
        families("node-ip", self.node_ip.iter().copied())?;
        for address in &self.node_ip {
            if let Some(reason) = unusable(*address) {
                return Err(Error::Address { address: *address, reason });
            }
        }
        let name = self.node_name.map_or_else(|| by_host_name(host_name), Ok)?;
        Ok(Node { name, addresses: self.node_ip, labels: self.node_label, taints: self.node_taint })
    }
}

/// Host names are often typed with capitals; node names have none.
fn by_host_name(host_name: &str) -> Result<DnsName, Error> {
    let name = host_name.to_ascii_lowercase();
    name.parse().map_err(|_| Error::HostName { name })
}

/// Why the kubelet would refuse such an address.
fn unusable(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let reasons = [
        (address.is_loopback(), "a loopback address"),
        (address.is_multicast(), "a multicast address"),
        (link_local, "a link-local address"),
        (address.is_unspecified(), "the unspecified address"),
    ];
    reasons.into_iter().find(|(applies, _)| *applies).map(|(_, reason)| reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: Option<&str>, addresses: &[&str], host_name: &str) -> Result<Node, Error> {
        let args = NodeArgs {
            node_name: name.map(|name| name.parse().unwrap()),
            node_ip: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            node_label: Vec::new(),
            node_taint: Vec::new(),
        };
        args.meaning(host_name)
    }

    #[test]
    fn the_name_is_the_host_name_in_lower_case_unless_given() {
        assert_eq!(node(None, &[], "RaspberryPi").unwrap().name.to_string(), "raspberrypi");
        assert_eq!(node(Some("a"), &[], "under_score").unwrap().name.to_string(), "a");
        let error = node(None, &[], "under_score").unwrap_err();
        assert_eq!(error, Error::HostName { name: "under_score".into() });
    }

    #[test]
    fn an_address_must_be_reachable() {
        assert_eq!(node(None, &["192.0.2.1", "2001:db8::1"], "a").unwrap().addresses.len(), 2);
        for address in ["127.0.0.1", "::1", "224.0.0.1", "ff02::1", "169.254.1.1", "fe80::1", "0.0.0.0", "::"]
        {
            let refused = node(None, &[address], "a");
            assert!(matches!(refused, Err(Error::Address { .. })), "{address}: {refused:?}");
        }
        assert!(matches!(node(None, &["192.0.2.1", "192.0.2.2"], "a"), Err(Error::Families(_))));
    }
}
