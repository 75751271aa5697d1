//! Soft changes that the disk does not know yet.

use std::sync::Arc;

use imbl::OrdMap;

use crate::backend::{Row, Rows};
use crate::clock::Seconds;
use crate::entry::Entry;
use crate::event::Event;
use crate::revision::Revision;

/// By key, so bounded by what lives and what lives on disk only, however often it changes. Persistent like the map of
/// entries: a batch that fails leaves it as it was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unsaved(OrdMap<Arc<str>, Soft>);

#[derive(Clone, Debug)]
struct Soft {
    /// The key's row on disk, which says something else or should not be there.
    outdated: Option<Revision>,
    entry: Option<Entry>,
}

impl Unsaved {
    pub(crate) fn note(&mut self, event: &Event) {
        let outdated = match self.0.remove(event.key()) {
            Some(soft) => soft.outdated,
            None => event.previous().map(Entry::created),
        };
        let entry = event.entry().cloned();
        if outdated.is_some() || entry.is_some() {
            self.0.insert(event.subject().shared_key(), Soft { outdated, entry });
        }
    }

    /// A durable write takes over `key`: answers the row that must go with it.
    pub(crate) fn take(&mut self, key: &str) -> Option<Revision> {
        self.0.remove(key)?.outdated
    }

    pub(crate) fn rows(&self, now: Seconds) -> Rows {
        let mut rows = Rows::new();
        for soft in self.0.values() {
            rows.extend(soft.outdated.map(|row| (row, None)));
            rows.extend(soft.entry.as_ref().map(|entry| (entry.created(), Some(Row::new(entry, now)))));
        }
        rows
    }
}
