//! The store's file: current state only, in SQLite with a write-ahead log.
//!
//! One row per key, no history, no index: the map of keys is in memory and a row is found by the revision that created
//! it. A commit of creates appends neighbouring rows, so a batch touches few pages.
//!
//! A file that is damaged is moved aside, never deleted, and the newest good backup takes its place. With no good
//! backup the open fails: an empty store would make every node delete its pods, which is not a disk's decision.

mod backup;
mod files;
mod read;
mod rows;
mod schema;

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, ffi};
use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::io::Errno;

pub(crate) use self::backup::BackupFiles;
pub use self::backup::RestoreError;
use self::files::Files;
pub use self::read::Damage;
use self::read::Unreadable;
use super::{Backend, Cause, Commit, Contents, StorageError};

#[derive(Debug)]
pub(crate) struct Sqlite {
    db: Connection,
    directory: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) sqlite: Sqlite,
    pub(crate) contents: Contents,
    pub(crate) backups: BackupFiles,
    pub(crate) restored: Option<Restored>,
}

/// A damaged database was replaced: what was written after the backup is lost.
#[derive(Debug)]
pub struct Restored {
    pub damage: Damage,
    pub backup: PathBuf,
    /// Where the damaged file lies now.
    pub moved_to: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("use the store's directory {}", .path.display())]
    Directory { path: PathBuf, source: std::io::Error },
    #[error("{} is in use by another process", .path.display())]
    InUse { path: PathBuf },
    #[error(
        "{} was written by a newer version (schema {found}, this one knows {supported}); \
         start that version, or restore an older backup",
        .path.display()
    )]
    Newer { path: PathBuf, found: i64, supported: i64 },
    #[error("open {}", .path.display())]
    Storage { path: PathBuf, source: StorageError },
    #[error(
        "{} is damaged and there is no good backup; to begin with an empty cluster, move it away",
        .path.display()
    )]
    Damaged {
        path: PathBuf,
        #[source]
        damage: Damage,
    },
    #[error("restore {}", .backup.display())]
    Restore { backup: PathBuf, source: RestoreError },
    #[error("start the store's writer thread")]
    Thread(#[source] std::io::Error),
}

impl Sqlite {
    pub(crate) fn open(directory: &Path) -> Result<Opened, OpenError> {
        let unusable = |source| OpenError::Directory { path: directory.into(), source };
        let files = Files::in_directory(directory).map_err(unusable)?;
        let may_create = !files.has_backup().map_err(unusable)?;
        let (opened, restored) = match read::open(&files.database, may_create) {
            Err(Unreadable::Damaged(damage)) => {
                let restored = restore(&files, damage)?;
                (read::open(&files.database, false), Some(restored))
            }
            opened => (opened, None),
        };
        let (db, contents) = opened.map_err(|error| refuse(&files, error))?;
        let sqlite = Self { db, directory: directory.into() };
        Ok(Opened { sqlite, contents, backups: BackupFiles::new(files), restored })
    }
}

impl Backend for Sqlite {
    fn commit(&mut self, commit: &Commit) -> Result<(), StorageError> {
        rows::commit(&mut self.db, commit).map_err(|error| {
            let told = told_by_kernel(&self.db, &error);
            classify(error, told, &self.directory)
        })
    }
}

/// Puts the newest backup that is whole in the place of the damaged database.
fn restore(files: &Files, damage: Damage) -> Result<Restored, OpenError> {
    for backup in files.backups() {
        match place(&backup, files) {
            Ok(None) => {}
            Ok(Some(moved_to)) => return Ok(announce(Restored { damage, backup, moved_to })),
            Err(source) => return Err(OpenError::Restore { backup, source }),
        }
    }
    Err(OpenError::Damaged { path: files.database.clone(), damage })
}

/// Where the damaged database has gone, if `backup` is good.
fn place(backup: &Path, files: &Files) -> Result<Option<PathBuf>, RestoreError> {
    let scratch = backup::prepare(backup, files)?;
    scratch.map(|scratch| files.replace_database(&scratch)).transpose().map_err(RestoreError::Replace)
}

/// Said here as well as returned: whoever looks for lost objects looks into the log.
fn announce(restored: Restored) -> Restored {
    tracing::error!(
        damage = %restored.damage,
        moved_to = %restored.moved_to.display(),
        backup = %restored.backup.display(),
        "the store was damaged: the newest good backup is in its place, what was written after it is lost"
    );
    restored
}

fn refuse(files: &Files, error: Unreadable) -> OpenError {
    let path = files.database.clone();
    match error {
        Unreadable::Damaged(damage) => OpenError::Damaged { path, damage },
        Unreadable::InUse => OpenError::InUse { path },
        Unreadable::Newer { found, supported } => OpenError::Newer { path, found, supported },
        Unreadable::ReadOnly => OpenError::Storage { source: why_read_only(&path), path },
        Unreadable::Storage(error) => {
            OpenError::Storage { source: classify(error, None, &files.directory), path }
        }
    }
}

/// SQLite was content with reading, and does not tell why.
fn why_read_only(database: &Path) -> StorageError {
    match File::options().append(true).open(database) {
        Err(error) => kind(Errno::from_io_error(&error))(error.into()),
        Ok(_) => StorageError::Io("it could only be opened for reading, and now it can be written".into()),
    }
}

/// SQLite tells most of what the kernel refuses as an I/O error. What the kernel `told` counts then; where that is not known, what the
/// file system says of itself.
fn classify(error: rusqlite::Error, told: Option<Errno>, directory: &Path) -> StorageError {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StorageError::Full,
        Some(ErrorCode::ReadOnly) => StorageError::ReadOnly,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StorageError::Damaged,
        _ => kind(told.or_else(|| told_by_file_system(directory))),
    };
    kind(error.into())
}

fn kind(errno: Option<Errno>) -> fn(Cause) -> StorageError {
    match errno {
        Some(Errno::ROFS) => StorageError::ReadOnly,
        Some(Errno::NOSPC | Errno::DQUOT) => StorageError::Full,
        _ => StorageError::Io,
    }
}

/// What the kernel said to SQLite. Since Linux 6.15 it is the only word for a file system that the kernel made read-only after a
/// failure: its flags say nothing.
fn told_by_kernel(db: &Connection, error: &rusqlite::Error) -> Option<Errno> {
    let keeps_it = matches!(error.sqlite_error_code()?, ErrorCode::SystemIoFailure | ErrorCode::CannotOpen);
    #[expect(unsafe_code, reason = "SQLite is asked through its C interface")]
    // SAFETY: the handle is that of a connection that is open for as long as it is borrowed, and only read.
    let errno = keeps_it.then(|| unsafe { ffi::sqlite3_system_errno(db.handle()) });
    errno.filter(|errno| *errno != 0).map(Errno::from_raw_os_error)
}

fn told_by_file_system(directory: &Path) -> Option<Errno> {
    let disk = statvfs(directory).ok()?;
    if disk.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Some(Errno::ROFS);
    }
    (disk.f_bavail == 0).then_some(Errno::NOSPC)
}
