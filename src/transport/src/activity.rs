//! Whether a connection is used: a connection that nobody asks anything over is closed after a while, so that strangers
//! cannot hold all of them.
//!
//! A request counts from its arrival to the end of its answer's body. Nothing ticks while there is one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::sleep;

/// Requests of one connection that are being answered.
#[derive(Clone, Debug)]
pub(crate) struct Activity(Arc<watch::Sender<usize>>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Use(Activity);

impl Activity {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    pub(crate) fn begin(&self) -> Use {
        self.0.send_modify(|uses| *uses += 1);
        Use(self.clone())
    }

    /// Ends when there was no use for this long.
    pub(crate) async fn idle_for(&self, patience: Duration) {
        let mut uses = self.0.subscribe();
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
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.0.send_modify(|uses| *uses -= 1);
    }
}

/// The body of an answer, with the use that it ends.
#[derive(Debug)]
pub(crate) struct Used<B> {
    body: Pin<Box<B>>,
    _use: Use,
}

impl<B> Used<B> {
    pub(crate) fn new(body: B, in_use: Use) -> Self {
        Self { body: Box::pin(body), _use: in_use }
    }
}

impl<B: Body> Body for Used<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.body.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
