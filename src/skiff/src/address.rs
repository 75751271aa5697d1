//! This machine's own address: the one that others reach it by, when nobody told us.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// Anywhere outside: nothing is sent there, the kernel is only asked which way it would go.
const OUTSIDE: [&str; 2] = ["192.0.2.1:9", "[2001:db8::1]:9"];

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("list the addresses of this machine")]
    List(#[source] nix::Error),
    #[error(
        "this machine has no address that others could reach it by yet; name one with --node-ip, or connect its network"
    )]
    None,
}

/// That of the default route, else the first one of a network card.
pub(crate) fn own() -> Result<IpAddr, Error> {
    if let Some(address) = OUTSIDE.into_iter().find_map(towards) {
        return Ok(address);
    }
    let interfaces = getifaddrs().map_err(Error::List)?;
    let up = interfaces.filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP));
    let ours = |name: &str| name.starts_with("pod") || name.starts_with("skiff");
    let addresses = up.filter(|interface| !ours(&interface.interface_name)).filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| address.ip().into()))
    });
    let mut usable: Vec<IpAddr> = addresses.filter(is_usable).collect();
    usable.sort_by_key(IpAddr::is_ipv6);
    usable.first().copied().ok_or(Error::None)
}

fn towards(outside: &str) -> Option<IpAddr> {
    let outside: SocketAddr = outside.parse().ok()?;
    let any = if outside.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(outside).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(is_usable)
}

fn is_usable(address: &IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(address.is_loopback() || address.is_unspecified() || link_local || address.is_multicast())
}
