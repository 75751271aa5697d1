//! What a cache tells its readers.
//!
//! Changes go through a bounded broadcast. A reader that falls behind loses the changes, not the truth: it is told
//! [`Change::Resync`] and reads the cache again. That is also the first thing every reader is told.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::Cache;
use crate::Object;

/// Changes a reader may be behind before it must read everything again.
pub(super) const CHANGES_KEPT: usize = 256;

/// What happened to one object, or to too many to tell.
#[derive(Debug)]
pub enum Change<K> {
    Added(Arc<K>),
    Modified {
        old: Arc<K>,
        new: Arc<K>,
    },
    Deleted(Arc<K>),
    /// Look at every object of the cache.
    Resync,
}

impl<K> Clone for Change<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Added(object) => Self::Added(object.clone()),
            Self::Modified { old, new } => Self::Modified { old: old.clone(), new: new.clone() },
            Self::Deleted(object) => Self::Deleted(object.clone()),
            Self::Resync => Self::Resync,
        }
    }
}

impl<K> Change<K> {
    /// The objects this change speaks of: none for a resync, two for a modification.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<K>> {
        let (first, second) = match self {
            Self::Added(object) | Self::Deleted(object) => (Some(object), None),
            Self::Modified { old, new } => (Some(old), Some(new)),
            Self::Resync => (None, None),
        };
        first.into_iter().chain(second)
    }
}

impl<K: Object> Change<K> {
    /// From `old` to `new`; none if they are the same revision of the same object.
    pub(super) fn between(old: Option<&Arc<K>>, new: &Arc<K>) -> Option<Self> {
        let Some(old) = old else {
            return Some(Self::Added(new.clone()));
        };
        let same = old.metadata().resource_version == new.metadata().resource_version;
        (!same).then(|| Self::Modified { old: old.clone(), new: new.clone() })
    }
}

/// The changes of a cache from now on, beginning with a resync once the cache is filled.
#[derive(Debug)]
pub struct Changes<K> {
    cache: Cache<K>,
    receiver: broadcast::Receiver<Change<K>>,
    resync: bool,
}

impl<K: Object> Changes<K> {
    pub(super) fn new(cache: Cache<K>, receiver: broadcast::Receiver<Change<K>>) -> Self {
        Self { cache, receiver, resync: true }
    }

    /// The next change. Cancel safe.
    pub async fn next(&mut self) -> Change<K> {
        if self.resync {
            self.cache.synced().await;
            self.start_over();
            return Change::Resync;
        }
        match self.receiver.recv().await {
            Ok(change) => change,
            Err(broadcast::error::RecvError::Lagged(_)) => {
                self.start_over();
                Change::Resync
            }
            // The cache we hold owns the sender.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }

    /// What is queued now is in the cache already: a resync covers it.
    fn start_over(&mut self) {
        self.resync = false;
        self.receiver = self.receiver.resubscribe();
    }
}
