//! A backend without a disk, for unit tests of the store and of everything above it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::{Backend, Commit, Contents, Row, StorageError};
use crate::clock::Seconds;
use crate::entry::Entry;
use crate::revision::Revision;

/// Clones share what was committed, as processes share a disk: a clone that outlives a store shows what a restart
/// would find.
#[derive(Clone, Debug, Default)]
pub struct InMemory(Arc<Mutex<Disk>>);

#[derive(Clone, Debug, Default)]
struct Disk {
    mark: Option<Revision>,
    rows: BTreeMap<Revision, Row>,
}

impl InMemory {
    /// What a crash at this moment would leave.
    pub fn copy(&self) -> Self {
        let disk = self.0.lock().expect("nothing panics while it holds the disk");
        Self(Arc::new(Mutex::new(disk.clone())))
    }

    pub fn contents(&self) -> Contents {
        let disk = self.0.lock().expect("nothing panics while it holds the disk");
        let mut contents = Contents::empty();
        contents.mark = disk.mark.unwrap_or(contents.mark);
        for Row { entry, ttl } in disk.rows.values() {
            let (key, value) = (entry.shared_key(), entry.value().clone());
            let expires = ttl.map(Seconds);
            let entry = Entry::restore(key, value, entry.created(), entry.modified(), expires);
            assert!(contents.add(entry), "the store never leaves two rows of a key");
        }
        contents
    }
}

impl Backend for InMemory {
    fn commit(&mut self, commit: &Commit) -> Result<(), StorageError> {
        let mut disk = self.0.lock().expect("nothing panics while it holds the disk");
        disk.mark = commit.mark.or(disk.mark);
        for (id, row) in &commit.rows {
            match row {
                Some(row) => disk.rows.insert(*id, row.clone()),
                None => disk.rows.remove(id),
            };
        }
        Ok(())
    }
}
