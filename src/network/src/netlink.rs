//! Conversations with the kernel about links, addresses, routes and neighbours, in one network namespace each.
//!
//! Everything is said so that it can be said again: what is there already is replaced, what is gone already is gone.

use std::fmt;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use ipnet::IpNet;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::address::{AddressHeaderFlags, AddressMessage, AddressScope};
use rtnetlink::packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, LinkFlags, LinkMessage,
};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, MulticastGroup, RouteMessageBuilder};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::dumps::Dumps;
use crate::route::Route;

/// The hardware address of a link.
pub type Mac = [u8; 6];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("open a route socket")]
    Open(#[source] io::Error),
    #[error("enter the network namespace {path}")]
    Enter { path: PathBuf, source: io::Error },
    #[error("read the {what} of the kernel")]
    Read { what: &'static str, source: rtnetlink::Error },
    #[error("make the link {name}")]
    Make { name: String, source: rtnetlink::Error },
    #[error("the link {name} is not there after it was made")]
    Missing { name: String },
    #[error("set up the link {index}")]
    Set { index: u32, source: rtnetlink::Error },
    #[error("remove the link {index}")]
    Remove { index: u32, source: rtnetlink::Error },
    #[error("give the link {index} the address {address}")]
    Address { index: u32, address: IpAddr, source: rtnetlink::Error },
    #[error("change the route {route}")]
    Route { route: Route, source: rtnetlink::Error },
    #[error("change the neighbour {address} of the link {index}")]
    Neighbour { index: u32, address: IpAddr, source: rtnetlink::Error },
}

/// A route socket, served by a task that ends with it.
#[derive(Debug)]
pub(crate) struct Netlink {
    handle: Handle,
    dumps: Dumps,
    _served: JoinSet<()>,
}

impl Netlink {
    /// In the network namespace of the calling thread.
    pub(crate) fn open() -> Result<Self, Error> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(Error::Open)?;
        let mut served = JoinSet::new();
        served.spawn(connection);
        Ok(Self { handle, dumps: Dumps::default(), _served: served })
    }

    /// In the network namespace that this file is. A socket stays where it was opened: only a thread made for it goes there.
    pub(crate) async fn open_in(path: &Path) -> Result<Self, Error> {
        let (answer, opened) = oneshot::channel();
        let runtime = tokio::runtime::Handle::current();
        let enter = |source| Error::Enter { path: path.to_owned(), source };
        let namespace = File::open(path).map_err(enter)?;
        let work = move || {
            let _runtime = runtime.enter();
            let entered = move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network));
            // Nobody waits any more if this fails.
            let _ = answer.send(entered.map(|()| Self::open()));
        };
        std::thread::Builder::new().name("netns".into()).spawn(work).map_err(enter)?;
        match opened.await {
            Ok(Ok(netlink)) => netlink,
            Ok(Err(errno)) => Err(enter(errno.into())),
            Err(_) => Err(enter(io::ErrorKind::Interrupted.into())),
        }
    }

    pub(crate) async fn link(&self, name: &str) -> Result<Option<LinkMessage>, Error> {
        match self.handle.link().get().match_name(name).execute().try_next().await {
            Ok(link) => Ok(link),
            Err(error) if is(&error, Errno::NODEV) => Ok(None),
            Err(source) => Err(Error::Read { what: "links", source }),
        }
    }

    pub(crate) async fn links(&self) -> Result<Vec<LinkMessage>, Error> {
        let all = self.handle.link().get();
        let links = self.dumps.collect(move || all.execute()).await;
        links.map_err(|source| Error::Read { what: "links", source })
    }

    /// Makes a link and returns what the kernel made of it.
    pub(crate) async fn make(&self, name: &str, link: LinkMessage) -> Result<LinkMessage, Error> {
        let made = self.handle.link().add(link).execute().await;
        made.map_err(|source| Error::Make { name: name.to_owned(), source })?;
        self.link(name).await?.ok_or_else(|| Error::Missing { name: name.to_owned() })
    }

    /// Takes the link into use, without the addresses that IPv6 gives by itself: where next hops are told, those only cost
    /// solicitations and reports that nobody answers.
    pub(crate) async fn up(&self, index: u32) -> Result<(), Error> {
        let mut quiet = LinkMessageBuilder::<LinkUnspec>::new().index(index).build();
        let mode = vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)];
        quiet.attributes.push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(mode)]));
        match self.set(index, quiet).await {
            // A kernel without IPv6 has nothing to be quiet about.
            Err(Error::Set { source, .. }) if is(&source, Errno::AFNOSUPPORT) => {}
            other => other?,
        }
        self.set(index, LinkMessageBuilder::<LinkUnspec>::new().index(index).up().build()).await
    }

    pub(crate) async fn set(&self, index: u32, link: LinkMessage) -> Result<(), Error> {
        let set = self.handle.link().set(link).execute().await;
        set.map_err(|source| Error::Set { index, source })
    }

    pub(crate) async fn remove_link(&self, index: u32) -> Result<(), Error> {
        match self.handle.link().del(index).execute().await {
            Err(source) if !is(&source, Errno::NODEV) => Err(Error::Remove { index, source }),
            _ => Ok(()),
        }
    }

    pub(crate) async fn addresses(&self) -> Result<Vec<AddressMessage>, Error> {
        let all = self.handle.address().get();
        let addresses = self.dumps.collect(move || all.execute()).await;
        addresses.map_err(|source| Error::Read { what: "addresses", source })
    }

    /// Gives the link this one address, without a network around it.
    pub(crate) async fn address(
        &self,
        index: u32,
        address: IpAddr,
        scope: AddressScope,
    ) -> Result<(), Error> {
        let length = IpNet::from(address).prefix_len();
        let mut request = self.handle.address().add(index, address, length).replace();
        let header = &mut request.message_mut().header;
        header.scope = scope;
        if address.is_ipv6() {
            header.flags |= AddressHeaderFlags::Nodad; // handed out by one who knows that nobody else has it
        }
        request.execute().await.map_err(|source| Error::Address { index, address, source })
    }

    /// All routes of a family in the main table.
    pub(crate) async fn routes(&self, family: AddressFamily) -> Result<Vec<RouteMessage>, Error> {
        let mut all = RouteMessageBuilder::<IpAddr>::new().build();
        all.header.address_family = family;
        let all = self.handle.route().get(all);
        let routes = self.dumps.collect(move || all.execute()).await;
        routes.map_err(|source| Error::Read { what: "routes", source })
    }

    pub(crate) async fn route(&self, route: &Route) -> Result<(), Error> {
        let set = self.handle.route().add(route.message()).replace().execute().await;
        set.map_err(|source| Error::Route { route: *route, source })
    }

    pub(crate) async fn remove_route(&self, route: &Route) -> Result<(), Error> {
        match self.handle.route().del(route.message()).execute().await {
            Err(source) if !is(&source, Errno::SRCH) => Err(Error::Route { route: *route, source }),
            _ => Ok(()),
        }
    }

    /// What the link's neighbours are told to be.
    pub(crate) async fn neighbours(
        &self,
        index: u32,
        family: AddressFamily,
    ) -> Result<Vec<(IpAddr, Mac)>, Error> {
        let told = self.told(index, family).await?;
        Ok(told.iter().filter_map(|message| Some((destination(message)?, mac(message)?))).collect())
    }

    /// On which node each hardware address behind the VXLAN device is.
    pub(crate) async fn forwarding(&self, index: u32) -> Result<Vec<(Mac, IpAddr)>, Error> {
        let told = self.told(index, AddressFamily::Bridge).await?;
        Ok(told.iter().filter_map(|message| Some((mac(message)?, destination(message)?))).collect())
    }

    async fn told(&self, index: u32, family: AddressFamily) -> Result<Vec<NeighbourMessage>, Error> {
        let all = self.handle.neighbours().get().set_address_family(family);
        let told = self.dumps.collect(move || all.execute()).await;
        let mut told = told.map_err(|source| Error::Read { what: "neighbours", source })?;
        told.retain(|it| it.header.ifindex == index && it.header.state == NeighbourState::Permanent);
        Ok(told)
    }

    /// Tells on which node a hardware address is.
    pub(crate) async fn forward(&self, index: u32, mac: Mac, node: IpAddr) -> Result<(), Error> {
        let told = self.handle.neighbours().add_bridge(index, &mac).destination(node);
        let told = told.flags(NeighbourFlags::Own).replace().execute().await;
        told.map_err(|source| Error::Neighbour { index, address: node, source })
    }

    pub(crate) async fn remove_forward(&self, index: u32, mac: Mac, node: IpAddr) -> Result<(), Error> {
        let mut entry = self.handle.neighbours().add_bridge(index, &mac).destination(node);
        let mut entry = std::mem::take(entry.message_mut());
        entry.header.flags = NeighbourFlags::Own;
        self.forget(entry, index, node).await
    }

    pub(crate) async fn remove_neighbour(&self, index: u32, address: IpAddr) -> Result<(), Error> {
        let mut entry = self.handle.neighbours().add(index, address);
        let entry = std::mem::take(entry.message_mut());
        self.forget(entry, index, address).await
    }

    async fn forget(&self, entry: NeighbourMessage, index: u32, address: IpAddr) -> Result<(), Error> {
        match self.handle.neighbours().del(entry).execute().await {
            Err(source) if !is(&source, Errno::NOENT) => Err(Error::Neighbour { index, address, source }),
            _ => Ok(()),
        }
    }

    /// Tells where an address is, once and for all: nobody is asked.
    pub(crate) async fn neighbour(&self, index: u32, address: IpAddr, mac: Mac) -> Result<(), Error> {
        let told = self.handle.neighbours().add(index, address).link_layer_address(&mac).replace();
        told.execute().await.map_err(|source| Error::Neighbour { index, address, source })
    }
}

/// What a change of links and addresses took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    None,
    /// The link with this index is down or gone, or an address of it is.
    Of(u32),
    /// The kernel had more to tell than we could hold.
    Unknown,
}

/// Tells of every change of a link or an address.
pub struct Monitor {
    events: BoxStream<'static, Loss>,
    _served: JoinSet<()>,
}

impl Monitor {
    /// Of the network namespace of the calling thread, from now on.
    pub fn open() -> Result<Self, Error> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (connection, _, events) = rtnetlink::new_multicast_connection(&groups).map_err(Error::Open)?;
        let mut served = JoinSet::new();
        served.spawn(connection);
        Ok(Self { events: events.map(|(message, _)| loss(&message)).boxed(), _served: served })
    }

    /// Waits for the next change. Cancel safe.
    pub async fn next(&mut self) -> Result<Loss, Error> {
        self.events.next().await.ok_or_else(|| Error::Open(io::ErrorKind::BrokenPipe.into()))
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

fn loss(message: &NetlinkMessage<RouteNetlinkMessage>) -> Loss {
    match &message.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
            if link.header.flags.contains(LinkFlags::Up) { Loss::None } else { Loss::Of(link.header.index) }
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) => Loss::Of(link.header.index),
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(it)) => Loss::Of(it.header.index),
        NetlinkPayload::InnerMessage(_) => Loss::None,
        _ => Loss::Unknown,
    }
}

fn destination(message: &NeighbourMessage) -> Option<IpAddr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some((*address).into()),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some((*address).into()),
        // That of a forwarding entry: its family is neither.
        NeighbourAttribute::Destination(NeighbourAddress::Other(bytes)) => {
            let four = <[u8; 4]>::try_from(bytes.as_slice()).ok().map(IpAddr::from);
            four.or_else(|| <[u8; 16]>::try_from(bytes.as_slice()).ok().map(IpAddr::from))
        }
        _ => None,
    })
}

fn mac(message: &NeighbourMessage) -> Option<Mac> {
    message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => Mac::try_from(bytes.as_slice()).ok(),
        _ => None,
    })
}

pub(crate) fn name_of(link: &LinkMessage) -> Option<&str> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

fn is(error: &rtnetlink::Error, errno: Errno) -> bool {
    matches!(error, rtnetlink::Error::NetlinkError(message) if message.raw_code() == -errno.raw_os_error())
}
