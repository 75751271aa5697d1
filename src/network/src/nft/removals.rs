//! Tables that somebody else removed.
//!
//! On a real machine others change nf_tables too: a firewall that is loaded anew begins with `flush ruleset`, which takes our tables
//! along. Whoever owns a table is told here, and puts it back.

#![expect(unsafe_code, reason = "tokio's registration of a descriptor is unsafe")]

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, getsockname, netlink, recv, socket_with,
};
use tokio::io::unix::AsyncFd;

use super::socket::{Error, Nftables};
use crate::wire::{messages, value};

/// The group of those who want to know about tables, as a bit.
const GROUP: u32 = 1 << 6;
const REMOVED: u16 = 10 << 8 | 2;
const NAME: u16 = 1;
const PREFIX: usize = 4;
/// The kernel tells of a transaction in pieces of a page or two.
const DATAGRAM: usize = 16 * 1024;

/// What happens from the moment this is made. Our own replacing of a table is not told.
///
/// When more happens than the socket holds, the rest is lost: a table that goes in the midst of that is missed.
#[derive(Debug)]
pub struct Removals {
    socket: AsyncFd<OwnedFd>,
    ours: u32,
}

impl Nftables {
    /// Of the calling thread's network namespace. Must be called on a tokio runtime.
    pub fn removals(&self) -> Result<Removals, Error> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::NETFILTER))
            .map_err(Error::Open)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUP)).map_err(Error::Open)?;
        // SAFETY: an `OwnedFd` is the same open descriptor as long as it lives, and the `AsyncFd` owns it.
        let socket = unsafe { AsyncFd::register(socket) }.map_err(|error| Error::Listen(error.into()))?;
        Ok(Removals { socket, ours: self.port()? })
    }

    /// The number by which the kernel knows our socket.
    fn port(&self) -> Result<u32, Error> {
        let address = getsockname(&*self.lock()).map_err(Error::Open)?;
        Ok(SocketAddrNetlink::try_from(address).map_err(Error::Open)?.pid())
    }
}

impl Removals {
    /// Waits until the table of this name is removed. Cancel safe.
    pub async fn of(&self, table: &str) -> Result<(), Error> {
        let mut buffer = vec![0; DATAGRAM];
        loop {
            let mut ready = self.socket.readable().await.map_err(Error::Listen)?;
            let received = ready.try_io(|socket| {
                recv(socket.get_ref(), &mut buffer[..], RecvFlags::empty()).map_err(io::Error::from)
            });
            match received {
                Ok(Ok((length, _))) if self.tells(&buffer[..length], table) => return Ok(()),
                Ok(Err(error)) if error.raw_os_error() != Some(Errno::NOBUFS.raw_os_error()) => {
                    return Err(Error::Listen(error));
                }
                _ => {}
            }
        }
    }

    fn tells(&self, datagram: &[u8], table: &str) -> bool {
        messages(datagram).any(|message| {
            let name = message.body.get(PREFIX..).and_then(|list| value(list, NAME));
            let name = name.and_then(|name| name.strip_suffix(b"\0"));
            message.kind == REMOVED && message.port != self.ours && name == Some(table.as_bytes())
        })
    }
}
