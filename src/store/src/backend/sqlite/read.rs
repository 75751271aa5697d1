//! Opening one database file and reading all of it, or knowing exactly why not.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, ffi};

use super::rows;
use super::schema::{self, Version};
use crate::backend::Contents;
use crate::revision::Revision;

/// Why a file cannot be a store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(transparent)]
    Damaged(#[from] Damage),
    #[error("another process has the store open")]
    InUse,
    #[error("the store has version {found}; this program knows up to {supported}")]
    Newer { found: i64, supported: i64 },
    #[error("the file can be read and not written")]
    ReadOnly,
    #[error(transparent)]
    Storage(rusqlite::Error),
}

/// What is wrong with a file that no retry will mend.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    #[error("the file is gone or empty although backups exist")]
    Missing,
    #[error("the file is not a store")]
    Foreign,
    #[error("SQLite cannot read it: {0}")]
    Unreadable(rusqlite::Error),
    #[error("its structure is damaged: {0}")]
    Structure(String),
    #[error("its revision counter is damaged")]
    Mark,
    #[error("the row created at revision {created} is damaged")]
    Row { created: Revision },
}

impl From<rusqlite::Error> for Unreadable {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse,
            // `Unknown` is SQL that does not fit the file: a table missing or twice. No code: a value of another type.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) | None => {
                Self::Damaged(Damage::Unreadable(error))
            }
            Some(_) => Self::Storage(error),
        }
    }
}

/// One writer, so the log's index can live on the heap: `EXCLUSIVE` also keeps a second process out.
///
/// `FULL` syncs the log at every commit. The log is written back after 1 000 pages, 4 MiB, and reused in place: a
/// large log writes a page that changes often back once instead of each time. The cache is small because
/// nothing is read twice: reads are served from memory.
const SETTINGS: &str = "
    PRAGMA page_size = 4096;
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 1000;
    PRAGMA journal_size_limit = 4194304;
    PRAGMA cache_size = -512;
    PRAGMA temp_store = MEMORY;
";

/// Opens or creates the database. `may_create` is false where an empty file can only be a loss.
///
/// Only what is found twice is damage: SQLite takes some failures of the disk for it, and what is damaged is replaced by
/// an older state.
pub(super) fn open(path: &Path, may_create: bool) -> Result<(Connection, Contents), Unreadable> {
    match open_once(path, may_create) {
        Err(Unreadable::Damaged(_)) => open_once(path, may_create),
        opened => opened,
    }
}

fn open_once(path: &Path, may_create: bool) -> Result<(Connection, Contents), Unreadable> {
    if !may_create && is_gone(path) {
        return Err(Damage::Missing.into());
    }
    let mut db = Connection::open(path)?;
    // SQLite makes do with reading: what fails later would not tell why.
    if db.is_readonly(MAIN_DB)? {
        return Err(Unreadable::ReadOnly);
    }
    // Whoever has it open keeps it open: waiting is for whoever starts us.
    db.busy_timeout(Duration::ZERO)?;
    db.execute_batch(SETTINGS)?;
    check_structure(&db)?;
    match schema::version(&db)? {
        Version::Current => {}
        Version::None if may_create => schema::migrate(&mut db, 0)?,
        Version::Older(from) => schema::migrate(&mut db, from)?,
        Version::Newer { found, supported } => return Err(Unreadable::Newer { found, supported }),
        Version::None | Version::Foreign => return Err(Damage::Foreign.into()),
    }
    let contents = rows::read(&db)?;
    Ok((db, contents))
}

/// Not for want of an answer: a disk that fails is no reason to restore an older state.
fn is_gone(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(metadata) => metadata.len() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

pub(super) fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn check_structure(db: &Connection) -> Result<(), Unreadable> {
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match unread(&verdict) {
        _ if verdict == "ok" => Ok(()),
        Some(code) => {
            Err(Unreadable::Storage(rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(verdict))))
        }
        None => Err(Damage::Structure(verdict).into()),
    }
}

/// The check also finds fault with a page that the disk refuses to give: that is no damage.
fn unread(verdict: &str) -> Option<i32> {
    let (_, code) = verdict.rsplit_once("error code=")?;
    code.parse().ok().filter(|code| code & 0xff == ffi::SQLITE_IOERR)
}
