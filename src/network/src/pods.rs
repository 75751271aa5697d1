//! The links of this node's pods: a routed veth pair each, no bridge.
//!
//! ```text
//! pod                                  node
//! eth0 10.42.0.7/32          ───────── pod0a2a0007 (no address)
//! default by 169.254.1.1 on eth0       10.42.0.7/32 on pod0a2a0007
//! ```
//!
//! Every packet of a pod crosses the node's forward hook, also one to its neighbour: Services and policies see all of them.
//! The next hops 169.254.1.1 and fe80::1 belong to nobody. Both ends have each other's hardware address as a permanent
//! neighbour, so that nothing is ever asked or announced. Rejected: proxy ARP. The kernel answers for an address only if it
//! has a route to it, and a node that boots without a default route must bring its pods up all the same.
//!
//! The node speaks to its pods from the first address of its podCIDR, on its loopback link: one that is there before the uplink is,
//! stays when that changes, and is of a family that the uplink may lack.
//!
//! The name of the node's end and the pod's hardware address are made of the pod's first address: they are the same after a
//! restart, and a link that no pod has any more is known by its name.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rtnetlink::packet_route::address::AddressScope;
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute, LinkMessage};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};

use crate::ipam::{self, Ipam};
use crate::netlink::{self, Mac, Netlink, name_of};
use crate::nft;
use crate::ports::{HostPort, HostPorts};
use crate::route::{Route, Way};
use crate::sysctl;

const INSIDE: &str = "eth0";
const OUTSIDE: &str = "pod";
const LOOPBACK: u32 = 1;
/// Of the node's end of every pair: no two of them ever share a wire.
const NODE_MAC: Mac = [0xee; 6];
const NEXT_HOP: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
const NEXT_HOP6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Addresses(#[from] ipam::Error),
    #[error(transparent)]
    Kernel(#[from] netlink::Error),
    #[error(transparent)]
    Setting(#[from] sysctl::Error),
    #[error("lead ports of the node to pods")]
    Ports(#[from] nft::Error),
    #[error("open the network namespace {path}")]
    Namespace { path: PathBuf, source: io::Error },
    #[error("the runtime ended before the addresses were kept")]
    Stopped(#[source] tokio::task::JoinError),
}

#[derive(Debug, Clone)]
pub struct PodNetworkConfig {
    /// The folder in which addresses are kept.
    pub state: PathBuf,
    /// This node's: at most one per family.
    pub pod_cidrs: Vec<IpNet>,
    /// Those of all pods and Services. Addresses in them are no place for a port of the node, also where the node answers itself.
    pub cluster_cidrs: Vec<IpNet>,
    pub mtu: u32,
}

/// Links pods to this node. Clones are the same network.
#[derive(Debug, Clone)]
pub struct PodNetwork(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    addresses: Arc<Mutex<Ipam>>,
    node: Netlink,
    ports: HostPorts,
    mtu: AtomicU32,
}

impl PodNetwork {
    /// In the network namespace of the calling thread, which begins to forward.
    pub async fn open(config: PodNetworkConfig) -> Result<Self, Error> {
        sysctl::forward(config.pod_cidrs.iter().any(|network| matches!(network, IpNet::V6(_))))?;
        let node = Netlink::open()?;
        for network in &config.pod_cidrs {
            node.address(LOOPBACK, network.network(), AddressScope::Universe).await?;
        }
        let PodNetworkConfig { state, pod_cidrs, cluster_cidrs, mtu } = config;
        let ports = HostPorts::new(cluster_cidrs)?;
        let opened = tokio::task::spawn_blocking(move || Ipam::open(&state, pod_cidrs));
        let addresses = opened.await.map_err(Error::Stopped)??;
        let (addresses, mtu) = (Arc::new(Mutex::new(addresses)), mtu.into());
        Ok(Self(Arc::new(Shared { addresses, node, ports, mtu })))
    }

    /// Pods that are linked from now on send packets of this size at most.
    pub fn set_mtu(&self, mtu: u32) {
        self.0.mtu.store(mtu, Ordering::Relaxed);
    }

    /// Waits until somebody removes what leads ports of the node to pods, as a firewall does that is loaded anew. Cancel safe.
    pub async fn ports_removed(&self) -> Result<(), Error> {
        Ok(self.0.ports.removed().await?)
    }

    /// Leads all ports that are known anew.
    pub async fn put_ports_back(&self) -> Result<(), Error> {
        Ok(self.0.ports.put_back().await?)
    }

    /// Links the pod's network namespace to the node, and returns the pod's addresses: those it had, if it had some.
    ///
    /// Says everything again when called again: whatever an earlier call left undone is done then.
    pub async fn attach(&self, pod_uid: &str, netns: &Path) -> Result<Vec<IpAddr>, Error> {
        let pod = pod_uid.to_owned();
        let addresses = self.addresses(move |ipam| ipam.allocate(&pod)).await?;
        let inside = Netlink::open_in(netns).await?;
        let outside = self.pair(&addresses, netns, &inside).await?;
        set_up_inside(&inside, &addresses).await?;
        self.set_up_outside(outside, &addresses).await?;
        Ok(addresses)
    }

    /// Leads these ports of the node to the pod, which is attached, and no others.
    pub async fn lead(&self, pod_uid: &str, addresses: &[IpAddr], ports: &[HostPort]) -> Result<(), Error> {
        if !ports.is_empty() && addresses.iter().any(IpAddr::is_ipv4) {
            sysctl::pass_loopback(&link_name(addresses))?;
        }
        Ok(self.0.ports.lead(pod_uid, addresses, ports).await?)
    }

    /// Takes the pod's link away and gives its addresses back; a pod that has none is none the worse.
    pub async fn detach(&self, pod_uid: &str) -> Result<(), Error> {
        let pod = pod_uid.to_owned();
        let known = self.addresses(move |ipam| Ok(ipam.get(&pod).map(<[IpAddr]>::to_vec))).await?;
        let Some(addresses) = known else { return Ok(()) };
        self.0.ports.lead(pod_uid, &[], &[]).await?;
        // An address is free once nothing leads to it.
        if let Some(link) = self.0.node.link(&link_name(&addresses)).await? {
            self.0.node.remove_link(link.header.index).await?;
        }
        let pod = pod_uid.to_owned();
        self.addresses(move |ipam| ipam.release(&pod)).await
    }

    /// Takes away the links, addresses and ports of all other pods.
    pub async fn sweep(&self, alive: &BTreeSet<String>) -> Result<(), Error> {
        self.0.ports.sweep(alive).await?;
        let pods = alive.clone();
        let used =
            move |ipam: &mut Ipam| Ok(pods.iter().filter_map(|pod| ipam.get(pod)).map(link_name).collect());
        let names: BTreeSet<String> = self.addresses(used).await?;
        for link in self.0.node.links().await? {
            let strange = name_of(&link).is_some_and(|name| is_ours(name) && !names.contains(name));
            if strange {
                self.0.node.remove_link(link.header.index).await?;
            }
        }
        let pods = alive.clone();
        self.addresses(move |ipam| ipam.sweep(&pods)).await
    }

    /// Works on the addresses where blocking is allowed.
    async fn addresses<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Ipam) -> Result<T, ipam::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = self.0.addresses.clone();
        let locked = move || work(&mut shared.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(tokio::task::spawn_blocking(locked).await.map_err(Error::Stopped)??)
    }

    /// The node's end of the pair: the one that is there, if it leads into this pod, or a new one.
    async fn pair(&self, addresses: &[IpAddr], netns: &Path, inside: &Netlink) -> Result<u32, Error> {
        let node = &self.0.node;
        let name = link_name(addresses);
        if let Some(outside) = node.link(&name).await? {
            let index = outside.header.index;
            if inside.link(INSIDE).await?.and_then(|link| other_end(&link)) == Some(index) {
                return Ok(index);
            }
            node.remove_link(index).await?;
        }
        let open = |source| Error::Namespace { path: netns.to_owned(), source };
        let namespace = File::open(netns).map_err(open)?;
        let (mac, mtu) = (pod_mac(addresses), self.0.mtu.load(Ordering::Relaxed));
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name(INSIDE)
            .setns_by_fd(namespace.as_raw_fd())
            .address(mac.to_vec())
            .mtu(mtu);
        let pair = LinkMessageBuilder::<LinkVeth>::new(&name, INSIDE)
            .address(NODE_MAC.to_vec())
            .mtu(mtu)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer.build())));
        Ok(node.make(&name, pair.build()).await?.header.index)
    }

    async fn set_up_outside(&self, index: u32, addresses: &[IpAddr]) -> Result<(), Error> {
        let node = &self.0.node;
        node.up(index).await?;
        for address in addresses {
            node.neighbour(index, *address, pod_mac(addresses)).await?;
            let route = Route { destination: IpNet::from(*address), way: Way::Link { index } };
            node.route(&route).await?;
        }
        Ok(())
    }
}

async fn set_up_inside(pod: &Netlink, addresses: &[IpAddr]) -> Result<(), Error> {
    pod.set(LOOPBACK, LinkMessageBuilder::<LinkUnspec>::new().index(LOOPBACK).up().build()).await?;
    let link = pod.link(INSIDE).await?.ok_or_else(|| netlink::Error::Missing { name: INSIDE.to_owned() })?;
    let index = link.header.index;
    pod.up(index).await?;
    for address in addresses {
        pod.address(index, *address, AddressScope::Universe).await?;
        let (gateway, destination): (IpAddr, IpNet) = match address {
            IpAddr::V4(_) => (NEXT_HOP.into(), Ipv4Net::default().into()),
            IpAddr::V6(_) => (NEXT_HOP6.into(), Ipv6Net::default().into()),
        };
        pod.neighbour(index, gateway, NODE_MAC).await?;
        pod.route(&Route { destination, way: Way::OnLink { index, gateway } }).await?;
    }
    Ok(())
}

/// The last four bytes of the pod's first address: on one node no two pods share them.
fn mark(addresses: &[IpAddr]) -> [u8; 4] {
    match addresses.first() {
        Some(IpAddr::V4(address)) => address.octets(),
        Some(IpAddr::V6(address)) => {
            let [.., a, b, c, d] = address.octets();
            [a, b, c, d]
        }
        None => [0; 4],
    }
}

fn link_name(addresses: &[IpAddr]) -> String {
    format!("{OUTSIDE}{:08x}", u32::from_be_bytes(mark(addresses)))
}

pub(crate) fn is_ours(name: &str) -> bool {
    let mark = name.strip_prefix(OUTSIDE).unwrap_or_default();
    mark.len() == 8 && mark.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Locally administered, as the second bit of the first byte says.
fn pod_mac(addresses: &[IpAddr]) -> Mac {
    let [a, b, c, d] = mark(addresses);
    [0x0a, 0x58, a, b, c, d]
}

/// The index of a veth's other end, in the namespace where that is.
fn other_end(link: &LinkMessage) -> Option<u32> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Link(index) => Some(*index),
        _ => None,
    })
}
