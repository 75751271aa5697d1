//! From the changes of a cache to the keys a controller must look at.

use std::hash::Hash;

use client::Object;
use client::{Cache, Change, Queue};

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

fn add<T: Clone + Eq + Hash>(queue: &Queue<T>, keys: impl Iterator<Item = T>) {
    keys.for_each(|key| queue.add(key));
}
