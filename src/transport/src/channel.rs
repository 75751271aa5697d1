//! One direction of a conversation that shares its connection with others: a channel of a WebSocket, a stream of SPDY.
//!
//! Queues are short and bounded. A writer waits for the connection; the connection waits for a slow reader, and with it the other
//! channels: what peers send to one of them is small, or is meant to be waited for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::PollSender;

/// Chunks that wait in a queue.
pub(crate) const QUEUED: usize = 8;
/// No chunk that we send is larger.
const LARGEST: usize = 32 * 1024;

/// Something that one channel sends.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) channel: u32,
    pub(crate) data: Bytes,
    /// Nothing follows on this channel.
    pub(crate) last: bool,
}

/// What the peer sends. Ends when the peer says so, or with the connection.
#[derive(Debug)]
pub struct Incoming {
    chunks: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl Incoming {
    pub(crate) fn new() -> (mpsc::Sender<Bytes>, Self) {
        let (sender, chunks) = mpsc::channel(QUEUED);
        (sender, Self { chunks, rest: Bytes::new() })
    }

    /// The next bytes as they came; `None` at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<Bytes> {
        if self.rest.is_empty() { self.chunks.recv().await } else { Some(std::mem::take(&mut self.rest)) }
    }
}

impl AsyncRead for Incoming {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(self.chunks.poll_recv(context)) {
                Some(chunk) => self.rest = chunk,
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..length]);
        self.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

/// What we send. Shutting it down tells the peer that nothing follows; dropping it says nothing.
#[derive(Debug)]
pub struct Outgoing {
    channel: u32,
    sender: PollSender<Chunk>,
    /// A place among those that are open at once, where these are counted.
    _place: Option<Arc<OwnedSemaphorePermit>>,
}

impl Outgoing {
    pub(crate) fn new(channel: u32, sender: mpsc::Sender<Chunk>) -> Self {
        Self { channel, sender: PollSender::new(sender), _place: None }
    }

    pub(crate) fn in_place(self, place: Arc<OwnedSemaphorePermit>) -> Self {
        Self { _place: Some(place), ..self }
    }

    /// Sends one chunk as it is, be it empty.
    pub async fn send(&mut self, data: Bytes) -> io::Result<()> {
        let chunk = Chunk { channel: self.channel, data, last: false };
        futures_util::SinkExt::send(&mut self.sender, chunk).await.map_err(|_| gone())
    }
}

fn gone() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

impl AsyncWrite for Outgoing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.sender.poll_reserve(context)).map_err(|_| gone())?;
        let length = bytes.len().min(LARGEST);
        let chunk =
            Chunk { channel: self.channel, data: Bytes::copy_from_slice(&bytes[..length]), last: false };
        self.sender.send_item(chunk).map_err(|_| gone())?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.sender.poll_reserve(context)).map_err(|_| gone())?;
        let chunk = Chunk { channel: self.channel, data: Bytes::new(), last: true };
        Poll::Ready(self.sender.send_item(chunk).map_err(|_| gone()))
    }
}
