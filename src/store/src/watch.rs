//! Watching a scope: watchers of one scope share one topic, which shares its events with the log.
//!
//! A watcher is a cursor into its topic's queue and nothing more: no events are copied for it, and it is woken only by
//! changes in its scope. When the log evicts an event it leaves its topics too, and a watcher whose
//! cursor is before that point is told `Compacted`. So a watcher of a quiet scope never falls out of the window by
//! being quiet, and a slow one costs nothing but its own place.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch as signal;

use crate::event::Event;
use crate::memory::Memory;
use crate::revision::Revision;
use crate::scope;
use crate::window::RevisionError;

/// Events handed out at once: bounds how long a topic is locked and what a watcher holds.
const MOST_AT_ONCE: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// The watcher was too slow: events it has not seen have left the window.
    #[error("too slow: the oldest revision that can be watched from is {oldest}")]
    Compacted { oldest: Revision },
    #[error("the store has stopped")]
    Stopped,
}

/// The changes of one scope after one revision. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    memory: Arc<Memory>,
    topic: Arc<Topic>,
    changed: signal::Receiver<()>,
    /// Everything in scope up to here has been handed out.
    seen: Revision,
}

impl Watch {
    pub(crate) fn new(memory: Arc<Memory>, topic: Arc<Topic>, after: Revision) -> Self {
        Self { memory, changed: topic.changed.subscribe(), topic, seen: after }
    }

    /// Waits for the next events, at least one, in order. Cancel safe.
    pub async fn next(&mut self) -> Result<Vec<Event>, WatchError> {
        loop {
            self.changed.mark_unchanged();
            let events = self.topic.after(self.seen)?;
            if let Some(last) = events.last() {
                self.seen = last.revision();
                return Ok(events);
            }
            self.changed.changed().await.map_err(|_| WatchError::Stopped)?;
        }
    }

    /// The revision up to which this watch is complete: what a bookmark may say.
    pub fn progress(&mut self) -> Revision {
        self.seen = self.memory.progress(&self.topic, self.seen);
        self.seen
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.memory.unwatch(&self.topic);
    }
}

/// The window's events in one watched scope.
#[derive(Debug)]
pub(crate) struct Topic {
    scope: Box<str>,
    queue: Mutex<Queue>,
    changed: signal::Sender<()>,
}

#[derive(Debug)]
struct Queue {
    events: VecDeque<Event>,
    /// The newest event of this scope that has left the window.
    floor: Revision,
    /// Changed since the watchers were last woken.
    fresh: bool,
    stopped: bool,
}

impl Topic {
    fn new(scope: &str, events: VecDeque<Event>, floor: Revision) -> Self {
        let queue = Mutex::new(Queue { events, floor, fresh: false, stopped: false });
        Self { scope: scope.into(), queue, changed: signal::Sender::new(()) }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics while it holds a topic")
    }

    fn after(&self, seen: Revision) -> Result<Vec<Event>, WatchError> {
        let queue = self.queue();
        if seen < queue.floor {
            return Err(WatchError::Compacted { oldest: queue.floor });
        }
        let start = queue.events.partition_point(|event| event.revision() <= seen);
        let events: Vec<Event> = queue.events.range(start..).take(MOST_AT_ONCE).cloned().collect();
        if events.is_empty() && queue.stopped { Err(WatchError::Stopped) } else { Ok(events) }
    }

    pub(crate) fn has_events_after(&self, seen: Revision) -> bool {
        let queue = self.queue();
        seen < queue.floor || queue.events.back().is_some_and(|event| event.revision() > seen)
    }

    /// True for the first event since the last wake-up.
    fn push(&self, event: &Event) -> bool {
        let mut queue = self.queue();
        queue.events.push_back(event.clone());
        !std::mem::replace(&mut queue.fresh, true)
    }

    fn evict(&self, until: Revision) {
        let mut queue = self.queue();
        while queue.events.front().is_some_and(|event| event.revision() <= until) {
            queue.events.pop_front();
        }
        queue.floor = queue.floor.max(until);
    }

    fn wake(&self) {
        self.queue().fresh = false;
        self.changed.send_replace(());
    }

    fn stop(&self) {
        self.queue().stopped = true;
        self.changed.send_replace(());
    }
}

/// The topics that somebody watches.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    watched: HashMap<Box<str>, Watched>,
    stopped: bool,
}

#[derive(Debug)]
struct Watched {
    topic: Arc<Topic>,
    watchers: usize,
}

impl Topics {
    /// Joins the topic of `scope`, filling it from the log with `past` when nobody watches it yet.
    pub(crate) fn join<'a, Past>(
        &mut self,
        scope: &str,
        floor: Revision,
        past: impl FnOnce() -> Result<Past, RevisionError>,
    ) -> Result<Arc<Topic>, RevisionError>
    where
        Past: Iterator<Item = &'a Event>,
    {
        if let Some(watched) = self.watched.get_mut(scope) {
            watched.watchers += 1;
            return Ok(watched.topic.clone());
        }
        let topic = Arc::new(Topic::new(scope, past()?.cloned().collect(), floor));
        if self.stopped {
            topic.stop();
        }
        self.watched.insert(scope.into(), Watched { topic: topic.clone(), watchers: 1 });
        Ok(topic)
    }

    pub(crate) fn leave(&mut self, topic: &Topic) {
        let Some(watched) = self.watched.get_mut(&topic.scope) else { return };
        watched.watchers -= 1;
        if watched.watchers == 0 {
            self.watched.remove(&topic.scope);
        }
    }

    pub(crate) fn deliver(&self, events: &[Event], evicted: &[Event]) {
        let mut to_wake = Vec::new();
        for event in events {
            to_wake.extend(self.topics_of(event).filter(|topic| topic.push(event)));
        }
        for event in evicted {
            self.topics_of(event).for_each(|topic| topic.evict(event.revision()));
        }
        to_wake.into_iter().for_each(Topic::wake);
    }

    fn topics_of<'a>(&'a self, event: &'a Event) -> impl Iterator<Item = &'a Topic> {
        scope::around(event.key()).filter_map(|scope| self.watched.get(scope)).map(|watched| &*watched.topic)
    }

    pub(crate) fn stop(&mut self) {
        self.stopped = true;
        self.watched.values().for_each(|watched| watched.topic.stop());
    }
}
