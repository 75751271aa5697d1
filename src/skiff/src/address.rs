//! This machine's own address: the one that others reach it by, when nobody told us.
//!
//! The default route decides; without one it is the address that this machine had before, if a card has it still, and then the first of
//! a card. What skiff itself put on links is none.
//!
//! A machine that starts before its network (no cable, no answer from DHCP) goes on with the address that it had before, so that its
//! pods start, and begins anew when it comes to have another one. One that never had any waits for the first.

use std::convert::Infallible;
use std::future::pending;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use network::netlink::Monitor;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use pki::file;
use task::{Shutdown, readiness};
use tracing::{info, warn};

use crate::lifecycle::Component;

/// Anywhere outside: nothing is sent there, the kernel is only asked which way it would go.
const OUTSIDE: [&str; 2] = ["192.0.2.1:9", "[2001:db8::1]:9"];
const FILE: &str = "address";

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("list the addresses of this machine")]
    List(#[source] nix::Error),
    #[error("follow the addresses of this machine")]
    Follow(#[from] network::netlink::Error),
    #[error("this machine's address was {before} and is {now}: starting again with it")]
    Moved { before: IpAddr, now: IpAddr },
}

/// The address that this process goes by.
#[derive(Debug)]
pub(crate) struct OwnAddress {
    pub(crate) ip: IpAddr,
    /// It was not there: where the one that comes instead is kept.
    missing: Option<PathBuf>,
}

/// The given one, or the one that is found, if need be waited for. Of two families, that of the pods is looked for.
pub(crate) async fn find(given: &[IpAddr], data_dir: &Path, ipv6: bool) -> Result<OwnAddress, Error> {
    if let Some(ip) = given.first() {
        return Ok(OwnAddress { ip: *ip, missing: None });
    }
    let path = data_dir.join(FILE);
    let mut changes = Monitor::open()?;
    let seen = Seen::now()?;
    let before = kept(&path);
    let any = || if before.is_none() { seen.choose(!ipv6, None) } else { None };
    let found = seen.choose(before.map_or(ipv6, |before| before.is_ipv6()), before).or_else(any);
    if let (None, Some(ip)) = (found, before) {
        warn!("this machine has no address yet: going on with {ip}, which it had before");
        return Ok(OwnAddress { ip, missing: Some(path) });
    }
    let ip = match found {
        Some(ip) => ip,
        None => first(&mut changes, ipv6).await?,
    };
    keep(&path, ip);
    Ok(OwnAddress { ip, missing: None })
}

async fn first(changes: &mut Monitor, ipv6: bool) -> Result<IpAddr, Error> {
    warn!(
        "this machine has no address that others could reach it by: waiting for one; --node-ip names it beforehand"
    );
    loop {
        changes.next().await?;
        if let Some(ip) = Seen::now()?.choose(ipv6, None) {
            return Ok(ip);
        }
    }
}

impl OwnAddress {
    /// Ends when this machine comes to have another address than the one that was not there.
    pub(crate) async fn hold(self) -> Result<Infallible, Error> {
        if let Some(path) = self.missing {
            let mut changes = Monitor::open()?;
            loop {
                match Seen::now()?.choose(self.ip.is_ipv6(), Some(self.ip)) {
                    Some(now) if now == self.ip => break,
                    Some(now) => {
                        keep(&path, now);
                        return Err(Error::Moved { before: self.ip, now });
                    }
                    None => changes.next().await?,
                };
            }
            info!("this machine has its address {} again", self.ip);
        }
        pending().await
    }

    pub(crate) fn component(self) -> Component {
        let (signal, ready) = readiness();
        signal.set();
        Component::new("address", ready, move |shutdown: Shutdown| async move {
            match shutdown.or_requested(self.hold()).await {
                Some(Err(error)) => Err(error.into()),
                Some(Ok(never)) => match never {},
                None => Ok(()),
            }
        })
    }
}

/// What the kernel says of the addresses that others can reach.
#[derive(Debug, Default)]
struct Seen {
    /// Where packets to the outside would come from, at most one of each family.
    on_the_way_out: Vec<IpAddr>,
    on_cards: Vec<IpAddr>,
}

impl Seen {
    fn now() -> Result<Self, Error> {
        let on_the_way_out = OUTSIDE.into_iter().filter_map(towards).collect();
        let interfaces = getifaddrs().map_err(Error::List)?;
        Ok(Self {
            on_the_way_out,
            on_cards: interfaces.filter_map(|interface| of_card(&interface)).collect(),
        })
    }

    fn choose(&self, ipv6: bool, before: Option<IpAddr>) -> Option<IpAddr> {
        let of_family = |all: &[IpAddr]| all.iter().copied().find(|address| address.is_ipv6() == ipv6);
        let still = before.filter(|before| self.on_cards.contains(before));
        of_family(&self.on_the_way_out).or(still).or_else(|| of_family(&self.on_cards))
    }
}

fn of_card(interface: &InterfaceAddress) -> Option<IpAddr> {
    let address = interface.address.filter(|_| is_card(&interface.interface_name, interface.flags))?;
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| address.ip().into())).filter(is_usable)
}

/// Also the loopback link has addresses that look as if others could reach them: we put some there.
fn is_card(name: &str, flags: InterfaceFlags) -> bool {
    let ours = name.starts_with("pod") || name.starts_with("skiff");
    flags.contains(InterfaceFlags::IFF_UP) && !flags.contains(InterfaceFlags::IFF_LOOPBACK) && !ours
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

fn kept(path: &Path) -> Option<IpAddr> {
    file::read(path).ok()??.trim().parse().ok()
}

/// A disk that is full is no reason not to start.
fn keep(path: &Path, ip: IpAddr) {
    if kept(path) != Some(ip)
        && let Err(error) = file::write(path, format!("{ip}\n").as_bytes(), file::PUBLIC)
    {
        warn!(%error, "cannot keep this machine's address in {}: it is waited for at a start without network", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_default_route_decides_then_what_was_before_then_the_first_card() {
        let seen = |out: &[&str], cards: &[&str]| Seen {
            on_the_way_out: out.iter().map(|text| ip(text)).collect(),
            on_cards: cards.iter().map(|text| ip(text)).collect(),
        };
        let cards = ["2001:db8::7", "172.17.0.1", "192.0.2.7"];
        let before = Some(ip("192.0.2.7"));
        let routed = seen(&["192.0.2.9", "2001:db8::9"], &cards);
        assert_eq!(routed.choose(false, before), Some(ip("192.0.2.9")));
        assert_eq!(routed.choose(true, None), Some(ip("2001:db8::9")));
        assert_eq!(seen(&[], &cards).choose(false, before), before);
        assert_eq!(seen(&[], &cards).choose(false, None), Some(ip("172.17.0.1")));
        assert_eq!(seen(&[], &["10.0.0.1"]).choose(false, before), Some(ip("10.0.0.1")), "it has moved");
        assert_eq!(seen(&[], &cards[..1]).choose(false, before), None, "the other family is no answer");
    }

    #[test]
    fn addresses_of_the_loopback_link_and_of_our_own_are_none_of_the_machine() {
        let up = InterfaceFlags::IFF_UP;
        assert!(is_card("eth0", up));
        assert!(!is_card("eth0", InterfaceFlags::empty()));
        assert!(!is_card("lo", up | InterfaceFlags::IFF_LOOPBACK));
        assert!(!is_card("skiff.1", up) && !is_card("pod0a2a0007", up));
    }

    #[tokio::test]
    async fn what_is_given_is_taken_and_what_was_found_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let given = find(&[ip("192.0.2.1")], folder.path(), false).await.unwrap();
        assert_eq!((given.ip, given.missing), (ip("192.0.2.1"), None));
        let path = folder.path().join(FILE);
        assert_eq!(kept(&path), None);
        keep(&path, ip("192.0.2.2"));
        assert_eq!(kept(&path), Some(ip("192.0.2.2")));
    }
}
