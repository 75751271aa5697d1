//! Routes of ours: to be told from everybody else's, and compared with what the kernel has.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};

/// Who made the route: a number that no routing daemon uses.
const OURS: RouteProtocol = RouteProtocol::Other(115);
/// Fall-backs give way to whatever else leads to the same network.
const LAST: u32 = 1 << 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    pub destination: IpNet,
    pub way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// The destination is at the other end of this link.
    Link { index: u32 },
    /// Through a gateway that the kernel must be able to reach.
    Gateway { index: u32, gateway: IpAddr },
    /// Through a gateway that is on this link although no address of ours says so.
    OnLink { index: u32, gateway: IpAddr },
    /// A fall-back into this link.
    Last { index: u32 },
    /// A fall-back: nobody is there.
    Unreachable,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.way {
            Way::Link { index } | Way::Last { index } => write!(f, "{} on link {index}", self.destination),
            Way::Gateway { index, gateway } | Way::OnLink { index, gateway } => {
                write!(f, "{} by {gateway} on link {index}", self.destination)
            }
            Way::Unreachable => write!(f, "{} to nobody", self.destination),
        }
    }
}

impl Route {
    pub(crate) fn message(&self) -> RouteMessage {
        let mut message = match self.destination {
            IpNet::V4(network) => RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(network.network(), network.prefix_len())
                .build(),
            IpNet::V6(network) => RouteMessageBuilder::<Ipv6Addr>::new()
                .destination_prefix(network.network(), network.prefix_len())
                .build(),
        };
        message.header.protocol = OURS;
        self.way.describe(&mut message);
        message
    }

    /// What the kernel says, if it is a route of ours.
    pub(crate) fn of(message: &RouteMessage) -> Option<Self> {
        if message.header.protocol != OURS || message.header.table != RouteHeader::RT_TABLE_MAIN {
            return None;
        }
        let mut destination = match message.header.address_family {
            rtnetlink::packet_route::AddressFamily::Inet => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            _ => Ipv6Addr::UNSPECIFIED.into(),
        };
        let (mut gateway, mut index, mut last) = (None, None, false);
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(RouteAddress::Inet(found)) => destination = (*found).into(),
                RouteAttribute::Destination(RouteAddress::Inet6(found)) => destination = (*found).into(),
                RouteAttribute::Gateway(RouteAddress::Inet(found)) => gateway = Some((*found).into()),
                RouteAttribute::Gateway(RouteAddress::Inet6(found)) => gateway = Some((*found).into()),
                RouteAttribute::Oif(found) => index = Some(*found),
                RouteAttribute::Priority(found) => last = *found == LAST,
                _ => {}
            }
        }
        let on_link = message.header.flags.contains(RouteFlags::Onlink);
        let way = match (message.header.kind, index, gateway) {
            (RouteType::Unicast, Some(index), Some(gateway)) if on_link => Way::OnLink { index, gateway },
            (RouteType::Unicast, Some(index), Some(gateway)) => Way::Gateway { index, gateway },
            (RouteType::Unicast, Some(index), None) if last => Way::Last { index },
            (RouteType::Unicast, Some(index), None) => Way::Link { index },
            _ => Way::Unreachable,
        };
        let destination = IpNet::new(destination, message.header.destination_prefix_length).ok()?;
        Some(Self { destination, way })
    }
}

impl Way {
    fn describe(self, message: &mut RouteMessage) {
        let attributes = &mut message.attributes;
        match self {
            Self::Link { index } => {
                message.header.scope = RouteScope::Link;
                attributes.push(RouteAttribute::Oif(index));
            }
            Self::Gateway { index, gateway } | Self::OnLink { index, gateway } => {
                attributes.push(RouteAttribute::Oif(index));
                attributes.push(RouteAttribute::Gateway(gateway.into()));
                if matches!(self, Self::OnLink { .. }) {
                    message.header.flags |= RouteFlags::Onlink;
                }
            }
            Self::Last { index } => {
                message.header.scope = RouteScope::Link;
                attributes.push(RouteAttribute::Oif(index));
                attributes.push(RouteAttribute::Priority(LAST));
            }
            Self::Unreachable => {
                message.header.kind = RouteType::Unreachable;
                attributes.push(RouteAttribute::Priority(LAST));
            }
        }
    }
}
