//! The link by which this node reaches the others, and its address there.

use std::net::IpAddr;

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};

use super::{Error, device};
use crate::netlink::{Loss, Monitor, Netlink, name_of};
use crate::pods;

const ETHERNET: u32 = 1500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Uplink {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) address: IpAddr,
    pub(super) mtu: u32,
}

/// The link that has the wanted address; else that of the default route; else the only one with a global address.
pub(super) async fn find(kernel: &Netlink, wanted: Option<IpAddr>) -> Result<Uplink, Error> {
    let candidates = candidates(kernel).await?;
    let chosen = match wanted {
        Some(address) => candidates.into_iter().find(|candidate| candidate.address == address),
        None => match default_route(kernel, &candidates).await? {
            Some(found) => Some(found),
            None => only(candidates),
        },
    };
    chosen.ok_or(match wanted {
        Some(address) => Error::NoSuchAddress { address },
        None => Error::NoAddress,
    })
}

/// Waits until a link has the address.
pub(super) async fn appears(kernel: &Netlink, address: IpAddr) -> Result<(), Error> {
    let mut monitor = Monitor::open()?;
    while let Err(error) = find(kernel, Some(address)).await {
        match error {
            Error::NoSuchAddress { .. } => monitor.next().await?,
            error => return Err(error),
        };
    }
    Ok(())
}

/// Every global address on a link that is in use and not ours.
async fn candidates(kernel: &Netlink) -> Result<Vec<Uplink>, Error> {
    let addresses = kernel.addresses().await?;
    let mut found = Vec::new();
    for link in kernel.links().await? {
        let used = link.header.flags.contains(LinkFlags::Up);
        let Some(name) = name_of(&link).filter(|name| used && !is_internal(name)) else { continue };
        let index = link.header.index;
        let mtu = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::Mtu(mtu) => Some(*mtu),
            _ => None,
        });
        let here = addresses.iter().filter(|address| address.header.index == index).filter_map(global);
        found.extend(here.map(|address| Uplink {
            index,
            name: name.to_owned(),
            address,
            mtu: mtu.unwrap_or(ETHERNET),
        }));
    }
    Ok(found)
}

fn is_internal(name: &str) -> bool {
    name == "lo" || name == device::NAME || pods::is_ours(name)
}

fn global(message: &AddressMessage) -> Option<IpAddr> {
    if message.header.scope != AddressScope::Universe {
        return None;
    }
    let of = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(wanted);
    // On a point-to-point link the other one is the far end's.
    of(|attribute| if let AddressAttribute::Local(address) = attribute { Some(*address) } else { None })
        .or_else(|| {
            of(|attribute| if let AddressAttribute::Address(it) = attribute { Some(*it) } else { None })
        })
}

/// Waits until the uplink is another one than it was, or is back after it was gone: the kernel has dropped its routes.
pub(super) async fn changed(kernel: &Netlink, known: &Uplink) -> Result<(), Error> {
    let mut monitor = Monitor::open()?;
    let mut lost = false;
    loop {
        match find(kernel, Some(known.address)).await {
            Ok(found) if found == *known && !lost => {}
            Ok(_) => return Ok(()),
            Err(Error::NoSuchAddress { .. }) => lost = true,
            Err(error) => return Err(error),
        }
        // What went and came back between two looks is only told.
        lost |= match monitor.next().await? {
            Loss::Of(index) => index == known.index,
            Loss::Unknown => true,
            Loss::None => false,
        };
    }
}

/// The best default route decides, IPv4 before IPv6.
async fn default_route(kernel: &Netlink, candidates: &[Uplink]) -> Result<Option<Uplink>, Error> {
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut routes = kernel.routes(family).await?;
        routes.retain(|route| {
            route.header.destination_prefix_length == 0 && route.header.kind == RouteType::Unicast
        });
        routes.sort_by_key(priority);
        if let Some(found) = routes.iter().find_map(|route| on_the_way(route, family, candidates)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn priority(route: &RouteMessage) -> u32 {
    let priorities = route.attributes.iter().filter_map(|attribute| match attribute {
        RouteAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    priorities.min().unwrap_or(0)
}

fn on_the_way(route: &RouteMessage, family: AddressFamily, candidates: &[Uplink]) -> Option<Uplink> {
    let mut on_link = Vec::new();
    let mut preferred = None;
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => {
                let here = candidates.iter().filter(|candidate| {
                    candidate.index == *index
                        && candidate.address.is_ipv6() == (family == AddressFamily::Inet6)
                });
                on_link.extend(here);
            }
            RouteAttribute::PrefSource(RouteAddress::Inet(address)) => {
                preferred = Some(IpAddr::from(*address));
            }
            RouteAttribute::PrefSource(RouteAddress::Inet6(address)) => {
                preferred = Some(IpAddr::from(*address));
            }
            _ => {}
        }
    }
    let said = on_link.iter().find(|candidate| Some(candidate.address) == preferred);
    said.or(on_link.first()).map(|found| (*found).clone())
}

/// The only address, or the only IPv4 address beside IPv6 ones.
fn only(mut candidates: Vec<Uplink>) -> Option<Uplink> {
    if candidates.len() > 1 {
        candidates.retain(|candidate| candidate.address.is_ipv4());
    }
    if candidates.len() == 1 { candidates.pop() } else { None }
}
