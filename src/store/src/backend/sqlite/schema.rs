//! The tables, and how older ones become them.

use rusqlite::Connection;

/// In the file's header, so that tools and we can tell whose it is: "skif".
const APPLICATION: i32 = 0x736b_6966;

/// Step `n` leads from version `n` to `n + 1`. Steps are only ever added.
///
/// `mark` has one row, from the first commit on. An object's id is the revision that created it; `ttl` is the seconds left when it was written. `sum` covers the rest
/// of its row, because SQLite checks the structure of its pages but not what they hold.
const STEPS: &[&str] = &["
    CREATE TABLE mark (id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
    CREATE TABLE object (
        created INTEGER PRIMARY KEY,
        modified INTEGER NOT NULL,
        ttl INTEGER,
        sum INTEGER NOT NULL,
        key TEXT NOT NULL,
        value BLOB NOT NULL
    ) STRICT;
"];

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// An empty file: a store that has never been.
    None,
    Current,
    Older(usize),
    Newer {
        found: i64,
        supported: i64,
    },
    /// Not a file of ours, although it has a version.
    Foreign,
}

pub(crate) fn version(db: &Connection) -> rusqlite::Result<Version> {
    version_among(db, STEPS)
}

fn version_among(db: &Connection, steps: &[&str]) -> rusqlite::Result<Version> {
    let supported = version_of(steps);
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok(match usize::try_from(found) {
        Ok(0) => Version::None,
        _ if application != APPLICATION => Version::Foreign,
        Ok(_) if found == supported => Version::Current,
        Ok(older) if found < supported => Version::Older(older),
        _ => Version::Newer { found, supported },
    })
}

fn version_of(steps: &[&str]) -> i64 {
    i64::try_from(steps.len()).expect("a handful of steps")
}

/// Brings a database of version `from` to the current one, whole or not at all.
pub(crate) fn migrate(db: &mut Connection, from: usize) -> rusqlite::Result<()> {
    migrate_through(db, from, STEPS)
}

fn migrate_through(db: &mut Connection, from: usize, steps: &[&str]) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    for step in &steps[from..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", version_of(steps))?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_database_moves_forward_and_keeps_its_rows() {
        let later = [STEPS[0], "ALTER TABLE object ADD COLUMN note TEXT NOT NULL DEFAULT 'kept'"];
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db, 0).unwrap();
        db.execute("INSERT INTO object VALUES (2, 2, NULL, 0, 'k', x'00')", []).unwrap();
        assert_eq!(version_among(&db, &later).unwrap(), Version::Older(1));
        migrate_through(&mut db, 1, &later).unwrap();
        assert_eq!(version_among(&db, &later).unwrap(), Version::Current);
        let note: String = db.query_row("SELECT note FROM object WHERE key = 'k'", [], |r| r.get(0)).unwrap();
        assert_eq!(note, "kept");
    }

    #[test]
    fn a_failed_step_changes_nothing() {
        let broken = [STEPS[0], "CREATE TABLE half (id INTEGER)", "NOT SQL"];
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db, 0).unwrap();
        assert!(migrate_through(&mut db, 1, &broken).is_err());
        assert_eq!(version(&db).unwrap(), Version::Current);
        assert!(db.prepare("SELECT * FROM half").is_err());
    }

    #[test]
    fn a_newer_database_is_told_from_a_foreign_one() {
        let mut db = Connection::open_in_memory().unwrap();
        assert_eq!(version(&db).unwrap(), Version::None);
        migrate(&mut db, 0).unwrap();
        db.pragma_update(None, "user_version", 7).unwrap();
        assert_eq!(version(&db).unwrap(), Version::Newer { found: 7, supported: version_of(STEPS) });
        db.pragma_update(None, "application_id", 1).unwrap();
        assert_eq!(version(&db).unwrap(), Version::Foreign);
    }
}
