//! What readers see: the newest published state, the recent past, and who watches it.
//!
//! Fed by whoever orders the writes (the writer thread); it neither decides nor stores. Two locks: `current` for
//! readers, held for a map look-up or one batch's swap; `topics` for publishing and for starting a watch, so that a
//! new watcher neither misses a batch nor sees it twice. `topics` is always taken first.

use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use crate::entry::Entry;
use crate::event::Event;
use crate::revision::Revision;
use crate::snapshot::{Entries, Snapshot};
use crate::watch::{Topic, Topics, Watch};
use crate::window::{Limits, RevisionError, Window};

#[derive(Debug)]
pub(crate) struct Memory {
    current: RwLock<Current>,
    topics: Mutex<Topics>,
}

struct Current {
    entries: Entries,
    revision: Revision,
    window: Window,
}

impl Memory {
    pub(crate) fn new(entries: Entries, revision: Revision, limits: Limits) -> Self {
        let window = Window::new(limits, revision);
        Self { current: RwLock::new(Current { entries, revision, window }), topics: Mutex::default() }
    }

    fn current(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().expect("nothing panics while it holds the state")
    }

    fn current_mut(&self) -> RwLockWriteGuard<'_, Current> {
        self.current.write().expect("nothing panics while it holds the state")
    }

    fn topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().expect("nothing panics while it holds the topics")
    }

    pub(crate) fn revision(&self) -> Revision {
        self.current().revision
    }

    pub(crate) fn get(&self, key: &str) -> Option<Entry> {
        self.current().entries.get(key).cloned()
    }

    pub(crate) fn entries(&self) -> Entries {
        self.current().entries.clone()
    }

    pub(crate) fn snapshot(&self, scope: &str) -> Snapshot {
        let current = self.current();
        Snapshot::new(current.entries.clone(), scope, current.revision)
    }

    pub(crate) fn snapshot_at(&self, scope: &str, revision: Revision) -> Result<Snapshot, RevisionError> {
        let current = self.current();
        current.check_not_future(revision)?;
        let since: Vec<Event> = current.window.after(revision, scope)?.cloned().collect();
        let snapshot = Snapshot::new(current.entries.clone(), scope, current.revision);
        drop(current);
        Ok(snapshot.undo(since.iter().rev(), revision))
    }

    pub(crate) fn watch(self: &Arc<Self>, scope: &str, after: Revision) -> Result<Watch, RevisionError> {
        let mut topics = self.topics();
        let current = self.current();
        current.check_not_future(after)?;
        current.window.check_not_compacted(after)?;
        let floor = current.window.floor();
        let topic = topics.join(scope, floor, || current.window.after(floor, scope))?;
        Ok(Watch::new(self.clone(), topic, after))
    }

    pub(crate) fn unwatch(&self, topic: &Topic) {
        self.topics().leave(topic);
    }

    /// With the topics held, every event up to the current revision has reached its topics.
    pub(crate) fn progress(&self, topic: &Topic, seen: Revision) -> Revision {
        let _delivered = self.topics();
        if topic.has_events_after(seen) { seen } else { self.revision().max(seen) }
    }

    /// Makes one batch visible, all at once: first to readers, then to watchers.
    pub(crate) fn publish(&self, entries: Entries, revision: Revision, events: &[Event]) {
        let topics = self.topics();
        let mut current = self.current_mut();
        let _replaced = std::mem::replace(&mut current.entries, entries);
        current.revision = revision;
        let evicted = current.window.extend(events, Instant::now());
        // What was replaced and evicted is freed after the lock: readers need not wait for that.
        drop(current);
        topics.deliver(events, &evicted);
    }

    /// Ends every watch. Reads go on.
    pub(crate) fn stop(&self) {
        self.topics().stop();
    }
}

impl Current {
    fn check_not_future(&self, revision: Revision) -> Result<(), RevisionError> {
        if revision > self.revision {
            return Err(RevisionError::Future { current: self.revision });
        }
        Ok(())
    }
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} entries at revision {}", self.entries.len(), self.revision)
    }
}
