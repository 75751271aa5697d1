//! Owned task sets: whoever spawns a task also waits for it.
//!
//! A bare `tokio::spawn` outlives its owner unseen; it is disallowed by lint, this is the way instead. Dropping a set aborts
//! its tasks. A panic in a task is not a result: it continues in the owner, as it would have without the task.

use std::collections::HashMap;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use crate::Shutdown;

/// Tasks with names, owned together.
#[derive(Debug)]
pub struct Tasks<T> {
    set: JoinSet<T>,
    names: HashMap<Id, &'static str>,
}

/// A task that ended by itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended<T> {
    pub name: &'static str,
    pub output: T,
}

impl<T> Default for Tasks<T> {
    fn default() -> Self {
        Self { set: JoinSet::new(), names: HashMap::new() }
    }
}

impl<T: Send + 'static> Tasks<T> {
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task; the handle can end it early.
    pub fn spawn(
        &mut self,
        name: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> AbortHandle {
        let task = self.set.spawn(work);
        self.names.insert(task.id(), name);
        task
    }

    /// How many have not ended yet, or have ended and were not asked for.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// The next task that ends by itself; `None` when none is left. Cancel safe.
    pub async fn next(&mut self) -> Option<Ended<T>> {
        loop {
            match self.set.join_next_with_id().await? {
                Ok((id, output)) => return Some(Ended { name: self.forget(id), output }),
                Err(error) => self.aborted(error),
            }
        }
    }

    /// Waits for the tasks to end by themselves until `shutdown` expires, then aborts the others. Gives what ended, and
    /// the names of those that did not.
    pub async fn drain(mut self, shutdown: &Shutdown) -> (Vec<Ended<T>>, Vec<&'static str>) {
        let mut ended = Vec::new();
        loop {
            tokio::select! {
                biased;
                next = self.next() => match next {
                    Some(task) => ended.push(task),
                    None => break,
                },
                () = shutdown.expired() => break,
            }
        }
        let left = self.names.values().copied().collect();
        self.stop().await;
        (ended, left)
    }

    /// Ends them all wherever they wait. They are gone when it returns.
    pub async fn stop(mut self) {
        self.set.shutdown().await;
    }

    fn aborted(&mut self, error: JoinError) {
        self.forget(error.id());
        if error.is_panic() {
            std::panic::resume_unwind(error.into_panic());
        }
    }

    fn forget(&mut self, id: Id) -> &'static str {
        self.names.remove(&id).expect("every spawned task has a name")
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::*;
    use crate::shutdown;

    #[tokio::test]
    async fn names_what_ended() {
        let mut tasks = Tasks::new();
        tasks.spawn("quick", async { 7 });
        tasks.spawn("aborted", pending()).abort();
        assert_eq!(tasks.next().await, Some(Ended { name: "quick", output: 7 }));
        assert_eq!(tasks.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_until_the_deadline_and_names_what_is_left() {
        let (trigger, shutdown) = shutdown();
        let mut tasks = Tasks::new();
        let listener = shutdown.clone();
        tasks.spawn("obedient", async move { listener.requested().await });
        tasks.spawn("stubborn", pending());
        trigger.begin(Duration::from_secs(10));
        let begun = tokio::time::Instant::now();
        let (ended, left) = tasks.drain(&shutdown).await;
        assert_eq!(ended, [Ended { name: "obedient", output: () }]);
        assert_eq!(left, ["stubborn"]);
        assert_eq!(begun.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_with_the_last_task() {
        let (trigger, shutdown) = shutdown();
        let mut tasks = Tasks::new();
        tasks.spawn("quick", async {});
        trigger.begin(Duration::from_secs(10));
        let begun = tokio::time::Instant::now();
        assert!(tasks.drain(&shutdown).await.1.is_empty());
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn dropping_the_set_ends_its_tasks() {
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let mut tasks = Tasks::new();
        tasks.spawn("holder", async move {
            let _sender = sender;
            pending::<()>().await;
        });
        tokio::task::yield_now().await;
        drop(tasks);
        assert!(receiver.await.is_err(), "the task is gone and what it held too");
    }

    #[tokio::test]
    async fn what_was_stopped_is_gone() {
        let (sender, mut receiver) = tokio::sync::oneshot::channel::<()>();
        let mut tasks = Tasks::new();
        tasks.spawn("holder", async move {
            let _sender = sender;
            pending::<()>().await;
        });
        tasks.stop().await;
        let gone = tokio::sync::oneshot::error::TryRecvError::Closed;
        assert_eq!(receiver.try_recv(), Err(gone), "and what it held too");
    }

    #[tokio::test]
    #[should_panic(expected = "a bug")]
    async fn a_panic_continues_in_the_owner() {
        let mut tasks = Tasks::<()>::new();
        tasks.spawn("buggy", async { panic!("a bug") });
        tasks.next().await;
    }
}
