//! Rows to and from the `object` table.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params};

use super::read::Damage;
use crate::backend::{Commit, Contents, Row};
use crate::clock::Seconds;
use crate::entry::Entry;
use crate::revision::Revision;

pub(super) fn write(db: &Connection, commit: &Commit) -> rusqlite::Result<()> {
    let mut put = db.prepare_cached("INSERT OR REPLACE INTO object VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let mut delete = db.prepare_cached("DELETE FROM object WHERE created = ?1")?;
    for (id, row) in &commit.rows {
        match row {
            Some(row) => put.execute(params![
                id,
                row.entry.modified(),
                row.ttl,
                sum(&row.entry, row.ttl),
                row.entry.key(),
                &row.entry.value()[..],
            ])?,
            None => delete.execute([id])?,
        };
    }
    commit.mark.map_or(Ok(()), |mark| write_mark(db, mark))
}

pub(super) fn write_mark(db: &Connection, mark: Revision) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE mark SET revision = ?1")?.execute([mark])?;
    Ok(())
}

pub(super) fn read_mark(db: &Connection) -> rusqlite::Result<Revision> {
    db.query_row("SELECT revision FROM mark", [], |row| row.get(0))
}

/// Reads everything, checking each row against its sum.
pub(super) fn read(db: &Connection) -> Result<Contents, super::read::Unreadable> {
    let mut contents = Contents::empty();
    contents.mark = contents.mark.max(read_mark(db)?);
    let mut select = db.prepare("SELECT created, modified, ttl, sum, key, value FROM object")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let created: Revision = row.get(0)?;
        let ttl: Option<u32> = row.get(2)?;
        let key: Arc<str> = row.get_ref(4)?.as_str().map_err(|_| Damage::Row { created })?.into();
        let value = Bytes::copy_from_slice(row.get_ref(5)?.as_blob().map_err(|_| Damage::Row { created })?);
        let entry = Entry::restore(key, value, created, row.get(1)?, ttl.map(Seconds));
        if row.get::<_, u32>(3)? != sum(&entry, ttl) || !contents.add(entry) {
            return Err(Damage::Row { created }.into());
        }
    }
    Ok(contents)
}

fn sum(entry: &Entry, ttl: Option<u32>) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&entry.created().get().to_le_bytes());
    sum.update(&entry.modified().get().to_le_bytes());
    sum.update(&ttl.unwrap_or(0).to_le_bytes());
    sum.update(&(entry.key().len() as u64).to_le_bytes());
    sum.update(entry.key().as_bytes());
    sum.update(entry.value());
    sum.finalize()
}

/// All of `rows` into an empty database, for a backup.
pub(super) fn fill(db: &mut Connection, commit: &Commit) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    write(&transaction, commit)?;
    transaction.commit()
}

pub(super) fn all<'a>(entries: impl Iterator<Item = &'a Entry>, now: Seconds) -> super::Rows {
    entries.map(|entry| (entry.created(), Some(Row::new(entry, now)))).collect()
}

impl ToSql for Revision {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number = i64::try_from(self.get());
        number.map(ToSqlOutput::from).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

impl FromSql for Revision {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number).map(Self::new).map_err(|_| FromSqlError::OutOfRange(number))
    }
}
