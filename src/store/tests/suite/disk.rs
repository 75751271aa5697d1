//! Disks that refuse: really full, really read-only, really failing.
//!
//! Each needs a process of its own, since mounts and limits are the process's.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use store::{Config, OpenError, Precondition, StorageError, Store, Write, WriteError};

use crate::apart::{directory, is_root, run};
use crate::place::{bytes, open};

/// Writes until the disk refuses.
async fn until_refused(store: &Store) -> WriteError {
    for n in 0..100_000 {
        if let Err(error) = store.write(Write::create(format!("/fill/{n}"), bytes(&"x".repeat(2000)))).await {
            return error;
        }
    }
    panic!("200 MB fit")
}

/// What must hold while the disk refuses writes.
async fn check_the_rest_goes_on(store: &Store) {
    let filled = store.snapshot("/fill/").iter().count();
    assert!(filled > 0 && store.get("/fill/0").is_some());
    assert!(store.get(&format!("/fill/{filled}")).is_none(), "a refused write is not to be seen");
    let start = store.revision();
    let lease = store.write(Write::create("/lease", bytes("soft")).soft()).await.unwrap();
    assert!(lease.revision() > start);
    let seen = store.watch("/lease", start).unwrap().next().await.unwrap();
    assert_eq!(seen, [lease]);
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    if is_root() {
        let mount = "mount -t tmpfs -o size=1m none \"$STORE_DIRECTORY\"";
        run(&["unshare", "--mount"], mount, "disk::full");
    }
}

#[tokio::test]
#[ignore = "started by the test of the full disk, on a disk of 1 MiB"]
async fn full() {
    let filler = directory().join("filler");
    fs::write(&filler, vec![0; 256 << 10]).unwrap();
    let store = open(&directory());
    let refused = until_refused(&store).await;
    assert!(
        matches!(&refused, WriteError::Storage(e) if matches!(**e, StorageError::Full(_))),
        "{refused:?}"
    );
    check_the_rest_goes_on(&store).await;
    fs::remove_file(&filler).unwrap();
    store.write(Write::create("/after", bytes("room"))).await.unwrap();
    drop(store.stop().await);
    let reopened = open(&directory());
    assert!(reopened.get("/after").is_some() && reopened.get("/lease").is_some());
}

#[test]
fn a_backup_that_does_not_fit_takes_no_room() {
    if is_root() {
        let mount = "mount -t tmpfs -o size=1m none \"$STORE_DIRECTORY\"";
        run(&["unshare", "--mount"], mount, "disk::no_room_for_a_backup");
    }
}

#[tokio::test]
#[ignore = "started by the test of the backup that does not fit, on a disk of 1 MiB"]
async fn no_room_for_a_backup() {
    let store = open(&directory());
    store.write(Write::create("/half", bytes(&"x".repeat(700 << 10)))).await.unwrap();
    store.stop().await.unwrap();
    let is_there = |file: &str| directory().join(file).exists();
    assert!(!is_there("backup.db") && !is_there("scratch.db"));
    assert!(open(&directory()).get("/half").is_some());
}

#[test]
fn a_read_only_disk_is_named_when_opening() {
    if is_root() {
        let mount = "mount -t tmpfs -o size=1m none \"$STORE_DIRECTORY\"";
        run(&["unshare", "--mount"], mount, "disk::read_only");
    }
}

#[tokio::test]
#[ignore = "started by the test of the read-only disk, on a disk that it may remount"]
async fn read_only() {
    let remount = |option| {
        let status = Command::new("mount").args(["-o", option]).arg(directory()).status().unwrap();
        assert!(status.success());
    };
    let store = open(&directory());
    store.write(Write::create("/a", bytes(""))).await.unwrap();
    store.stop().await.unwrap();
    remount("remount,ro");
    let refused = Store::open(&Config::new(directory())).unwrap_err();
    let OpenError::Storage { source: StorageError::ReadOnly(_), .. } = refused else { panic!("{refused:?}") };
    remount("remount,rw");
    assert!(open(&directory()).get("/a").is_some());
}

#[test]
fn a_disk_that_the_kernel_makes_read_only_is_named() {
    if is_root() {
        let mount = "image=$(mktemp) && truncate -s 16M \"$image\" && mkfs.ext4 -q \"$image\" \
            && mount -o loop,errors=remount-ro \"$image\" \"$STORE_DIRECTORY\"; made=$?; rm \"$image\"; test $made = 0";
        run(&["unshare", "--mount"], mount, "disk::given_up");
    }
}

#[tokio::test]
#[ignore = "started by the test of the disk that the kernel gives up, on a disk that it may spoil"]
async fn given_up() {
    let store = open(&directory());
    store.write(Write::create("/fill/0", bytes(""))).await.unwrap();
    // What ext4 does when it finds itself damaged.
    let given_up = ["-o", "remount,errors=remount-ro,abort"];
    assert!(Command::new("mount").args(given_up).arg(directory()).status().unwrap().success());
    let refused = store.write(Write::create("/refused", bytes(""))).await.unwrap_err();
    assert!(
        matches!(&refused, WriteError::Storage(e) if matches!(**e, StorageError::ReadOnly(_))),
        "{refused:?}"
    );
    check_the_rest_goes_on(&store).await;
    assert!(store.stop().await.is_err(), "the lease cannot be written");
    let refused = Store::open(&Config::new(directory())).unwrap_err();
    let OpenError::Storage { source: StorageError::ReadOnly(_), .. } = refused else { panic!("{refused:?}") };
}

#[test]
fn an_input_output_error_refuses_writes_until_it_ends() {
    run(&["env"], "trap '' XFSZ", "disk::failing");
}

#[tokio::test]
#[ignore = "started by the test of I/O errors, with SIGXFSZ ignored"]
async fn failing() {
    let store = open(&directory());
    store.write(Write::create("/first", bytes(""))).await.unwrap();
    let unlimited = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(128 << 10), maximum: unlimited.maximum }).unwrap();
    let refused = until_refused(&store).await;
    assert!(matches!(&refused, WriteError::Storage(e) if matches!(**e, StorageError::Io(_))), "{refused:?}");
    check_the_rest_goes_on(&store).await;
    setrlimit(Resource::Fsize, unlimited).unwrap();
    store.write(Write::update("/first", bytes("again"), Precondition::Exists)).await.unwrap();
    let crashed = crate::place::copy(&directory());
    assert_eq!(open(crashed.path()).get("/first").unwrap().value(), &b"again"[..]);
}

/// A log line is all that a failed backup is worth.
#[tokio::test]
async fn a_backup_that_cannot_be_written_does_not_fail_the_stop() -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    let store = open(directory.path());
    store.write(Write::create("/a", bytes(""))).await.unwrap();
    fs::create_dir(directory.path().join("scratch.db"))?;
    store.stop().await.unwrap();
    assert!(!directory.path().join("backup.db").exists());
    assert!(open(directory.path()).get("/a").is_some());
    Ok(())
}

fn contents(directory: &Path) -> [Vec<u8>; 2] {
    ["store.db", "store.db-wal"].map(|file| fs::read(directory.join(file)).unwrap())
}

#[tokio::test]
async fn soft_writes_touch_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.write(Write::create("/lease", bytes("durable"))).await.unwrap();
    let before = contents(directory.path());
    for n in 0..1000 {
        let renewal = Write::update("/lease", bytes(&n.to_string()), Precondition::Exists).soft();
        store.write(renewal).await.unwrap();
    }
    assert!(contents(directory.path()) == before);
}

#[tokio::test]
async fn the_log_stays_small_however_much_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.write(Write::create("/large", bytes(""))).await.unwrap();
    let large = bytes(&"x".repeat(1 << 20));
    for _ in 0..30 {
        store.write(Write::update("/large", large.clone(), Precondition::Exists)).await.unwrap();
    }
    let log = fs::metadata(directory.path().join("store.db-wal")).unwrap().len();
    assert!(log < 8 << 20, "{log} bytes");
}
