//! Soft changes that the disk does not know yet.

use std::collections::BTreeMap;

use crate::backend::{Row, Rows};
use crate::clock::Seconds;
use crate::entry::Entry;
use crate::event::{Change, Event};
use crate::revision::Revision;
use crate::write::Class;

/// By row, so bounded by what lives and what lives on disk only, however often it changes.
#[derive(Debug, Default)]
pub(crate) struct Unsaved(BTreeMap<Revision, State>);

#[derive(Debug)]
enum State {
    /// Has no row on disk.
    New(Entry),
    Changed(Entry),
    Deleted,
}

impl Unsaved {
    pub(crate) fn note(&mut self, event: &Event, class: Class) {
        let row = event.subject().created();
        let before = self.0.remove(&row);
        if class == Class::Durable {
            return;
        }
        let after = match (event.change(), before) {
            (Change::Created(entry), _) => State::New(entry.clone()),
            (Change::Updated { entry, .. }, Some(State::New(_))) => State::New(entry.clone()),
            (Change::Updated { entry, .. }, _) => State::Changed(entry.clone()),
            (Change::Deleted { .. }, Some(State::New(_))) => return,
            (Change::Deleted { .. }, _) => State::Deleted,
        };
        self.0.insert(row, after);
    }

    pub(crate) fn rows(&self, now: Seconds) -> Rows {
        let row = |state: &State| match state {
            State::New(entry) | State::Changed(entry) => Some(Row::new(entry, now)),
            State::Deleted => None,
        };
        self.0.iter().map(|(id, state)| (*id, row(state))).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
