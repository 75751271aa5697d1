//! Where addresses come from: the ServiceCIDR objects, as upstream has them.

use std::net::IpAddr;

use api::kinds;
use api::status::Status;
use api::value::{at, list};
use ipnet::IpNet;
use serde_json::Value;
use store::Store;

use crate::object::stored;

/// The networks of Services that are in use, those of the cluster's first family first.
#[derive(Debug)]
pub(super) struct Networks(Vec<IpNet>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "IPv4" => Some(Self::V4),
            "IPv6" => Some(Self::V6),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

impl Networks {
    pub(super) fn of(store: &Store) -> Result<Self, Status> {
        let kind = kinds::by_resource("networking.k8s.io", "v1", "servicecidrs")
            .ok_or_else(|| Status::internal("there are no ServiceCIDRs"))?;
        let mut all = Vec::new();
        // The cluster's own comes first: it says which family is the first one.
        let mut objects: Vec<_> = store.snapshot(&stored::collection(kind, None)).iter().cloned().collect();
        objects.sort_by_key(store::Entry::created);
        for object in objects.iter().filter_map(|entry| serde_json::from_slice::<Value>(entry.value()).ok()) {
            if at(&object, "metadata.deletionTimestamp").is_null() {
                let networks = list(&object, "spec.cidrs").iter();
                all.extend(networks.filter_map(|network| network.as_str()?.parse::<IpNet>().ok()));
            }
        }
        Ok(Self(all))
    }

    /// The families that Services can have, the default one first.
    pub(super) fn families(&self) -> Vec<Family> {
        let mut families = Vec::new();
        for family in self.0.iter().map(|network| Family::of(network.addr())) {
            if !families.contains(&family) {
                families.push(family);
            }
        }
        families
    }

    pub(super) fn of_family(&self, family: Family) -> impl Iterator<Item = &IpNet> {
        self.0.iter().filter(move |network| Family::of(network.addr()) == family)
    }

    /// An address that a Service may have: in a network, and neither its first nor its last.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| {
            let broadcast = address.is_ipv4() && address == network.broadcast();
            network.contains(&address) && address != network.network() && !broadcast
        })
    }

    pub(super) fn shown(&self) -> String {
        self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    #[cfg(test)]
    pub(super) fn from_texts(networks: &[&str]) -> Self {
        Self(networks.iter().map(|network| network.parse().unwrap()).collect())
    }
}
