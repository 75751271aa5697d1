//! A process's streams as seen from the node agent.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::Error;

/// Which streams to connect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

/// The streams that were connected. A terminal has no stderr of its own.
#[derive(Debug, Default)]
pub struct Streams {
    pub stdin: Option<Input>,
    pub stdout: Option<Output>,
    pub stderr: Option<Output>,
}

/// Where a process's input is written to. Dropping it ends the input of an exec.
#[derive(Debug)]
pub struct Input(pipe::Sender);

/// Where a process's output is read from. A pipe's ends when nobody holds it any more; a terminal's ends with the process it
/// was made for, as with other runtimes: what that left running in the background holds the terminal, too.
#[derive(Debug)]
pub struct Output {
    source: pipe::Receiver,
    end: End,
}

/// The end of the process that a terminal was made for.
#[derive(Debug)]
enum End {
    /// Only the source knows.
    Unknown,
    Ahead(oneshot::Receiver<()>),
    Over,
}

impl Input {
    pub(super) fn new(descriptor: OwnedFd) -> Result<Self, Error> {
        // A pipe or a terminal; neither is a file, which is what the check would rule out.
        pipe::Sender::from_owned_fd_unchecked(nonblocking(descriptor)?).map(Self).map_err(Error::Streams)
    }
}

impl Output {
    pub(super) fn new(descriptor: OwnedFd) -> Result<Self, Error> {
        let source = pipe::Receiver::from_owned_fd_unchecked(nonblocking(descriptor)?);
        Ok(Self { source: source.map_err(Error::Streams)?, end: End::Unknown })
    }

    /// Until `end` is told.
    pub(super) fn of_terminal(terminal: OwnedFd, end: oneshot::Receiver<()>) -> Result<Self, Error> {
        Ok(Self { end: End::Ahead(end), ..Self::new(terminal)? })
    }

    /// Whether the process has ended. Wakes the task when it does.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        if let End::Ahead(end) = &mut self.end
            && let Poll::Ready(told) = Pin::new(end).poll(context)
        {
            self.end = if told.is_ok() { End::Over } else { End::Unknown };
        }
        matches!(self.end, End::Over)
    }

    /// What is still there, be it nothing, which is the end. Not by way of the reactor, which may not have heard of it yet.
    fn rest(&self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        match rustix::io::read(&self.source, buffer.initialize_unfilled()) {
            Ok(count) => buffer.advance(count),
            Err(Errno::AGAIN | Errno::IO) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn nonblocking(descriptor: OwnedFd) -> Result<OwnedFd, Error> {
    rustix::io::ioctl_fionbio(&descriptor, true).map_err(|error| Error::Streams(error.into()))?;
    Ok(descriptor)
}

/// A pipe's reading and writing end.
pub(super) fn new_pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    pipe_with(PipeFlags::CLOEXEC).map_err(|error| Error::Streams(error.into()))
}

impl AsyncWrite for Input {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.source).poll_read(context, buffer) {
            // How a terminal says that its last user is gone.
            Poll::Ready(Err(error)) if error.raw_os_error() == Some(libc::EIO) => Poll::Ready(Ok(())),
            Poll::Pending if self.is_over(context) => Poll::Ready(self.rest(buffer)),
            other => other,
        }
    }
}
