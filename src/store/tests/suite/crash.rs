//! Killed with SIGKILL at random points of concurrent writes: every answered write is there, nothing is half there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use store::{Precondition, Revision, Store, Write, WriteError};

use crate::place::{bytes, open, text};

const WRITERS: usize = 8;
const ROUNDS: u64 = 25;

/// The victim: not a test of its own, started by the one below.
#[tokio::test]
#[ignore = "started by kill_at_random_points, which kills it"]
async fn victim() {
    let store = open(Path::new(&std::env::var_os("STORE_DIRECTORY").unwrap()));
    say("open", store.revision(), 0);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write_pairs(store.clone(), writer));
    }
    writers.join_all().await;
}

/// For ever: the same number to both keys of a pair, in one transaction.
async fn write_pairs(store: Store, writer: usize) {
    let keys = [format!("/pair/{writer}/left"), format!("/pair/{writer}/right")];
    let mut number = store.get(&keys[0]).map_or(0, |entry| text(&entry).parse::<u64>().unwrap());
    loop {
        number += 1;
        let value = bytes(&number.to_string());
        let write = |key: &String| match store.get(key) {
            None => Write::create(key.as_str(), value.clone()),
            Some(entry) => {
                Write::update(key.as_str(), value.clone(), Precondition::Unchanged(entry.modified()))
            }
        };
        let events = store.write_all(keys.iter().map(write).collect()).await.unwrap();
        say(&keys[0], events[1].revision(), number);
        let churn = Write::create(format!("/churn/{writer}/{number}"), bytes(&"x".repeat(900)));
        store.write(churn).await.unwrap();
        if number > 20 {
            let old = Write::delete(format!("/churn/{writer}/{}", number - 20), Precondition::Exists);
            // An earlier victim may have died before it created this one.
            assert!(matches!(store.write(old).await, Ok(_) | Err(WriteError::NotFound { .. })));
        }
    }
}

fn say(subject: &str, revision: Revision, number: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ack {subject} {revision} {number}").unwrap();
    out.flush().unwrap();
}

#[test]
fn kill_at_random_points() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut newest = Revision::FIRST;
    for round in 0..ROUNDS {
        let acks = run_and_kill(directory.path(), 1 + round * 37 % 211);
        assert!(acks[0].1 >= newest, "round {round} starts at {} after {newest} was given out", acks[0].1);
        newest = acks.iter().map(|(_, revision, _)| *revision).max().unwrap();
        acknowledged.extend(acks.into_iter().skip(1).map(|(key, _, number)| (key, number)));
        check(&crate::place::copy(directory.path()), &mut acknowledged, newest);
    }
}

/// Every acknowledgement the victim got out, the killing blow falling around the `limit`th.
fn run_and_kill(directory: &Path, limit: u64) -> Vec<(String, Revision, u64)> {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::victim", "--ignored", "--nocapture"])
        .env("STORE_DIRECTORY", directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acks = Vec::new();
    for line in BufReader::new(victim.stdout.take().unwrap()).lines() {
        acks.extend(parse(&line.unwrap()));
        if acks.len() as u64 == limit {
            victim.kill().unwrap();
        }
    }
    victim.wait().unwrap();
    acks
}

/// The test harness talks on the same stream, and the last line may be cut off.
fn parse(line: &str) -> Option<(String, Revision, u64)> {
    let line = &line[line.find("ack ")?..];
    let [_, subject, revision, number] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
    Some((subject.to_owned(), Revision::new(revision.parse().ok()?), number.parse().ok()?))
}

fn check(directory: &tempfile::TempDir, acknowledged: &mut BTreeMap<String, u64>, newest: Revision) {
    let store = open(directory.path());
    assert!(store.revision() >= newest);
    for (left, number) in acknowledged {
        let value = |key: &str| text(&store.get(key).unwrap()).parse::<u64>().unwrap();
        let (left, right) = (value(left), value(&left.replace("left", "right")));
        assert_eq!(left, right, "half a transaction");
        // One more may have been on its way when the blow fell.
        assert!(left == *number || left == *number + 1, "{number} was acknowledged, {left} is there");
        // What has been seen must stay, like what was answered.
        *number = left;
    }
}
