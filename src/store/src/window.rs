//! The recent past: the log of events that watches resume from and that older snapshots are undone with.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::event::Event;
use crate::revision::Revision;
use crate::scope;

/// What the log itself costs per event: the event, its slot here and one in a watched topic, the entry's header.
const EVENT_OVERHEAD: usize = 200;

/// How much of the past is kept; the first limit reached counts.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub events: usize,
    /// Of memory that only the log holds: replaced and deleted values, and a fixed share per event.
    pub bytes: usize,
    /// Looked at when something changes: nothing wakes up to forget.
    pub age: Duration,
}

impl Default for Limits {
    /// An idle node renews a handful of leases a minute: five minutes of that is tens of kilobytes. Upstream compacts after
    /// five to ten, and conformance has the token of a list expire within those ten.
    fn default() -> Self {
        Self { events: 10_000, bytes: 8 << 20, age: Duration::from_secs(300) }
    }
}

/// The revision asked for cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RevisionError {
    #[error("revision is compacted: the oldest available is {oldest}")]
    Compacted { oldest: Revision },
    #[error("revision is in the future: the current one is {current}")]
    Future { current: Revision },
}

#[derive(Debug)]
pub(crate) struct Window {
    limits: Limits,
    events: VecDeque<(Event, Instant)>,
    bytes: usize,
    /// Every event after this revision is in the log.
    floor: Revision,
}

impl Window {
    pub(crate) fn new(limits: Limits, floor: Revision) -> Self {
        Self { limits, events: VecDeque::new(), bytes: 0, floor }
    }

    pub(crate) fn floor(&self) -> Revision {
        self.floor
    }

    /// Takes in one batch and returns what it pushed out, oldest first.
    pub(crate) fn extend(&mut self, batch: &[Event], now: Instant) -> Vec<Event> {
        self.bytes += batch.iter().map(cost).sum::<usize>();
        self.events.extend(batch.iter().map(|event| (event.clone(), now)));
        let mut evicted = Vec::new();
        while self.is_over(now) {
            let Some((event, _)) = self.events.pop_front() else { break };
            self.bytes -= cost(&event);
            self.floor = event.revision();
            evicted.push(event);
        }
        evicted
    }

    fn is_over(&self, now: Instant) -> bool {
        let oldest_is_old =
            self.events.front().is_some_and(|(_, at)| now.duration_since(*at) > self.limits.age);
        oldest_is_old || self.events.len() > self.limits.events || self.bytes > self.limits.bytes
    }

    pub(crate) fn check_not_compacted(&self, revision: Revision) -> Result<(), RevisionError> {
        if revision < self.floor { Err(RevisionError::Compacted { oldest: self.floor }) } else { Ok(()) }
    }

    /// The events of `scope` after `revision`, oldest first.
    pub(crate) fn after<'a>(
        &'a self,
        revision: Revision,
        scope: &'a str,
    ) -> Result<impl DoubleEndedIterator<Item = &'a Event>, RevisionError> {
        self.check_not_compacted(revision)?;
        let start = self.events.partition_point(|(event, _)| event.revision() <= revision);
        let events = self.events.range(start..).map(|(event, _)| event);
        Ok(events.filter(move |event| scope::contains(scope, event.key())))
    }
}

fn cost(event: &Event) -> usize {
    EVENT_OVERHEAD + event.previous().map_or(0, |previous| previous.value().len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::entry::Entry;
    use crate::event::Change;

    const LIMITS: Limits = Limits { events: 100, bytes: 10_000, age: Duration::from_secs(60) };

    /// The deletion of a value of `size` bytes, which from then on only the log holds.
    fn deletion(revision: u64, size: usize) -> Event {
        let key: Arc<str> = "/a/1".into();
        let previous = Entry::create(key, Bytes::from(vec![0; size]), Revision::FIRST, None);
        Event::new(Change::Deleted { revision: Revision::new(revision), previous })
    }

    fn revisions(events: &[Event]) -> Vec<u64> {
        events.iter().map(|event| event.revision().get()).collect()
    }

    #[test]
    fn large_values_leave_before_many_events_are_there() {
        let mut window = Window::new(LIMITS, Revision::FIRST);
        let now = Instant::now();
        assert!(window.extend(&[deletion(2, 4000), deletion(3, 4000)], now).is_empty());
        assert_eq!(revisions(&window.extend(&[deletion(4, 4000)], now)), [2]);
        assert_eq!(revisions(&window.extend(&[deletion(5, 20_000)], now)), [3, 4, 5]);
        assert_eq!(window.floor(), Revision::new(5));
        assert!(window.extend(&[deletion(6, 9000)], now).is_empty(), "what left no longer counts");
    }

    #[test]
    fn old_events_leave_when_something_new_comes() {
        let mut window = Window::new(LIMITS, Revision::FIRST);
        let start = Instant::now();
        window.extend(&[deletion(2, 10)], start);
        window.extend(&[deletion(3, 10)], start + Duration::from_secs(40));
        assert_eq!(revisions(&window.extend(&[deletion(4, 10)], start + Duration::from_secs(80))), [2]);
        assert_eq!(window.after(Revision::new(2), "/a/").map(Iterator::count), Ok(2));
        let compacted = RevisionError::Compacted { oldest: Revision::new(2) };
        assert_eq!(window.after(Revision::FIRST, "/a/").map(Iterator::count), Err(compacted));
    }
}
