//! One key with its newest value at some revision.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::clock::Seconds;
use crate::revision::Revision;

/// A shared, immutable entry: one pointer wide, so that maps, snapshots, events and lists copy eight bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    key: Arc<str>,
    value: Bytes,
    created: Revision,
    modified: Revision,
    expires: Option<Seconds>,
}

impl Entry {
    pub(crate) fn create(key: Arc<str>, value: Bytes, at: Revision, expires: Option<Seconds>) -> Self {
        Self::restore(key, value, at, at, expires)
    }

    pub(crate) fn update(&self, value: Bytes, at: Revision, expires: Option<Seconds>) -> Self {
        Self::restore(self.0.key.clone(), value, self.0.created, at, expires)
    }

    pub(crate) fn restore(
        key: Arc<str>,
        value: Bytes,
        created: Revision,
        modified: Revision,
        expires: Option<Seconds>,
    ) -> Self {
        Self(Arc::new(Inner { key, value, created, modified, expires }))
    }

    pub fn key(&self) -> &str {
        &self.0.key
    }

    pub(crate) fn shared_key(&self) -> Arc<str> {
        self.0.key.clone()
    }

    pub fn value(&self) -> &Bytes {
        &self.0.value
    }

    /// The revision that created the key: unique to this life of the key, unchanged by updates.
    pub fn created(&self) -> Revision {
        self.0.created
    }

    /// The revision of the last change: what an update compares with.
    pub fn modified(&self) -> Revision {
        self.0.modified
    }

    pub(crate) fn expires(&self) -> Option<Seconds> {
        self.0.expires
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} ({} bytes)", self.key(), self.modified(), self.value().len())
    }
}
