//! The objects of one kind in memory, kept true by one list and one watch.
//!
//! One task writes ([`Reflector::run`]), many read ([`Cache`]) and are told of [`Changes`]. Readers get `Arc`s: nothing is copied,
//! and what they hold stays as it was while the cache moves on. `managedFields` are dropped on the way in: no component reads
//! them and they are often the larger half of an object.

mod change;
mod reflector;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::{broadcast, watch};

use self::change::CHANGES_KEPT;
pub use self::change::{Change, Changes};
pub(crate) use self::reflector::Reflector;
use crate::{Client, Key, ListOptions, Object};

type Objects<K> = BTreeMap<Key, Arc<K>>;

#[derive(Debug)]
struct Shared<K> {
    objects: RwLock<Objects<K>>,
    /// The revision that `objects` is at; none before the first list.
    revision: watch::Sender<Option<u64>>,
    changes: broadcast::Sender<Change<K>>,
}

/// A reader's view of all objects of a kind. Cheap to clone.
#[derive(Debug)]
pub struct Cache<K>(Arc<Shared<K>>);

impl<K> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Object> Cache<K> {
    /// An empty cache and the one who fills it.
    pub(crate) fn new(client: Client, options: ListOptions) -> (Self, Reflector<K>) {
        let shared = Arc::new(Shared {
            objects: RwLock::default(),
            revision: watch::Sender::new(None),
            changes: broadcast::Sender::new(CHANGES_KEPT),
        });
        (Self(shared.clone()), Reflector { shared, client, options })
    }

    /// Waits until the first list is in. Before that an absent object means nothing.
    pub async fn synced(&self) {
        self.wait_until(|revision| revision.is_some()).await;
    }

    /// Waits until this cache has seen what `written` says: the answer to a write.
    ///
    /// Who decides again only after that never decides on the state before its own write: no pod is created twice
    /// because the first one had not come back yet.
    pub async fn seen(&self, written: &ObjectMeta) {
        let Some(written) = written.resource_version.as_deref().and_then(number) else { return };
        self.wait_until(|revision| revision.is_some_and(|revision| revision >= written)).await;
    }

    /// Waits until an object, or its absence, is as wanted here.
    pub async fn shows(&self, key: &Key, wanted: impl Fn(Option<&K>) -> bool) {
        let mut revision = self.0.revision.subscribe();
        while !wanted(self.get(key).as_deref()) {
            if revision.changed().await.is_err() {
                return;
            }
        }
    }

    async fn wait_until(&self, reached: impl Fn(Option<u64>) -> bool) {
        let mut revision = self.0.revision.subscribe();
        // Fails only when the sender is gone, which lives as long as we do.
        let _ = revision.wait_for(|revision| reached(*revision)).await;
    }

    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read().get(key).cloned()
    }

    pub fn list(&self) -> Vec<Arc<K>> {
        self.read().values().cloned().collect()
    }

    pub fn list_in(&self, namespace: &str) -> Vec<Arc<K>> {
        let from = Key::new(namespace, "");
        let objects = self.read();
        let inside = objects.range(from..).take_while(|(key, _)| key.namespace == namespace);
        inside.map(|(_, object)| object.clone()).collect()
    }

    pub fn keys(&self) -> Vec<Key> {
        self.read().keys().cloned().collect()
    }

    pub fn changes(&self) -> Changes<K> {
        Changes::new(self.clone(), self.0.changes.subscribe())
    }

    fn read(&self) -> RwLockReadGuard<'_, Objects<K>> {
        self.0.objects.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A revision as a number: they are ordered as numbers, in one cluster, for all kinds.
fn number(revision: &str) -> Option<u64> {
    revision.parse().ok()
}
