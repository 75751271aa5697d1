//! From the changes of a cache, or of the clock, to the keys a controller must look at.

use std::future::pending;
use std::hash::Hash;
use std::io;

use client::Object;
use client::{Cache, Change, Key, Queue};
use task::ClockSettings;
use tracing::error;

/// Puts into `queue`, for ever, the keys that `keys_of` finds in each object that changes: in the old and in the new
/// one, so that an object that moves from one owner to another has both looked at.
pub(crate) async fn feed<K, T, Keys>(cache: Cache<K>, queue: Queue<T>, keys_of: impl Fn(&K) -> Keys)
where
    K: Object,
    T: Clone + Eq + Hash,
    Keys: IntoIterator<Item = T>,
{
    let mut changes = cache.changes();
    loop {
        match changes.next().await {
            Change::Resync => add(&queue, cache.list().iter().flat_map(|object| keys_of(object))),
            change => add(&queue, change.objects().flat_map(|object| keys_of(object))),
        }
    }
}

/// Puts the keys of all objects into `queue`, for ever, whenever somebody sets the clock: what waits for a time of day has computed
/// its wait by the old one.
pub(crate) async fn feed_by_clock<K: Object>(
    cache: Cache<K>,
    queue: Queue<Key>,
    mut settings: ClockSettings,
) {
    let failed: io::Result<()> = async {
        loop {
            settings.next().await?;
            add(&queue, cache.list().iter().map(|object| Key::of(&**object)));
        }
    }
    .await;
    error!(?failed, "cannot learn when the clock is set: what waits for a time of day may be late");
    pending::<()>().await;
}

fn add<T: Clone + Eq + Hash>(queue: &Queue<T>, keys: impl Iterator<Item = T>) {
    keys.for_each(|key| queue.add(key));
}
