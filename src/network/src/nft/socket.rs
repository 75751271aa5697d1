//! One netfilter socket, and transactions over it, one after the other.
//!
//! The kernel works through a batch inside `send` and has queued all its answers when that returns: there is nothing to wait
//! for, but a large table takes milliseconds. So a transaction runs on a blocking thread, and runs to its end there: dropping the
//! future of [`Nftables::apply`] or [`Nftables::change`] does not stop it half-way.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{set_socket_send_buffer_size_force, socket_send_buffer_size};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, netlink, recv, send, socket_with,
};

use super::change::Change;
use super::difference::difference;
use super::message::{Sealed, Subject};
use super::ruleset::Ruleset;

const ERROR: u16 = 2;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("open a netfilter socket")]
    Open(#[source] Errno),
    #[error("listen to what becomes of tables")]
    Listen(#[source] io::Error),
    #[error("send {length} bytes of table {table} to the kernel")]
    Send { table: String, length: usize, source: Errno },
    #[error("the kernel refuses {subject} of table {table}")]
    Refused { table: String, subject: Subject, source: Errno },
    #[error("the kernel did not acknowledge the change of table {table}")]
    Unanswered { table: String },
    #[error("the runtime ended before table {table} was changed")]
    Stopped { table: String, source: tokio::task::JoinError },
}

/// Changes nf_tables in the network namespace in which it was opened. Clones share the socket.
#[derive(Debug, Clone)]
pub struct Nftables(Arc<Mutex<OwnedFd>>);

impl Nftables {
    /// Opens the socket in the calling thread's network namespace; every change goes there, whichever thread asks.
    pub fn open() -> Result<Self, Error> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(netlink::NETFILTER),
        );
        let socket = socket.map_err(Error::Open)?;
        bind(&socket, &SocketAddrNetlink::new(0, 0)).map_err(Error::Open)?;
        Ok(Self(Arc::new(Mutex::new(socket))))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, OwnedFd> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the table of this name as a whole: packets see the old one or the new one.
    pub async fn apply(&self, ruleset: &Ruleset) -> Result<(), Error> {
        self.transact(ruleset.table.clone(), ruleset.encode()).await
    }

    /// Removes the table, if it is there.
    pub async fn remove(&self, table: &str) -> Result<(), Error> {
        self.transact(table.to_owned(), super::ruleset::removal(table)).await
    }

    /// Makes these changes to a table, in this order and in one transaction.
    pub async fn change(&self, table: &str, changes: &[Change]) -> Result<(), Error> {
        if changes.iter().all(Change::is_empty) {
            return Ok(());
        }
        self.transact(table.to_owned(), super::change::encode(table, changes)).await
    }

    /// Carries over a table from what it was last made into what it shall be; the other parts keep their memories.
    ///
    /// Where the kernel refuses that, the table is replaced: those before 6.2 count a map's way to a chain for a moment
    /// longer than the map holds it, and refuse to remove such a chain.
    pub async fn update(&self, old: &Ruleset, new: &Ruleset) -> Result<(), Error> {
        let Some(changes) = difference(old, new) else { return self.apply(new).await };
        match self.change(&new.table, &changes).await {
            Err(Error::Refused { .. }) => self.apply(new).await,
            other => other,
        }
    }

    async fn transact(&self, table: String, batch: Sealed) -> Result<(), Error> {
        let shared = self.clone();
        let name = table.clone();
        let work = move || transact(&shared.lock(), table, &batch);
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|source| Error::Stopped { table: name, source })?
    }
}

fn transact(socket: &OwnedFd, table: String, batch: &Sealed) -> Result<(), Error> {
    let length = batch.bytes.len();
    let sent = make_room(socket, length).and_then(|()| send(socket, &batch.bytes, SendFlags::empty()));
    if let Err(source) = sent {
        return Err(Error::Send { table, length, source });
    }
    match first_answer(socket) {
        Some((0, _)) => Ok(()),
        Some((code, sequence)) => Err(Error::Refused {
            table,
            subject: batch.subject(sequence),
            source: Errno::from_raw_os_error(code.saturating_neg()),
        }),
        None => Err(Error::Unanswered { table }),
    }
}

/// A batch is one datagram, and one datagram must fit the send buffer.
fn make_room(socket: &OwnedFd, length: usize) -> Result<(), Errno> {
    let wanted = length + 4096;
    if socket_send_buffer_size(socket)? < wanted {
        set_socket_send_buffer_size_force(socket, wanted)?;
    }
    Ok(())
}

/// Empties the queue of answers and returns the first: its code and the sequence number of the message it answers. The
/// kernel answers in order, the acknowledgement last: if the first is no error, none is.
fn first_answer(socket: &OwnedFd) -> Option<(i32, u32)> {
    let mut first = None;
    loop {
        let mut answer = [0; 64]; // the copy of our message behind it is cut off
        match recv(socket, &mut answer[..], RecvFlags::DONTWAIT) {
            Ok(_) => first = first.or_else(|| parse(&answer)),
            // Says once that later answers did not fit; those that did are still to be read.
            Err(Errno::NOBUFS | Errno::INTR) => {}
            Err(_) => return first,
        }
    }
}

fn parse(answer: &[u8; 64]) -> Option<(i32, u32)> {
    let word = |at: usize| [answer[at], answer[at + 1], answer[at + 2], answer[at + 3]];
    let kind = u16::from_ne_bytes([answer[4], answer[5]]);
    (kind == ERROR).then(|| (i32::from_ne_bytes(word(16)), u32::from_ne_bytes(word(8))))
}
