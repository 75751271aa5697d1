//! What the shim waits for: an epoll and a token for each thing in it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token(u64);

pub(super) struct Poller {
    epoll: OwnedFd,
    next: u64,
    events: Vec<Event>,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, next: 0, events: Vec::with_capacity(8) })
    }

    /// Tells when `what` can be read or its other side is gone.
    pub(super) fn add(&mut self, what: impl AsFd) -> io::Result<Token> {
        self.add_for(what, EventFlags::IN)
    }

    /// Tells only when the other side is gone.
    pub(super) fn add_idle(&mut self, what: impl AsFd) -> io::Result<Token> {
        self.add_for(what, EventFlags::empty())
    }

    fn add_for(&mut self, what: impl AsFd, flags: EventFlags) -> io::Result<Token> {
        let token = Token(self.next);
        self.next += 1;
        epoll::add(&self.epoll, what, EventData::new_u64(token.0), flags)?;
        Ok(token)
    }

    pub(super) fn want(&self, token: Token, what: impl AsFd, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, what, EventData::new_u64(token.0), flags)?)
    }

    /// Needed where `what` has other descriptors that stay open: epoll goes by the open file.
    pub(super) fn remove(&self, what: impl AsFd) {
        let _was_not_in = epoll::delete(&self.epoll, what);
    }

    /// Blocks until something happened.
    pub(super) fn wait(&mut self) -> io::Result<Vec<Token>> {
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.events.iter().map(|event| Token(event.data.u64())).collect())
    }
}
