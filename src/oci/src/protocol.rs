//! What node agent, shim and launcher say to one another, and how it travels.
//!
//! Each message is one packet of JSON on a `SOCK_SEQPACKET` socket, so it needs no framing and file descriptors belong to
//! exactly one message. Specs do not travel in messages: a container's is on disk, an exec's in a memory file whose
//! descriptor is sent, so a shim never reads nor keeps them. A shim may be older than the agent (pods outlive upgrades): its
//! first message names the version it speaks.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recv, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::spec::Size;
use crate::state::{ContainerState, Ended};

/// Raised when an older peer could misunderstand; new messages alone do not need it.
pub(crate) const VERSION: u32 = 1;

/// Agent to shim. Every request is answered once, in any order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) sequence: u64,
    pub(crate) order: Order,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Order {
    /// Its spec and the state `Created` are on disk.
    Add {
        container: String,
    },
    Start {
        container: String,
    },
    /// To its first process only.
    Signal {
        container: String,
        signal: i32,
    },
    /// Kills what is left of it and forgets it.
    Delete {
        container: String,
    },
    /// With descriptors: the spec, stdin, stdout, stderr.
    Exec {
        exec: u64,
        container: String,
    },
    SignalExec {
        exec: u64,
        signal: i32,
    },
    /// With a descriptor to write to for each stream that is asked for.
    Attach {
        container: String,
        stdin: bool,
        stdout: bool,
        stderr: bool,
    },
    CloseStdin {
        container: String,
    },
    Resize {
        container: String,
        size: Size,
    },
    /// Kill everything, forget everything, end.
    Remove,
    /// Only to be answered: whether the shim hears at all.
    Ping,
}

impl Order {
    /// Whether the shim answers it by itself, at once. The others wait for a launcher, or for processes to die.
    pub(crate) fn is_prompt(&self) -> bool {
        !matches!(self, Self::Start { .. } | Self::Exec { .. } | Self::Remove)
    }
}

/// Shim to agent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Message {
    /// The first message on every connection.
    Hello {
        version: u32,
        sandbox: Result<(), String>,
        containers: BTreeMap<String, ContainerState>,
    },
    /// To `Start` and `Exec` of a terminal and to `Attach` with stdin with a descriptor.
    Reply {
        sequence: u64,
        result: Result<(), String>,
    },
    State {
        container: String,
        state: ContainerState,
    },
    Deleted {
        container: String,
    },
    ExecEnded {
        exec: u64,
        ended: Ended,
    },
}

/// Launcher to shim: its only message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Report {
    /// With the terminal's descriptor, if it has one.
    Done {
        pid: Option<i32>,
    },
    Failed {
        message: String,
    },
}

/// An exec sends four.
const MOST_DESCRIPTORS: usize = 4;

pub(crate) fn send(
    socket: BorrowedFd<'_>,
    message: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[IoSlice::new(&bytes)], &mut ancillary, flags)?;
    Ok(())
}

/// The next message; `None` when the other side is gone. `WouldBlock` when the socket does not block and has none.
pub(crate) fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    // As much as it takes: a shim must not touch memory for the largest message there could be.
    let (_, length) = recv(socket, &mut [0; 0][..], RecvFlags::PEEK | RecvFlags::TRUNC)?;
    let mut bytes = vec![0; length];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(sent) = message {
            descriptors.extend(sent);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    Ok(Some((serde_json::from_slice(&bytes[..received.bytes])?, descriptors)))
}

/// The descriptor that a container's runtime sends with a word that nobody reads.
pub(crate) fn receive_descriptor(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut word = [0; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(socket, &mut [IoSliceMut::new(&mut word)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let descriptors = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sent) => sent.next(),
        _ => None,
    });
    descriptors.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
