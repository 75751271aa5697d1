//! What a caller asks for, and why it can be refused.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::backend::StorageError;
use crate::entry::Entry;
use crate::revision::Revision;

/// One change asked for.
#[derive(Clone, Debug)]
pub struct Write {
    pub key: Arc<str>,
    pub action: Action,
    pub class: Class,
}

#[derive(Clone, Debug)]
pub enum Action {
    /// Only if the key is absent.
    Create(Value),
    Update(Value, Precondition),
    Delete(Precondition),
}

/// What must hold of the key before an update or a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    Exists,
    /// Compare-and-swap: its last change is this revision.
    Unchanged(Revision),
}

/// How much a write is worth to flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// On disk before it is answered.
    Durable,
    /// In memory only, written at a clean stop: for what its owner renews anyway. A crash takes the key back to the
    /// last state that was written.
    Soft,
}

/// Bytes, and how long they live: counted anew from every write, running time only.
///
/// The bytes are kept as they are given: a slice of a larger buffer keeps the whole buffer.
#[derive(Clone, Debug)]
pub struct Value {
    pub bytes: Bytes,
    pub ttl: Option<Duration>,
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, ttl: None }
    }
}

impl Value {
    pub fn expiring(bytes: Bytes, ttl: Duration) -> Self {
        Self { bytes, ttl: Some(ttl) }
    }
}

impl Write {
    pub fn create(key: impl Into<Arc<str>>, value: impl Into<Value>) -> Self {
        Self::durable(key.into(), Action::Create(value.into()))
    }

    pub fn update(key: impl Into<Arc<str>>, value: impl Into<Value>, precondition: Precondition) -> Self {
        Self::durable(key.into(), Action::Update(value.into(), precondition))
    }

    pub fn delete(key: impl Into<Arc<str>>, precondition: Precondition) -> Self {
        Self::durable(key.into(), Action::Delete(precondition))
    }

    fn durable(key: Arc<str>, action: Action) -> Self {
        Self { key, action, class: Class::Durable }
    }

    #[must_use]
    pub fn soft(mut self) -> Self {
        self.class = Class::Soft;
        self
    }

    pub(crate) fn size(&self) -> usize {
        let value = match &self.action {
            Action::Create(value) | Action::Update(value, _) => value.bytes.len(),
            Action::Delete(_) => 0,
        };
        self.key.len() + value
    }
}

/// Why nothing of a write happened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    #[error("{} exists already", .current.key())]
    Exists { current: Entry },
    #[error("{key} does not exist")]
    NotFound { key: Arc<str> },
    #[error("{} has changed: it is at revision {}", .current.key(), .current.modified())]
    Conflict { current: Entry },
    /// One failed commit answers everyone in its batch, hence shared.
    #[error("write to the store's disk")]
    Storage(#[source] Arc<StorageError>),
    #[error("the store has stopped")]
    Stopped,
}
