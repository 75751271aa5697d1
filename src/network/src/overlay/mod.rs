//! The way between nodes: pods of one node reach pods of another, and what belongs to the cluster never leaves by the uplink.
//!
//! ```text
//! pod ─▶ forward ─▶ route 10.42.1.0/24 by 10.42.1.0 on skiff.1 ─▶ neighbour 10.42.1.0 is MAC ─▶ MAC is at node IP ─▶ UDP 8472
//! ```
//!
//! Nothing is learnt and nobody is asked: the three tables (routes, neighbours, forwarding) are written from what the nodes
//! say of themselves, as flannel writes them, so that skiff and flannel nodes can speak to each other. A table is read, compared and
//! changed where it differs.
//!
//! An address of the cluster that leads nowhere is refused here: see [`guard`].

pub(crate) mod device;
mod guard;
mod peers;
mod uplink;

use std::net::IpAddr;

use ipnet::IpNet;

use crate::netlink::{self, Mac, Netlink};
use crate::nft::{self, Nftables, Removals};
use crate::sysctl;
use peers::Kernel;
use uplink::Uplink;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no link of this machine has the node's address {address}")]
    NoSuchAddress { address: IpAddr },
    #[error(
        "this node's address is not clear: there is no default route and not one global address; say which with --node-ip"
    )]
    NoAddress,
    #[error(transparent)]
    Kernel(#[from] netlink::Error),
    #[error(transparent)]
    Rules(#[from] nft::Error),
    #[error(transparent)]
    Setting(#[from] sysctl::Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Packets of pods travel in UDP: nodes need to reach each other, no more.
    Vxlan { vni: u32, port: u16 },
    /// Packets of pods travel as they are: all nodes are on one link.
    HostGw,
    /// Somebody else joins the nodes.
    None,
}

impl Default for Backend {
    /// What flannel does unless told otherwise.
    fn default() -> Self {
        Self::Vxlan { vni: 1, port: 8472 }
    }
}

#[derive(Debug, Clone)]
pub struct OverlayConfig {
    pub backend: Backend,
    pub cluster_cidrs: Vec<IpNet>,
    pub service_cidrs: Vec<IpNet>,
    /// This node's.
    pub pod_cidrs: Vec<IpNet>,
    /// None: the address of the default route's link, or the only global one.
    pub node_ip: Option<IpAddr>,
}

/// Another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub node_ip: IpAddr,
    pub pod_cidrs: Vec<IpNet>,
    /// Of its VXLAN device; none until it has one.
    pub mac: Option<Mac>,
}

#[derive(Debug)]
pub struct Overlay {
    kernel: Netlink,
    backend: Backend,
    uplink: Uplink,
    device: Option<device::Device>,
    removals: Removals,
}

impl Overlay {
    /// In the network namespace of the calling thread. What an earlier start left is kept where it suits.
    pub async fn open(config: OverlayConfig) -> Result<Self, Error> {
        let kernel = Netlink::open()?;
        let uplink = uplink::find(&kernel, config.node_ip).await?;
        let all = || config.cluster_cidrs.iter().chain(&config.pod_cidrs);
        sysctl::forward(all().any(|network| matches!(network, IpNet::V6(_))))?;
        sysctl::accept_detours(&uplink.name)?;
        let device = device::ensure(&kernel, config.backend, &uplink, &config.pod_cidrs).await?;
        let rules = Nftables::open()?;
        let removals = rules.removals()?;
        let overlay = Self { kernel, backend: config.backend, uplink, device, removals };
        guard::routes(&overlay.kernel, &config, overlay.link()).await?;
        rules.apply(&guard::rules(&config)).await?;
        Ok(overlay)
    }

    /// Keeps the cluster's addresses inside, where the way to the other nodes cannot be opened yet.
    pub async fn guard(config: &OverlayConfig) -> Result<(), Error> {
        guard::routes_to_nobody(&Netlink::open()?, config).await?;
        Ok(Nftables::open()?.apply(&guard::rules(config)).await?)
    }

    /// Waits until a link of this machine has the node's address: before that there is no way to the other nodes.
    pub async fn possible(node_ip: IpAddr) -> Result<(), Error> {
        uplink::appears(&Netlink::open()?, node_ip).await
    }

    /// Of the VXLAN device: what peers must know.
    pub fn mac(&self) -> Option<Mac> {
        self.device.as_ref().map(|device| device.mac)
    }

    /// The largest packet of a pod that reaches other nodes in one piece.
    pub fn mtu(&self) -> u32 {
        self.device.as_ref().map_or(self.uplink.mtu, |device| device.mtu)
    }

    pub fn node_ip(&self) -> IpAddr {
        self.uplink.address
    }

    /// Waits until this must be opened anew: the uplink has another MTU, another link has the node's address now, or it
    /// went and came back; or somebody removed our rules. An address that only goes is waited for. Cancel safe.
    pub async fn changed(&self) -> Result<(), Error> {
        tokio::select! {
            changed = uplink::changed(&self.kernel, &self.uplink) => changed,
            removed = self.removals.of(guard::TABLE) => Ok(removed?),
        }
    }

    /// On which the other nodes are.
    fn link(&self) -> u32 {
        self.device.as_ref().map_or(self.uplink.index, |device| device.index)
    }

    /// Makes these the nodes that are reached, and no others.
    pub async fn set_peers(&self, peers: &[Peer]) -> Result<(), Error> {
        let wanted = peers::desired(self.backend, self.link(), peers);
        let device = self.device.as_ref().map(|device| device.index);
        Ok(Kernel { netlink: &self.kernel, device }.become_like(&wanted).await?)
    }
}
