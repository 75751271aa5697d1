//! Just enough netlink to ask the kernel a few questions, in sequence and without a runtime.
//!
//! Rejected: the netlink-packet crates. Their nf_tables half knows neither `nat`, `masq`, `ct`, `fib` nor `numgen`, the very
//! expressions that are asked for here, and what remains is attributes of length, type and value.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// The kernel answers at once or not at all; an emulator may swallow a question.
const PATIENCE: Duration = Duration::from_secs(5);
const HEADER: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;

pub(super) const REQUEST: u16 = 0x1;
pub(super) const ACK: u16 = 0x4;
pub(super) const DUMP: u16 = 0x300;
pub(super) const CREATE: u16 = 0x400;

/// Messages in the making, back to back.
#[derive(Debug, Default)]
pub(super) struct Request(Vec<u8>);

impl Request {
    /// Appends a message: its type, flags, the fixed part after the header, and its attributes.
    pub(super) fn message(
        mut self,
        kind: u16,
        flags: u16,
        fixed: &[u8],
        attributes: impl FnOnce(Attributes) -> Attributes,
    ) -> Self {
        let body = attributes(Attributes(fixed.to_vec())).0;
        let length = u32::try_from(HEADER + body.len()).expect("a question has a few hundred bytes");
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend((REQUEST | flags).to_ne_bytes());
        self.0.extend([0; 8]); // sequence and port: one question at a time needs neither
        self.0.extend(body);
        self
    }
}

#[derive(Debug)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    pub(super) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).expect("an attribute has a few hundred bytes");
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn text(self, kind: u16, value: &str) -> Self {
        self.bytes(kind, &[value.as_bytes(), b"\0"].concat())
    }

    /// nf_tables counts in network order.
    pub(super) fn be32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(super) fn nested(self, kind: u16, inner: impl FnOnce(Attributes) -> Attributes) -> Self {
        let inner = inner(Attributes(Vec::new())).0;
        self.bytes(kind | NESTED, &inner)
    }
}

#[derive(Debug)]
pub(super) struct Netlink(OwnedFd);

impl Netlink {
    /// Opens a socket of this family, in the network namespace of the calling thread. None is the family of links and routes.
    pub(super) fn open(family: Option<Protocol>) -> Result<Self, Errno> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, family)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        Ok(Self(socket))
    }

    /// Sends messages of which the last asks for an acknowledgement. The first answer, good or bad, is the answer; others that
    /// may follow go with the socket.
    pub(super) fn ask(self, request: &Request) -> Result<(), Errno> {
        send(&self.0, &request.0, SendFlags::empty())?;
        let answer = self.receive()?;
        let first = messages(&answer).next().ok_or(Errno::BADMSG)?;
        first.error().map_or(Ok(()), Err)
    }

    /// Sends a question with a list as answer and hands over each message of the list.
    pub(super) fn dump(&self, request: &Request, mut each: impl FnMut(&Message<'_>)) -> Result<(), Errno> {
        send(&self.0, &request.0, SendFlags::empty())?;
        loop {
            let answer = self.receive()?;
            for message in messages(&answer) {
                match (message.error(), message.kind) {
                    (Some(error), _) => return Err(error),
                    (None, DONE) => return Ok(()),
                    (None, _) => each(&message),
                }
            }
        }
    }

    fn receive(&self) -> Result<Vec<u8>, Errno> {
        let mut buffer = vec![0; 32 << 10];
        let (_, length) = recv(&self.0, &mut buffer[..], RecvFlags::empty())?;
        buffer.truncate(length);
        Ok(buffer)
    }
}

#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) body: &'a [u8],
}

impl Message<'_> {
    fn error(&self) -> Option<Errno> {
        let code = self.body.first_chunk().map(|code| i32::from_ne_bytes(*code))?;
        (self.kind == ERROR && code != 0).then(|| Errno::from_raw_os_error(code.saturating_neg()))
    }
}

fn messages(bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(*rest.first_chunk()?)).ok()?;
        let body = rest.get(HEADER..length)?;
        let kind = u16::from_ne_bytes([rest[4], rest[5]]);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, body })
    })
}

/// The attributes in these bytes, by type; what is cut off is left out.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let [a, b, c, d] = *rest.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]) & TYPE_MASK, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_were_written() {
        let Attributes(bytes) = Attributes(Vec::new()).text(1, "skiff").nested(4, |hook| hook.be32(1, 2));
        let read: Vec<_> = attributes(&bytes).collect();
        assert_eq!(read[0], (1, &b"skiff\0"[..]));
        assert_eq!(read[1].0, 4);
        assert_eq!(attributes(read[1].1).collect::<Vec<_>>(), [(1, &[0, 0, 0, 2][..])]);
    }

    #[test]
    fn cut_off_answers_end_the_reading() {
        assert_eq!(attributes(&[200, 0, 1, 0, 1, 2]).count(), 0);
        assert_eq!(attributes(&[2, 0, 1, 0, 1, 2]).count(), 0);
        assert_eq!(messages(&[8, 0, 0, 0]).count(), 0);
        let Request(request) = Request::default().message(7, 0, &[1], |none| none);
        assert_eq!(messages(&request).map(|message| message.kind).collect::<Vec<_>>(), [7]);
        assert_eq!(messages(&request[..HEADER]).count(), 0);
    }
}
