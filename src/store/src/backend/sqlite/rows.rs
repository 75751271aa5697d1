//! Rows to and from the `object` table.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, params};

use super::read::{Damage, Unreadable};
use crate::backend::{Commit, Contents, Row, Rows};
use crate::clock::Seconds;
use crate::entry::Entry;
use crate::revision::Revision;

/// Whole or not at all: a transaction dropped half-way rolls back.
pub(super) fn commit(db: &mut Connection, commit: &Commit) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    write(&transaction, commit)?;
    transaction.commit()
}

fn write(db: &Connection, commit: &Commit) -> rusqlite::Result<()> {
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
    let mut put = db.prepare_cached("INSERT OR REPLACE INTO mark VALUES (0, ?1, ?2)")?;
    put.execute(params![mark, mark_sum(mark)])?;
    Ok(())
}

/// None before the first commit.
pub(super) fn read_mark(db: &Connection) -> Result<Option<Revision>, Unreadable> {
    let row = db.query_row("SELECT revision, sum FROM mark", [], |row| Ok((row.get(0)?, row.get(1)?)));
    let Some((mark, sum)) = row.optional()? else { return Ok(None) };
    if mark_sum(mark) == sum { Ok(Some(mark)) } else { Err(Damage::Mark.into()) }
}

/// Reads everything, checking each row against its sum.
pub(super) fn read(db: &Connection) -> Result<Contents, Unreadable> {
    let mut contents = Contents::empty();
    contents.mark = read_mark(db)?.unwrap_or(contents.mark);
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

fn mark_sum(mark: Revision) -> u32 {
    crc32fast::hash(&mark.get().to_le_bytes())
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

/// Every entry as it would be written now, for a backup.
pub(super) fn all<'a>(entries: impl Iterator<Item = &'a Entry>, now: Seconds) -> Rows {
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
