//! Files damaged for real: what is good comes back, what is not is told.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use store::{Config, OpenError, Precondition, Store, Write};
use tempfile::TempDir;

use crate::place::{bytes, copy, open, text};

/// A cleanly stopped store of 200 entries, so that its backup says what it says.
async fn stopped() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path(), 0..200).await;
    directory
}

async fn fill(directory: &Path, numbers: std::ops::Range<usize>) {
    let store = open(directory);
    for n in numbers {
        let value = bytes(&n.to_string().repeat(300));
        store.write(Write::create(format!("/a/{n:04}"), value)).await.unwrap();
    }
    store.stop().await.unwrap();
}

fn count(store: &Store) -> usize {
    let intact = |n: usize, value: String| value == n.to_string().repeat(300);
    store.snapshot("/a/").iter().enumerate().filter(|(n, entry)| intact(*n, text(entry))).count()
}

fn database(directory: &TempDir) -> PathBuf {
    directory.path().join("store.db")
}

fn overwrite(path: &Path, at: u64, with: &[u8]) {
    fs::File::options().write(true).open(path).unwrap().write_all_at(with, at).unwrap();
}

#[tokio::test]
async fn damage_anywhere_never_loses_or_changes_an_entry() {
    let whole = stopped().await;
    let size = fs::metadata(database(&whole)).unwrap().len();
    let mut restorations = 0;
    for at in (0..size).step_by(3001) {
        let damaged = copy(whole.path());
        overwrite(&database(&damaged), at, b"\xffgarbage\x00");
        let (store, restored) = Store::open(&Config::new(damaged.path())).unwrap();
        assert_eq!(count(&store), 200, "damaged at {at}");
        if let Some(restored) = restored {
            restorations += 1;
            assert_eq!(fs::metadata(restored.moved_to).unwrap().len(), size);
        }
    }
    assert!(restorations > size / 3001 / 2, "only {restorations} found");
}

#[tokio::test]
async fn a_truncated_file_is_replaced_by_its_backup() {
    let whole = stopped().await;
    let size = fs::metadata(database(&whole)).unwrap().len();
    for length in [0, 1, 100, 4096, 5000, size / 2, size - 4096, size - 1] {
        let damaged = copy(whole.path());
        fs::File::options().write(true).open(database(&damaged)).unwrap().set_len(length).unwrap();
        let (store, restored) = Store::open(&Config::new(damaged.path())).unwrap();
        assert!(restored.is_some(), "cut to {length}");
        assert_eq!(count(&store), 200);
    }
}

#[tokio::test]
async fn a_restored_store_goes_on_and_never_repeats_a_revision() {
    let directory = stopped().await;
    let store = open(directory.path());
    let lost = store.write(Write::create("/a/lost", bytes(""))).await.unwrap().revision();
    let crashed = copy(directory.path());
    overwrite(&database(&crashed), 0, &[0; 4096]);
    let (store, restored) = Store::open(&Config::new(crashed.path())).unwrap();
    let restored = restored.unwrap();
    assert!(restored.backup.ends_with("backup.db"), "{restored:?}");
    assert!(store.revision() > lost);
    assert!(store.get("/a/lost").is_none());
    store.write(Write::create("/a/0200", bytes(&"200".repeat(300)))).await.unwrap();
    store.stop().await.unwrap();
    let (store, restored) = Store::open(&Config::new(crashed.path())).unwrap();
    assert!(restored.is_none());
    assert_eq!(count(&store), 201);
}

#[tokio::test]
async fn the_older_backup_serves_when_the_newer_is_damaged_too() {
    let directory = stopped().await;
    fill(directory.path(), 200..210).await;
    for file in ["store.db", "backup.db"] {
        overwrite(&directory.path().join(file), 8192, &[0x55; 8192]);
    }
    let (store, restored) = Store::open(&Config::new(directory.path())).unwrap();
    assert!(restored.unwrap().backup.ends_with("backup.old.db"));
    assert_eq!(count(&store), 200);
}

#[tokio::test]
async fn without_a_good_backup_nothing_is_touched() {
    let directory = stopped().await;
    fs::remove_file(directory.path().join("backup.db")).unwrap();
    overwrite(&database(&directory), 0, &[0x55; 4096]);
    let before = fs::read(database(&directory)).unwrap();
    let refused = Store::open(&Config::new(directory.path())).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    assert_eq!(fs::read(database(&directory)).unwrap(), before);
}

#[tokio::test]
async fn a_lost_file_comes_back_and_an_interrupted_restore_is_finished() {
    let directory = stopped().await;
    // As a power cut leaves it between the two moves: the database is aside, its log is not, the scratch file is ready.
    fs::rename(database(&directory), directory.path().join("store.damaged-1.db")).unwrap();
    fs::write(directory.path().join("store.db-wal"), b"of the damaged one").unwrap();
    fs::copy(directory.path().join("backup.db"), directory.path().join("scratch.db")).unwrap();
    let (store, restored) = Store::open(&Config::new(directory.path())).unwrap();
    assert!(restored.unwrap().moved_to.ends_with("store.damaged-2.db"));
    assert_eq!(count(&store), 200);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let directory = stopped().await;
    // `user_version`, big-endian at offset 60 of the header.
    overwrite(&database(&directory), 60, &9u32.to_be_bytes());
    let before = fs::read(database(&directory)).unwrap();
    let refused = Store::open(&Config::new(directory.path())).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found: 9, .. }), "{refused}");
    assert_eq!(fs::read(database(&directory)).unwrap(), before);
}

#[tokio::test]
async fn a_second_store_on_the_same_files_is_refused() {
    let directory = stopped().await;
    let store = open(directory.path());
    let refused = Store::open(&Config::new(directory.path())).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    store.write(Write::delete("/a/0001", Precondition::Exists)).await.unwrap();
}

#[tokio::test]
async fn a_torn_log_ends_between_two_transactions() {
    const TRANSACTIONS: usize = 60;
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for n in 0..TRANSACTIONS {
        let create = |side| Write::create(format!("/{side}/{n:04}"), bytes(&"x".repeat(700)));
        store.write_all(vec![create("left"), create("right")]).await.unwrap();
    }
    let log = fs::metadata(directory.path().join("store.db-wal")).unwrap().len();
    let mut found = 0;
    for length in (0..=log).step_by(2039).chain([log]) {
        let torn = copy(directory.path());
        let file = fs::File::options().write(true).open(torn.path().join("store.db-wal")).unwrap();
        file.set_len(length).unwrap();
        let store = open(torn.path());
        let sides = ["/left/", "/right/"].map(|side| store.snapshot(side).iter().count());
        assert_eq!(sides[0], sides[1], "log cut to {length}");
        assert!(sides[0] >= found, "a longer log holds more");
        found = sides[0];
    }
    assert_eq!(found, TRANSACTIONS);
}

#[tokio::test]
async fn a_running_store_backs_itself_up() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { backup_every: Duration::from_millis(1), ..Config::new(directory.path()) };
    let (store, _) = Store::open(&config).unwrap();
    store.write(Write::create("/soft", bytes("soft")).soft()).await.unwrap();
    // Each write lets the writer see that a backup is due; the first to be finished ends the loop.
    let mut written = 0;
    while !directory.path().join("backup.db").exists() {
        store.write(Write::create(format!("/a/{written}"), bytes(""))).await.unwrap();
        written += 1;
    }
    let crashed = copy(directory.path());
    assert!(open(crashed.path()).get("/soft").is_some(), "soft writes are flushed along with a backup");
    let lost = copy(directory.path());
    fs::remove_file(database(&lost)).unwrap();
    let (store, restored) = Store::open(&Config::new(lost.path())).unwrap();
    assert!(restored.is_some());
    assert!(store.get("/a/0").is_some() && store.get("/soft").is_some());
}
