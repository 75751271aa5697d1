//! Whether a connection is used: a connection that nobody asks anything over is closed after a while, so that strangers
//! cannot hold all of them.
//!
//! A request counts while we work on it, and then while its answer waits for us: not while it waits for the peer to take it.
//! Nothing ticks meanwhile.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::sleep;

/// What goes on over one connection.
#[derive(Clone, Debug)]
pub(crate) struct Activity(Arc<State>);

#[derive(Debug)]
struct State {
    /// Requests that are being answered.
    uses: watch::Sender<usize>,
    /// How often something was sent.
    sent: AtomicUsize,
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Use(Activity);

impl Activity {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State { uses: watch::Sender::new(0), sent: AtomicUsize::new(0) }))
    }

    pub(crate) fn begin(&self) -> Use {
        self.0.uses.send_modify(|uses| *uses += 1);
        Use(self.clone())
    }

    /// Ends when there was no use for this long.
    pub(crate) async fn idle_for(&self, patience: Duration) {
        let mut uses = self.0.uses.subscribe();
        loop {
            // The sender is ours: it is not gone.
            if uses.wait_for(|uses| *uses == 0).await.is_err() {
                return;
            }
            tokio::select! {
                () = sleep(patience) => return,
                _ = uses.changed() => {}
            }
        }
    }

    /// Ends when there was no use for this long, and nothing was sent either.
    pub(crate) async fn stuck_for(&self, patience: Duration) {
        loop {
            let sent = self.0.sent.load(Ordering::Relaxed);
            self.idle_for(patience).await;
            if self.0.sent.load(Ordering::Relaxed) == sent {
                return;
            }
        }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.0.uses.send_modify(|uses| *uses -= 1);
    }
}

/// The body of an answer. It is a use while it has nothing to give.
#[derive(Debug)]
pub(crate) struct Used<B> {
    body: Pin<Box<B>>,
    activity: Activity,
    waiting: Option<Use>,
}

impl<B> Used<B> {
    pub(crate) fn new(body: B, activity: Activity) -> Self {
        Self { body: Box::pin(body), activity, waiting: None }
    }
}

impl<B: Body> Body for Used<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = self.body.as_mut().poll_frame(context);
        if polled.is_ready() {
            self.waiting = None;
        } else if self.waiting.is_none() {
            self.waiting = Some(self.activity.begin());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream, with what is sent over it noted.
#[derive(Debug)]
pub(crate) struct Noted<S> {
    stream: S,
    activity: Activity,
}

impl<S> Noted<S> {
    pub(crate) fn new(stream: S, activity: Activity) -> Self {
        Self { stream, activity }
    }

    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.activity.0.sent.fetch_add(1, Ordering::Relaxed);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::advance;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(90);

    #[tokio::test(start_paused = true)]
    async fn idle_is_who_was_asked_nothing_for_long_enough() {
        let activity = Activity::new();
        let mut idle = Box::pin(activity.idle_for(PATIENCE));
        assert!((&mut idle).now_or_never().is_none());
        advance(PATIENCE / 2).await;
        let (first, second) = (activity.begin(), activity.begin());
        assert!((&mut idle).now_or_never().is_none());
        drop(first);
        advance(PATIENCE * 3).await;
        assert!((&mut idle).now_or_never().is_none(), "one goes on");
        drop(second);
        assert!((&mut idle).now_or_never().is_none());
        advance(PATIENCE / 2).await;
        // Too quick to be seen in use, and yet it was.
        drop(activity.begin());
        assert!((&mut idle).now_or_never().is_none());
        advance(PATIENCE * 2 / 3).await;
        assert!((&mut idle).now_or_never().is_none());
        advance(PATIENCE).await;
        assert!((&mut idle).now_or_never().is_some());
    }
}
