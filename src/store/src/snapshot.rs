//! A consistent view of one scope at one revision.

use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;

use crate::entry::Entry;
use crate::event::{Change, Event};
use crate::revision::Revision;
use crate::scope;

pub(crate) type Entries = OrdMap<Arc<str>, Entry>;

/// Cheap to take (a pointer) and to keep for the length of a request; it holds on to what has changed since.
#[derive(Clone)]
pub struct Snapshot {
    entries: Entries,
    scope: Box<str>,
    revision: Revision,
}

impl Snapshot {
    pub(crate) fn new(entries: Entries, scope: &str, revision: Revision) -> Self {
        Self { entries, scope: scope.into(), revision }
    }

    /// Takes `events`, newest first, back out of the map.
    ///
    /// Older states come from the log, not from kept maps: nothing is held for a client that never asks for its
    /// second page, and any revision in the window can be listed.
    pub(crate) fn undo<'a>(mut self, events: impl Iterator<Item = &'a Event>, to: Revision) -> Self {
        for event in events {
            match event.change() {
                Change::Created(entry) => self.entries.remove(entry.key()),
                Change::Updated { previous, .. } | Change::Deleted { previous, .. } => {
                    self.entries.insert(previous.shared_key(), previous.clone())
                }
            };
        }
        self.revision = to;
        self
    }

    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Every entry of the scope, in the order of the keys' bytes.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.range(Bound::Included(&self.scope))
    }

    /// The entries of the scope that follow `key`, which need not exist: the next page of a list.
    pub fn iter_after<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let scope = &*self.scope;
        self.range(if key < scope { Bound::Included(scope) } else { Bound::Excluded(key) })
    }

    fn range<'a>(&'a self, start: Bound<&str>) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let end = scope::end(&self.scope);
        let end = end.as_ref().map(String::as_str);
        let in_order = match (start, end) {
            (Bound::Excluded(start), Bound::Excluded(end) | Bound::Included(end)) => start < end,
            _ => true,
        };
        // An inverted range panics in every ordered map: a start past the end is an empty one.
        let bounds = if in_order { (start, end) } else { (Bound::Excluded(""), Bound::Included("")) };
        self.entries.range::<_, str>(bounds).map(|(_, entry)| entry)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("scope", &self.scope)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}
