//! One of several writers, who knows what it may find after a restart.

use store::{Precondition, Revision, Store, Write, WriteError};

use crate::place::{bytes, text};

pub(super) const WRITERS: usize = 5;

#[derive(Debug)]
pub(super) struct Writer {
    name: usize,
    /// Its last answered change: must be there.
    answered: u64,
    /// Its last change, answered or not: may be there.
    tried: u64,
    /// No revision up to this may be given out again.
    pub(super) newest: Revision,
}

impl Writer {
    pub(super) fn all() -> Vec<Self> {
        let new = |name| Self { name, answered: 0, tried: 0, newest: Revision::FIRST };
        (0..WRITERS).map(new).collect()
    }

    fn key(&self, side: &str) -> String {
        format!("/{side}/{}", self.name)
    }

    /// Of any length from a few bytes to two pages, so that rows move and overflow.
    fn value(&self, number: u64) -> String {
        let length = usize::try_from((number * 7919 + 31) % 9000).unwrap();
        format!("{number} of {} {}", self.name, "x".repeat(length))
    }

    /// Changes three keys at once `count` times, or until the disk refuses.
    pub(super) async fn write(mut self, store: Store, count: u64) -> (Self, Result<(), WriteError>) {
        for _ in 0..count {
            if let Err(refused) = self.write_once(&store).await {
                return (self, Err(refused));
            }
        }
        (self, Ok(()))
    }

    async fn write_once(&mut self, store: &Store) -> Result<(), WriteError> {
        self.tried = self.answered + 1;
        let events = store.write_all(self.change(store, self.tried)).await?;
        self.answered = self.tried;
        // Revisions that no disk knows must not come back either.
        let lease = self.put(store, "lease", self.tried).soft();
        let lease = store.write(lease).await.map(|event| event.revision());
        self.newest = lease.unwrap_or_else(|_| events[2].revision());
        Ok(())
    }

    /// Both sides get the value; the flag comes and goes.
    fn change(&self, store: &Store, number: u64) -> Vec<Write> {
        let flag = match number % 2 {
            1 => Write::create(self.key("flag"), bytes("")),
            _ => Write::delete(self.key("flag"), Precondition::Exists),
        };
        vec![self.put(store, "left", number), flag, self.put(store, "right", number)]
    }

    fn put(&self, store: &Store, side: &str, number: u64) -> Write {
        let (key, value) = (self.key(side), bytes(&self.value(number)));
        match store.get(&key) {
            None => Write::create(key, value),
            Some(entry) => Write::update(key, value, Precondition::Unchanged(entry.modified())),
        }
    }

    /// Finds its change whole, and no older than what was answered. From then on, what was found must stay.
    pub(super) fn check(&mut self, store: &Store) {
        let found = self.find(store);
        let expected = self.answered..=self.tried;
        assert!(expected.contains(&found), "{found} is there instead of {expected:?} of {}", self.name);
        (self.answered, self.tried) = (found, found);
        self.newest = self.newest.max(store.revision());
    }

    /// A backup may be older, but is as whole.
    pub(super) fn check_backup(&self, store: &Store) {
        assert!(self.find(store) <= self.tried);
    }

    fn find(&self, store: &Store) -> u64 {
        let [left, right, flag] = ["left", "right", "flag"].map(|side| store.get(&self.key(side)));
        let [left, right] = [left, right].map(|side| side.map_or_else(String::new, |entry| text(&entry)));
        assert!(left == right, "half a change of {}", self.name);
        let number = left.split(' ').next().filter(|number| !number.is_empty());
        let number = number.map_or(0, |number| number.parse().unwrap());
        assert!(number == 0 || left == self.value(number), "the value is damaged");
        assert_eq!(flag.is_some(), number % 2 == 1, "half a change of {}", self.name);
        number
    }
}
