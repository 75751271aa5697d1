//! Deciding requests against the state that the batch itself is building.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Row, Rows};
use crate::clock::{Clock, Seconds};
use crate::entry::Entry;
use crate::event::{Change, Event};
use crate::revision::Revision;
use crate::snapshot::Entries;
use crate::write::{Action, Class, Precondition, Value, Write, WriteError};
use crate::writer::queue::Outcome;
use crate::writer::unsaved::Unsaved;

/// Changes decided but not yet durable. Dropping it undoes them: nobody else has seen them.
pub(crate) struct Batch {
    clock: Clock,
    pub(crate) entries: Entries,
    /// The last revision given out.
    pub(crate) revision: Revision,
    pub(crate) events: Vec<Event>,
    pub(crate) classes: Vec<Class>,
}

impl Batch {
    pub(crate) fn new(entries: Entries, revision: Revision, clock: Clock) -> Self {
        Self { clock, entries, revision, events: Vec::new(), classes: Vec::new() }
    }

    /// All of `writes` or none.
    pub(crate) fn apply(&mut self, writes: &[Write]) -> Outcome {
        let (entries, revision, events) = (self.entries.clone(), self.revision, self.events.len());
        for write in writes {
            if let Err(refusal) = self.apply_one(write) {
                (self.entries, self.revision) = (entries, revision);
                self.events.truncate(events);
                self.classes.truncate(events);
                return Err(refusal);
            }
        }
        Ok(self.events[events..].to_vec())
    }

    fn apply_one(&mut self, write: &Write) -> Result<(), WriteError> {
        let current = self.entries.get(&*write.key);
        let revision = self.revision.next();
        let change = match (&write.action, current) {
            (Action::Create(_), Some(current)) => {
                return Err(WriteError::Exists { current: current.clone() });
            }
            (Action::Create(value), None) => {
                let key = Arc::clone(&write.key);
                Change::Created(Entry::create(key, value.bytes.clone(), revision, self.expiry(value)))
            }
            (Action::Update(value, precondition), current) => {
                let previous = existing(&write.key, current, *precondition)?;
                let entry = previous.update(value.bytes.clone(), revision, self.expiry(value));
                Change::Updated { entry, previous }
            }
            (Action::Delete(precondition), current) => {
                Change::Deleted { revision, previous: existing(&write.key, current, *precondition)? }
            }
        };
        self.add(change, write.class);
        Ok(())
    }

    fn expiry(&self, value: &Value) -> Option<Seconds> {
        value.ttl.map(|ttl: Duration| self.clock.deadline(ttl))
    }

    /// Removes `previous`, whose time is over.
    ///
    /// Soft: what a crash brings back expires again, and time costs no flash.
    pub(crate) fn expire(&mut self, previous: Entry) {
        let revision = self.revision.next();
        self.add(Change::Deleted { revision, previous }, Class::Soft);
    }

    fn add(&mut self, change: Change, class: Class) {
        let event = Event::new(change);
        match event.entry() {
            Some(entry) => self.entries.insert(entry.shared_key(), entry.clone()),
            None => self.entries.remove(event.key()),
        };
        self.revision = event.revision();
        self.events.push(event);
        self.classes.push(class);
    }

    /// What must be on disk before the batch is answered, and what the disk will then still not know.
    ///
    /// A durable write leaves no older row of its key behind: after a crash that would come back, or be there twice.
    pub(crate) fn split(&self, mut unsaved: Unsaved) -> (Rows, Unsaved) {
        let now = self.clock.now();
        let mut rows = Rows::new();
        for (event, class) in self.events.iter().zip(&self.classes) {
            match class {
                Class::Soft => unsaved.note(event),
                Class::Durable => {
                    rows.extend(unsaved.take(event.key()).map(|outdated| (outdated, None)));
                    let row = event.entry().map(|entry| Row::new(entry, now));
                    rows.insert(event.subject().created(), row);
                }
            }
        }
        (rows, unsaved)
    }
}

fn existing(
    key: &Arc<str>,
    current: Option<&Entry>,
    precondition: Precondition,
) -> Result<Entry, WriteError> {
    let current = current.ok_or_else(|| WriteError::NotFound { key: Arc::clone(key) })?.clone();
    match precondition {
        Precondition::Unchanged(revision) if revision != current.modified() => {
            Err(WriteError::Conflict { current })
        }
        Precondition::Unchanged(_) | Precondition::Exists => Ok(current),
    }
}
