//! One change of one key.

use std::sync::Arc;

use crate::entry::Entry;
use crate::revision::Revision;

/// A change, shared by the log, every watcher and the answer to the writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event(Arc<Change>);

#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    Created(Entry),
    Updated { entry: Entry, previous: Entry },
    Deleted { revision: Revision, previous: Entry },
}

impl Event {
    pub(crate) fn new(change: Change) -> Self {
        Self(Arc::new(change))
    }

    pub fn change(&self) -> &Change {
        &self.0
    }

    /// The entry as the change left it; none after a delete.
    pub fn entry(&self) -> Option<&Entry> {
        match &*self.0 {
            Change::Created(entry) | Change::Updated { entry, .. } => Some(entry),
            Change::Deleted { .. } => None,
        }
    }

    /// The entry as the change found it; none before a create.
    pub fn previous(&self) -> Option<&Entry> {
        match &*self.0 {
            Change::Created(_) => None,
            Change::Updated { previous, .. } | Change::Deleted { previous, .. } => Some(previous),
        }
    }

    pub fn key(&self) -> &str {
        self.subject().key()
    }

    pub fn revision(&self) -> Revision {
        match &*self.0 {
            Change::Created(entry) | Change::Updated { entry, .. } => entry.modified(),
            Change::Deleted { revision, .. } => *revision,
        }
    }

    /// The newest entry that the event knows.
    pub(crate) fn subject(&self) -> &Entry {
        match &*self.0 {
            Change::Created(entry) | Change::Updated { entry, .. } => entry,
            Change::Deleted { previous, .. } => previous,
        }
    }
}
