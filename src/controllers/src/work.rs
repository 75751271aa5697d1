//! Looking at several keys side by side: their writes share a commit to disk, and a key that takes long holds up no other.

use std::error::Error;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use client::Queue;
use futures_util::future::join_all;

/// As many as upstream's controllers by default.
const WORKERS: usize = 5;

pub(crate) async fn side_by_side<T, Running, Failure>(
    queue: &Queue<T>,
    what: &'static str,
    reconcile: impl Fn(T) -> Running,
) where
    T: Clone + Eq + Hash + Debug,
    Running: Future<Output = Result<Option<Duration>, Failure>>,
    Failure: Error,
{
    join_all((0..WORKERS).map(|_| queue.work(what, &reconcile))).await;
}
