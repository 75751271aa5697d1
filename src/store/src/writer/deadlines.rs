//! Which entries expire, soonest first. Exact: one place per living entry with a deadline, so nothing is ever scanned.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Seconds;
use crate::entry::Entry;
use crate::event::Event;
use crate::revision::Revision;
use crate::snapshot::Entries;

#[derive(Debug, Default)]
pub(crate) struct Deadlines(BTreeMap<(Seconds, Revision), Arc<str>>);

impl Deadlines {
    pub(crate) fn of(entries: &Entries) -> Self {
        let mut deadlines = Self::default();
        entries.values().for_each(|entry| deadlines.add(entry));
        deadlines
    }

    pub(crate) fn note(&mut self, event: &Event) {
        if let Some(previous) = event.previous() {
            place(previous).map(|place| self.0.remove(&place));
        }
        if let Some(entry) = event.entry() {
            self.add(entry);
        }
    }

    fn add(&mut self, entry: &Entry) {
        place(entry).map(|place| self.0.insert(place, entry.shared_key()));
    }

    pub(crate) fn next(&self) -> Option<Seconds> {
        self.0.keys().next().map(|(deadline, _)| *deadline)
    }

    pub(crate) fn due(&self, now: Seconds) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().take_while(move |((deadline, _), _)| *deadline <= now).map(|(_, key)| key)
    }
}

fn place(entry: &Entry) -> Option<(Seconds, Revision)> {
    entry.expires().map(|deadline| (deadline, entry.created()))
}
