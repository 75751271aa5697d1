//! Many watchers of one kind, while it changes at a steady rate.
//!
//! As with kubelets and controllers, a client has its watches on one HTTP/2 connection. Each change carries its time, which
//! one watcher in ten reads; the others count lines.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::interval;

use super::connection::{Cluster, Connection};
use super::outcome::{self, Outcome, Taken};
use super::{CLIENTS, requests};

/// Who changes objects, each one at a time: enough of them that the rate is kept while a disk syncs.
const WRITERS: u32 = 16;
const READS_TIMES: usize = 10;

/// What was done is what arrived; it took from before the change was sent until it arrived.
pub(super) async fn watch(cluster: &Cluster, watchers: usize, rate: u32, time: Duration) -> Result<Outcome> {
    let changes = usize::try_from(u64::from(rate) * time.as_secs())?;
    let mut reading = watch_all(cluster, watchers, changes).await?;
    let (began, cpu) = (Instant::now(), outcome::cpu()?);
    let mut writing = JoinSet::new();
    for writer in 0..WRITERS {
        let turns = (0..changes).skip(writer as usize).step_by(WRITERS as usize);
        writing.spawn(change(cluster.connect().await?, turns, Duration::from_secs(WRITERS.into()) / rate));
    }
    while let Some(ended) = writing.join_next().await {
        ended??;
    }
    let mut taken = Taken::default();
    while let Some(ended) = reading.join_next().await {
        taken.extend(ended??);
    }
    taken.outcome_of(changes * watchers, began.elapsed(), outcome::cpu()? - cpu)
}

/// Watchers that end when so many changes have arrived.
async fn watch_all(cluster: &Cluster, watchers: usize, changes: usize) -> Result<JoinSet<Result<Taken>>> {
    let now = now(&mut cluster.connect().await?).await?;
    let mut connections = Vec::new();
    for _ in 0..CLIENTS.min(watchers) {
        connections.push(cluster.connect_shared().await?);
    }
    let connections = Arc::new(connections);
    let mut reading = JoinSet::new();
    for number in 0..watchers {
        let stream = connections[number % connections.len()].open(requests::watch(&now)).await?;
        let (kept, reads_times) = (connections.clone(), number.is_multiple_of(READS_TIMES));
        reading.spawn(async move {
            let _kept = kept;
            read(stream, changes, reads_times).await
        });
    }
    Ok(reading)
}

/// The newest revision.
async fn now(connection: &mut Connection) -> Result<String> {
    let list: Value = serde_json::from_slice(&connection.read(requests::first_of_list()).await?)?;
    let revision = list["metadata"]["resourceVersion"].as_str();
    Ok(revision.context("a list without a revision")?.to_owned())
}

async fn change(
    mut connection: Connection,
    turns: impl Iterator<Item = usize>,
    period: Duration,
) -> Result<()> {
    // Who comes late catches up: the rate is kept, unless the server cannot.
    let mut clock = interval(period);
    for turn in turns {
        clock.tick().await;
        let code = connection.send(requests::stamp(turn, since_epoch())).await?;
        ensure!(code.is_success(), "a change: {code}");
    }
    Ok(())
}

async fn read(mut stream: Incoming, changes: usize, reads_times: bool) -> Result<Taken> {
    let (mut taken, mut seen) = (Taken::default(), 0);
    while seen < changes {
        let frame =
            stream.frame().await.with_context(|| format!("the watch ended after {seen} changes"))??;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.iter().filter(|byte| **byte == b'\n').count();
        if reads_times {
            times(&data).for_each(|took| taken.add(took));
        }
    }
    Ok(taken)
}

/// How old the changes in `data` are; one that is split between two frames is passed over.
fn times(data: &Bytes) -> impl Iterator<Item = Duration> {
    let now = since_epoch();
    let stamps = data.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let (_, rest) = line.split_once(requests::STAMP)?;
        rest.split_once('"')?.0.parse::<u64>().ok()
    });
    stamps.map(move |stamp| now.saturating_sub(Duration::from_micros(stamp)))
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
