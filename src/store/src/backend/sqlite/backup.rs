//! Backups: whole databases written from memory, the newest two kept.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::files::Files;
use super::read::Unreadable;
use super::{classify, read, rows, schema};
use crate::backend::{Commit, StorageError};
use crate::revision::Revision;
use crate::writer::Image;

/// Revisions skipped when a backup is restored, because what was given out after it is not known: more than four days at 10 000
/// changes a second.
const RESTORE_JUMP: u64 = 1 << 32;

#[derive(Debug, Clone)]
pub(crate) struct BackupFiles {
    files: Files,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error("write the backup")]
    Write(#[source] StorageError),
    #[error("put the backup in its place")]
    Place(#[source] io::Error),
}

impl BackupFiles {
    pub(super) fn new(files: Files) -> Self {
        Self { files }
    }

    /// How long ago the newest backup was made, by a clock that may have jumped since: then it is as good as new.
    pub(crate) fn age(&self) -> Option<Duration> {
        let written = self.files.backups()[0].metadata().and_then(|file| file.modified()).ok()?;
        Some(SystemTime::now().duration_since(written).unwrap_or(Duration::ZERO))
    }

    pub(crate) fn newest_mark(&self) -> Option<Revision> {
        let db = read::open_read_only(&self.files.backups()[0]).ok()?;
        rows::read_mark(&db).ok()?
    }

    pub(crate) fn write(&self, image: &Image) -> Result<(), BackupError> {
        let written = self.write_once(image);
        if written.is_err() {
            // Half a backup on a full disk would keep the database from writing. The next attempt removes what stays.
            let _removed = self.files.scratch();
        }
        written
    }

    fn write_once(&self, image: &Image) -> Result<(), BackupError> {
        let scratch = self.files.scratch().map_err(BackupError::Place)?;
        let commit = Commit { mark: Some(image.mark), rows: rows::all(image.entries.values(), image.now) };
        let written = create(&scratch, &commit).map_err(|error| classify(error, None, &self.files.directory));
        written.map_err(BackupError::Write)?;
        self.files.keep_backup(&scratch).map_err(BackupError::Place)
    }
}

/// Without a journal: a file that is not finished is never renamed into place.
fn create(path: &Path, commit: &Commit) -> rusqlite::Result<()> {
    let mut db = Connection::open(path)?;
    db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -512;")?;
    schema::migrate(&mut db, 0)?;
    rows::commit(&mut db, commit)?;
    db.close().map_err(|(_, error)| error)
}

/// Copies `backup` to a scratch file that can be the database: checked, of the current schema, and going on after every
/// revision there may have been. None if the backup itself is no good.
pub(super) fn prepare(backup: &Path, files: &Files) -> Result<Option<PathBuf>, RestoreError> {
    let scratch = files.scratch().map_err(RestoreError::Copy)?;
    match std::fs::copy(backup, &scratch) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        copied => copied.map_err(RestoreError::Copy)?,
    };
    let advanced = match read::open(&scratch, false) {
        Ok((db, contents)) => advance(&db, contents.mark),
        Err(Unreadable::Storage(error)) => Err(error),
        Err(Unreadable::Damaged(_) | Unreadable::InUse | Unreadable::Newer { .. } | Unreadable::ReadOnly) => {
            return Ok(None);
        }
    };
    advanced.map_err(|error| RestoreError::Advance(classify(error, None, &files.directory)))?;
    Ok(Some(scratch))
}

/// Leaves everything in the one file, which is about to be renamed.
fn advance(db: &Connection, mark: Revision) -> rusqlite::Result<()> {
    rows::write_mark(db, mark.ahead(RESTORE_JUMP))?;
    db.execute_batch("PRAGMA journal_mode = DELETE")
}

/// What was in the way of putting a good backup in place.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("copy the backup")]
    Copy(#[source] io::Error),
    #[error("advance the revision of the restored store")]
    Advance(#[source] StorageError),
    #[error("move the damaged file aside")]
    Replace(#[source] io::Error),
}
