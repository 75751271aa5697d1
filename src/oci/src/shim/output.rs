//! A container's output on its way to the log and to whoever is attached.
//!
//! An attached client reads from a pipe. While that pipe is full its stream is not read, so a client that does not read
//! holds up the container as it would at a terminal; one that went away is forgotten.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::SystemTime;

use rustix::event::epoll::EventFlags;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use super::log::{Lines, LogFile, Stream};
use super::poller::{Poller, Token};

/// As large as what can be read from a pipe at once matters, small enough for every pod's shim to have one.
pub(super) const CHUNK: usize = 16 << 10;

/// One stream of a container's output.
pub(super) struct Output {
    pub(super) container: String,
    pub(super) stream: Stream,
    source: OwnedFd,
    lines: Lines,
    pub(super) taps: Vec<Token>,
}

/// What a read gave.
pub(super) enum Read {
    Some(usize),
    /// Nothing now.
    Empty,
    /// Nothing ever again.
    Ended,
}

impl Output {
    pub(super) fn new(container: String, stream: Stream, source: OwnedFd) -> io::Result<Self> {
        set_nonblocking(&source)?;
        Ok(Self { container, stream, source, lines: Lines::default(), taps: Vec::new() })
    }

    pub(super) fn source(&self) -> &OwnedFd {
        &self.source
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> Read {
        match rustix::io::read(&self.source, buffer) {
            Ok(0) => Read::Ended,
            Ok(count) => Read::Some(count),
            Err(Errno::AGAIN | Errno::INTR) => Read::Empty,
            // A terminal whose last user is gone.
            Err(_) => Read::Ended,
        }
    }

    pub(super) fn log(&mut self, output: &[u8], file: Option<&mut LogFile>) {
        let Some(file) = file else { return };
        let mut lines = Vec::new();
        self.lines.take(self.stream, output, SystemTime::now(), &mut lines);
        if !lines.is_empty() {
            file.append(&lines);
        }
    }

    pub(super) fn finish(&mut self, file: Option<&mut LogFile>) {
        let Some(file) = file else { return };
        let mut lines = Vec::new();
        self.lines.finish(self.stream, SystemTime::now(), &mut lines);
        if !lines.is_empty() {
            file.append(&lines);
        }
    }

    pub(super) fn pause(&self, token: Token, poller: &Poller) -> io::Result<()> {
        poller.want(token, &self.source, EventFlags::empty())
    }

    pub(super) fn resume(&self, token: Token, poller: &Poller) -> io::Result<()> {
        poller.want(token, &self.source, EventFlags::IN)
    }
}

/// An attached client's end of one stream.
pub(super) struct Tap {
    sink: OwnedFd,
    /// Not taken yet; bounded, as the stream is not read while there is some.
    waiting: Vec<u8>,
    /// The stream that feeds it; `None` once that has ended.
    pub(super) output: Option<Token>,
}

impl Tap {
    pub(super) fn new(sink: OwnedFd, output: Token) -> io::Result<Self> {
        set_nonblocking(&sink)?;
        Ok(Self { sink, waiting: Vec::new(), output: Some(output) })
    }

    pub(super) fn sink(&self) -> &OwnedFd {
        &self.sink
    }

    pub(super) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn give(&mut self, output: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(output);
        self.flush()
    }

    /// Writes what is waiting as far as there is room; an error means that nobody reads any more.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            match rustix::io::write(&self.sink, &self.waiting) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // A client that lagged once does not keep its buffer.
        self.waiting = Vec::new();
        Ok(())
    }

    pub(super) fn wait_for_room(&self, token: Token, poller: &Poller) -> io::Result<()> {
        let flags = if self.is_behind() { EventFlags::OUT } else { EventFlags::empty() };
        poller.want(token, &self.sink, flags)
    }
}

fn set_nonblocking(descriptor: impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(&descriptor)?;
    Ok(fcntl_setfl(&descriptor, flags | OFlags::NONBLOCK)?)
}
