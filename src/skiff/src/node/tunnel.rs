//! The node's end of its tunnels: one connection kept open, a stream dialled for whoever asks on it.

use std::time::Duration;

use task::{Backoff, Tasks};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};
use transport::Dialer;
use transport::tunnel::{PROTOCOL, Questions, Stream};

use super::ways::Ways;
use crate::cluster::TUNNEL_PATH;

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Keeps a connection to the server open and hands over the streams that it asks for. Never ends.
pub(super) async fn run(ways: Ways, streams: mpsc::Sender<Stream>) {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        let dialer = ways.borrow().dialer.clone();
        match dialer.upgrade(TUNNEL_PATH, PROTOCOL).await {
            Ok(connection) => {
                info!("the server can reach this node");
                backoff.reset();
                answer(&ways, connection, &streams).await;
                info!("the server cannot reach this node any more, connecting again");
            }
            Err(error) => debug!(%error, "cannot connect to the server, trying again"),
        }
        backoff.wait().await;
    }
}

/// Dials for each number that the server says, until the connection ends.
async fn answer(ways: &Ways, connection: Stream, streams: &mpsc::Sender<Stream>) {
    let (numbers, mut asked) = mpsc::channel(64);
    let mut reading = Tasks::new();
    // A task of its own: a number that was half read would be lost if something else was faster.
    reading.spawn("questions", async move {
        let mut questions = Questions::new(connection);
        while let Ok(Some(number)) = questions.next().await {
            if numbers.send(number).await.is_err() {
                return;
            }
        }
    });
    let mut dialling = Tasks::new();
    loop {
        tokio::select! {
            number = asked.recv() => {
                let Some(number) = number else { return };
                let dialer = ways.borrow().dialer.clone();
                dialling.spawn("stream", dial(dialer, number, streams.clone()));
            }
            Some(_) = dialling.next() => {}
        }
    }
}

async fn dial(dialer: Dialer, number: u64, streams: mpsc::Sender<Stream>) {
    match dialer.upgrade(&format!("{TUNNEL_PATH}/{number}"), PROTOCOL).await {
        Ok(stream) => drop(streams.send(stream).await),
        Err(error) => warn!(%error, "cannot bring the stream that the server asked for"),
    }
}
