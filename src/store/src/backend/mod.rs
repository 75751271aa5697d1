//! The durable half: what a commit is, and how it can fail.

pub(crate) mod memory;
pub(crate) mod sqlite;

use std::collections::BTreeMap;
use std::error::Error;

use crate::clock::{Clock, Seconds};
use crate::entry::Entry;
use crate::revision::Revision;
use crate::snapshot::Entries;

/// Keeps the current state through crashes. Called by the writer thread only, one commit at a time.
pub trait Backend: Send + 'static {
    /// Returns once `commit` is durable, whole. After an error it is there whole or not at all, and the backend takes
    /// the next commit as if nothing had happened.
    fn commit(&mut self, commit: &Commit) -> Result<(), StorageError>;
}

/// Rows by the revision that created them: a small unique number, so that a row needs no index of keys on disk and new
/// rows lie next to one another. `None` deletes, also what is not there.
pub(crate) type Rows = BTreeMap<Revision, Option<Row>>;

#[derive(Debug)]
pub struct Commit {
    /// No revision above it has been given out.
    pub(crate) mark: Option<Revision>,
    pub(crate) rows: Rows,
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) entry: Entry,
    /// Seconds left to live, if it does not live for ever.
    pub(crate) ttl: Option<u32>,
}

impl Row {
    pub(crate) fn new(entry: &Entry, now: Seconds) -> Self {
        Self { entry: entry.clone(), ttl: entry.expires().map(|deadline| deadline.left(now)) }
    }
}

/// What a backend held when it was opened.
#[derive(Debug)]
pub struct Contents {
    /// The revision to go on from.
    pub(crate) mark: Revision,
    pub(crate) entries: Entries,
    /// The entries' deadlines count from its start.
    pub(crate) clock: Clock,
}

impl Contents {
    pub(crate) fn empty() -> Self {
        Self { mark: Revision::FIRST, entries: Entries::new(), clock: Clock::start() }
    }

    /// Takes in one stored entry; false if no commit can have left it: its key is there already, or it is beyond the
    /// mark.
    #[must_use]
    pub(crate) fn add(&mut self, entry: Entry) -> bool {
        let is_known = entry.modified() <= self.mark;
        is_known && self.entries.insert(entry.shared_key(), entry).is_none()
    }
}

pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// Why the disk did not take or give something. Reads from memory go on, and so do writes once the condition ends.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("the disk is full")]
    Full(#[source] Cause),
    #[error(
        "the file system is read-only; if nobody made it so, the kernel did after a failure: see its log, check the disk, \
         start the machine again"
    )]
    ReadOnly(#[source] Cause),
    #[error("input/output error")]
    Io(#[source] Cause),
    /// The next open will restore a backup.
    #[error("the database file is damaged")]
    Damaged(#[source] Cause),
}
