//! The clients: on the machine of the server, in a process of their own.
//!
//! All on one thread, because the server needs the other processors; answers are read and counted, not parsed.

mod connection;
mod outcome;
mod requests;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::task::JoinSet;

use self::connection::{Cluster, Connection};
pub(crate) use self::outcome::Outcome;
use self::outcome::Taken;

pub(crate) type Body = Full<Bytes>;

const CLIENTS: usize = 32;

pub(crate) fn drive(workload: &[&str]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(workload))?;
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

async fn run(workload: &[&str]) -> Result<Outcome> {
    let cluster = Cluster::of_this_machine()?;
    match workload {
        ["create", from, to] => send(&cluster, CLIENTS, requests::creates(number(from)?, number(to)?)).await,
        ["delete", from, to] => send(&cluster, CLIENTS, requests::deletes(number(from)?, number(to)?)).await,
        ["list", times] => send(&cluster, 1, requests::lists(number(times)?)).await,
        ["get", objects, seconds] => {
            send(&cluster, CLIENTS, until(seconds, requests::gets(number(objects)?))?).await
        }
        ["patch", objects, seconds] => {
            send(&cluster, CLIENTS, until(seconds, requests::patches(number(objects)?))?).await
        }
        ["watch", watchers, rate, seconds] => {
            let rate = rate.parse().context("changes per second")?;
            watch::watch(&cluster, number(watchers)?, rate, span(seconds)?).await
        }
        _ => bail!("there is no workload {workload:?}"),
    }
}

fn number(text: &str) -> Result<usize> {
    text.parse().with_context(|| format!("{text} is no number"))
}

fn span(seconds: &str) -> Result<Duration> {
    Ok(Duration::from_secs(seconds.parse().context("seconds")?))
}

type Requests = Box<dyn Iterator<Item = Request<Body>> + Send>;

fn until(seconds: &str, requests: Requests) -> Result<Requests> {
    let end = Instant::now() + span(seconds)?;
    Ok(Box::new(requests.take_while(move |_| Instant::now() < end)))
}

/// Sends all of `requests` over this many connections, one at a time over each.
async fn send(cluster: &Cluster, clients: usize, requests: Requests) -> Result<Outcome> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(cluster.connect().await?);
    }
    let requests = Arc::new(Mutex::new(requests));
    let (began, cpu) = (Instant::now(), outcome::cpu()?);
    let mut clients = JoinSet::new();
    for connection in connections {
        clients.spawn(client(connection, requests.clone()));
    }
    let mut taken = Taken::default();
    while let Some(ended) = clients.join_next().await {
        taken.extend(ended??);
    }
    taken.outcome(began.elapsed(), outcome::cpu()? - cpu)
}

async fn client(mut connection: Connection, requests: Arc<Mutex<Requests>>) -> Result<Taken> {
    let mut taken = Taken::default();
    let next = || requests.lock().unwrap_or_else(PoisonError::into_inner).next();
    while let Some(request) = next() {
        let began = Instant::now();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let code = connection.send(request).await?;
        ensure!(code.is_success(), "{method} {uri}: {code}");
        taken.add(began.elapsed());
    }
    Ok(taken)
}
