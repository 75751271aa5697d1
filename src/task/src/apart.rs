//! Work that somebody waits for who must hear of its panic, although that panic ends the process.
//!
//! A panicking thread never returns to whoever waits for its work, least of all where panics abort. So the work has a task of its
//! own, and the hook that ends the process first has another thread tell who waits, and gives them a moment: a client
//! reads an answer, instead of a connection that broke.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

/// What those who wait have to say what they must.
const LAST_WORDS: Duration = Duration::from_millis(200);

thread_local! {
    /// To be told if what this thread does right now panics.
    static WAITING: RefCell<Option<Arc<Notify>>> = const { RefCell::new(None) };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it panicked")]
pub struct Panicked;

/// Does `work` in a task that ends with this future. Must be called on a tokio runtime of more than one thread.
pub async fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Panicked> {
    let panicked = Arc::new(Notify::new());
    #[expect(clippy::disallowed_methods, reason = "the handle owns it")]
    let task = tokio::spawn(watched(work, panicked.clone()));
    tokio::select! {
        // Where panics unwind and no hook ends the process, it is the task that says so.
        done = AbortOnDropHandle::new(task) => done.map_err(|_| Panicked),
        () = panicked.notified() => Err(Panicked),
    }
}

async fn watched<T>(work: impl Future<Output = T>, waiting: Arc<Notify>) -> T {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        let before = WAITING.replace(Some(waiting.clone()));
        let polled: Poll<T> = work.as_mut().poll(context);
        WAITING.set(before);
        polled
    })
    .await
}

/// For the hook that ends the process: has those told who wait for the work that panics on this thread.
pub fn last_words() {
    let Some(waiting) = WAITING.take() else { return };
    // From a thread that the runtime does not know: what it wakes goes to whichever of its threads is free, not to this one.
    let telling = thread::Builder::new().spawn(move || waiting.notify_one());
    if telling.is_ok() {
        #[expect(clippy::disallowed_methods, reason = "this thread has nothing else left to do")]
        thread::sleep(LAST_WORDS);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_waits_hears_of_a_panic() {
        assert_eq!(apart(async { 7 }).await, Ok(7));
        assert_eq!(
            apart(async { panic!("the message of a panic that is meant") }).await,
            Err::<(), _>(Panicked)
        );
        // As from a hook that does not return: the work never ends.
        let stuck = async {
            last_words();
            pending::<()>().await;
        };
        assert_eq!(apart(stuck).await, Err(Panicked));
    }

    #[tokio::test]
    async fn work_ends_with_who_waits_for_it() {
        let (held, gone) = oneshot::channel::<()>();
        let work = apart(async move {
            let _held = held;
            pending::<()>().await;
        });
        tokio::select! {
            biased;
            _never = work => {}
            () = tokio::task::yield_now() => {}
        }
        assert!(gone.await.is_err());
    }
}
