//! The VXLAN device of this node.

use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::packet_route::address::AddressScope;
use rtnetlink::packet_route::link::{InfoData, InfoVxlan, LinkAttribute, LinkInfo, LinkMessage};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVxlan};

use super::uplink::Uplink;
use super::{Backend, Error};
use crate::netlink::{Mac, Netlink};
use crate::sysctl;

/// The VXLAN device between the nodes.
pub const NAME: &str = "skiff.1";
/// Outer Ethernet is not counted in the uplink's MTU; outer IP, UDP, VXLAN and the inner Ethernet are.
const OVERHEAD: u32 = 20 + 8 + 8 + 14;
const OVERHEAD6: u32 = 40 + 8 + 8 + 14;

#[derive(Debug)]
pub(super) struct Device {
    pub(super) index: u32,
    pub(super) mac: Mac,
    pub(super) mtu: u32,
}

/// What makes a device another one. It is bound to an address and not to a link: it outlives a network adapter that is
/// plugged out and in.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    vni: u32,
    port: u16,
    local: IpAddr,
    mac: Mac,
}

/// Makes the device, keeps the one that is there if it is the same, or removes it where the backend has none.
pub(super) async fn ensure(
    kernel: &Netlink,
    backend: Backend,
    uplink: &Uplink,
    pod_cidrs: &[IpNet],
) -> Result<Option<Device>, Error> {
    let wanted = match backend {
        Backend::Vxlan { vni, port } => {
            Some(Identity { vni, port, local: uplink.address, mac: mac(uplink.address) })
        }
        Backend::HostGw | Backend::None => None,
    };
    let found = kernel.link(NAME).await?;
    let kept = match found {
        Some(link) if identity(&link) != wanted => {
            kernel.remove_link(link.header.index).await?;
            None
        }
        other => other,
    };
    let Some(wanted) = wanted else { return Ok(None) };
    let index = match kept {
        Some(link) => link.header.index,
        None => kernel.make(NAME, wanted.link()).await?.header.index,
    };
    let mtu = uplink.mtu.saturating_sub(if uplink.address.is_ipv6() { OVERHEAD6 } else { OVERHEAD });
    kernel.set(index, LinkMessageBuilder::<LinkUnspec>::new().index(index).mtu(mtu).build()).await?;
    sysctl::accept_detours(NAME)?;
    kernel.up(index).await?;
    for network in pod_cidrs {
        kernel.address(index, network.network(), AddressScope::Universe).await?;
    }
    Ok(Some(Device { index, mac: wanted.mac, mtu }))
}

impl Identity {
    fn link(&self) -> LinkMessage {
        let device = LinkMessageBuilder::<LinkVxlan>::new(NAME)
            .address(self.mac.to_vec())
            .id(self.vni)
            .port(self.port)
            .learning(false);
        match self.local {
            IpAddr::V4(local) => device.local(local),
            IpAddr::V6(local) => device.local6(local),
        }
        .build()
    }
}

/// Made of the node's address: the same after a reboot, so that peers need not learn a new one, and another for each node.
fn mac(node_ip: IpAddr) -> Mac {
    let [a, b, c, d] = match node_ip {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            [a, b, c, d]
        }
    };
    [0x0a, 0x5b, a, b, c, d]
}

fn identity(link: &LinkMessage) -> Option<Identity> {
    let (mut vni, mut port, mut local, mut mac) = (None, None, None, None);
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::Address(address) => mac = Mac::try_from(address.as_slice()).ok(),
            LinkAttribute::LinkInfo(infos) => {
                let vxlan = infos.iter().filter_map(|info| match info {
                    LinkInfo::Data(InfoData::Vxlan(data)) => Some(data),
                    _ => None,
                });
                for info in vxlan.flatten() {
                    match info {
                        InfoVxlan::Id(found) => vni = Some(*found),
                        InfoVxlan::Port(found) => port = Some(*found),
                        InfoVxlan::Local(found) => local = Some(IpAddr::from(*found)),
                        InfoVxlan::Local6(found) => local = Some(IpAddr::from(*found)),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(Identity { vni: vni?, port: port?, local: local?, mac: mac? })
}
