//! The connections that the kernel keeps track of.
//!
//! A translation is decided by a connection's first packet and then kept. UDP has no end that the kernel could see: who goes
//! on sending to a Service keeps the endpoint he had, also when that is gone. Such flows are found and forgotten here.
//!
//! The kernel answers inside `send` and `recv`: both are called on a blocking thread and wait for nothing.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

use crate::wire::{attributes, messages, value};

const SUBSYSTEM: u16 = 1 << 8;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const HEADER: usize = 16;
/// Family, version and resource behind the header.
const PREFIX: usize = 4;
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
/// More than the kernel writes into one datagram of a dump.
const DATAGRAM: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("open a conntrack socket")]
    Open(#[source] Errno),
    #[error("read the tracked connections")]
    Read(#[source] Errno),
    #[error("forget the connection to {to}")]
    Forget { to: IpAddr, source: Errno },
    #[error("the runtime ended before the connections were looked at")]
    Stopped(#[source] tokio::task::JoinError),
}

/// A connection as its first packet was, and who answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    pub protocol: u8,
    pub to: (IpAddr, u16),
    pub answered_by: (IpAddr, u16),
    family: u8,
    /// The kernel's words for the first packet: by these it knows the connection.
    original: Vec<u8>,
}

/// The connections of the network namespace in which it was opened. Clones share the socket.
#[derive(Debug, Clone)]
pub struct Conntrack(Arc<Mutex<OwnedFd>>);

impl Conntrack {
    /// In the network namespace of the calling thread.
    pub fn open() -> Result<Self, Error> {
        let (family, kind, flags) = (AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC);
        let socket = socket_with(family, kind, flags, Some(netlink::NETFILTER));
        Ok(Self(Arc::new(Mutex::new(socket.map_err(Error::Open)?))))
    }

    /// Forgets the connections of which this says so: their next packet is a first one.
    pub async fn forget(&self, stale: impl Fn(&Flow) -> bool + Send + 'static) -> Result<usize, Error> {
        let shared = self.0.clone();
        let work = move || {
            let socket = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let mut flows = flows(&socket).map_err(Error::Read)?;
            flows.retain(|flow| stale(flow));
            for flow in &flows {
                forget(&socket, flow).map_err(|source| Error::Forget { to: flow.to.0, source })?;
            }
            Ok(flows.len())
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::Stopped)?
    }
}

fn flows(socket: &OwnedFd) -> Result<Vec<Flow>, Errno> {
    send(socket, &message(GET, REQUEST | DUMP, 0, &[]), SendFlags::empty())?;
    let mut found = Vec::new();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let length = match recv(socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((length, _)) => length,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        };
        for message in messages(&buffer[..length]) {
            match message.kind {
                DONE => return Ok(found),
                ERROR => verdict(message.body)?,
                _ => found.extend(flow(message.body)),
            }
        }
    }
}

fn forget(socket: &OwnedFd, flow: &Flow) -> Result<(), Errno> {
    let request = message(DELETE, REQUEST | ACK, flow.family, &flow.original);
    send(socket, &request, SendFlags::empty())?;
    let mut buffer = vec![0; DATAGRAM];
    let (length, _) = recv(socket, &mut buffer[..], RecvFlags::empty())?;
    let answer = messages(&buffer[..length]).next();
    match answer.map_or(Ok(()), |message| verdict(message.body)) {
        // It ended by itself.
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn message(kind: u16, flags: u16, family: u8, attributes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + PREFIX + attributes.len()).expect("one connection at most");
    let mut bytes = Vec::new();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, 0, 0, 0]);
    bytes.extend(attributes);
    bytes
}

/// What an acknowledgement says.
fn verdict(body: &[u8]) -> Result<(), Errno> {
    match body.first_chunk().map(|code| i32::from_ne_bytes(*code)) {
        Some(0) => Ok(()),
        code => Err(Errno::from_raw_os_error(code.unwrap_or(-Errno::PROTO.raw_os_error()).saturating_neg())),
    }
}

fn flow(body: &[u8]) -> Option<Flow> {
    let list = body.get(PREFIX..)?;
    let original = attributes(list).find(|attribute| attribute.kind == ORIGINAL)?;
    let first = original.value;
    let answer = value(list, REPLY)?;
    Some(Flow {
        protocol: *value(value(first, 2)?, 1)?.first()?,
        to: (address(first, 2, 4)?, port(first, 3)?),
        answered_by: (address(answer, 1, 3)?, port(answer, 2)?),
        family: *body.first()?,
        original: original.whole.to_vec(),
    })
}

/// One of a tuple's addresses: its attribute for IPv4 or that for IPv6.
fn address(tuple: &[u8], four: u16, six: u16) -> Option<IpAddr> {
    let addresses = value(tuple, 1)?;
    let four = value(addresses, four).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).map(IpAddr::from);
    four.or_else(|| {
        value(addresses, six).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(IpAddr::from)
    })
}

fn port(tuple: &[u8], kind: u16) -> Option<u16> {
    value(value(tuple, 2)?, kind)?.try_into().ok().map(u16::from_be_bytes)
}
