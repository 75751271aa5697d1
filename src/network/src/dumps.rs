//! Whole tables of the kernel, read over one socket: one after the other.
//!
//! While one is under way the kernel answers EBUSY to the next, also when nobody waits for the first any more. So who comes
//! next sees an abandoned one to its end.

use std::fmt;

use futures_util::future::BoxFuture;
use futures_util::stream::{Stream, TryStreamExt};
use rtnetlink::Error;
use tokio::sync::{Mutex, oneshot};

/// The dump that is under way, or was when whoever asked for it went away.
#[derive(Default)]
pub(crate) struct Dumps(Mutex<Option<BoxFuture<'static, ()>>>);

impl Dumps {
    /// All that the kernel answers to `ask`, which is called when it is its turn. Cancel safe.
    pub(crate) async fn collect<T, Answers>(
        &self,
        ask: impl FnOnce() -> Answers + Send + 'static,
    ) -> Result<Vec<T>, Error>
    where
        T: Send + 'static,
        Answers: Stream<Item = Result<T, Error>> + Send,
    {
        let mut under_way = self.0.lock().await;
        if let Some(abandoned) = under_way.as_mut() {
            abandoned.await;
        }
        let (answer, answered) = oneshot::channel();
        let dump = async move {
            let _nobody_waits = answer.send(ask().try_collect().await);
        };
        under_way.insert(Box::pin(dump)).await;
        *under_way = None;
        answered.await.expect("a dump that ended has sent what it read")
    }
}

impl fmt::Debug for Dumps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dumps").finish_non_exhaustive()
    }
}
