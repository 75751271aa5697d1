//! Streams to nodes, opened from the node's side: a server may not be able to dial its nodes, which sit behind NAT.
//!
//! A node keeps one connection to its server open, on which nothing is said until it is needed. When the server wants to
//! speak to the node it says a number there, one to a line; the node dials the server once more with that number, and both have
//! a plain stream. So no stream waits for another one's data, and the bytes of a `kubectl cp` are copied once at each end.
//!
//! ```text
//! node ── GET /…/tunnel,   Upgrade ──▶ server    kept open; says "17\n" when somebody wants the node
//! node ── GET /…/tunnel/17, Upgrade ──▶ server    is the stream that was asked for
//! ```
//!
//! A node in the server's own process is one too: it is handed one end of a pipe in memory.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf, duplex,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// What both ends say they upgrade to.
pub const PROTOCOL: &str = "skiff-tunnel";
/// A node that was asked for a stream dials for no longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Streams that are asked for and not yet dialled, for each node. More wait.
const MOST_ASKED: usize = 64;
/// What a pipe within the process holds before its writer waits.
const PIPE: usize = 32 * 1024;

/// Both directions of one conversation.
pub struct Stream(Pin<Box<dyn Duplex>>);

trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<S: AsyncRead + AsyncWrite + Send> Duplex for S {}

impl Stream {
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }
}

/// The server's end: the nodes that can be spoken to. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tunnels(Arc<Mutex<Nodes>>);

#[derive(Debug, Default)]
struct Nodes {
    ways: HashMap<String, Way>,
    /// Streams that were asked for, by their number, with the node that may bring them.
    asked: HashMap<u64, (String, oneshot::Sender<Stream>)>,
    last: u64,
}

/// How a node is reached. Numbered, so that the end of an old connection does not end the one that followed it.
#[derive(Debug)]
struct Way {
    number: u64,
    reach: Reach,
}

#[derive(Clone, Debug)]
enum Reach {
    Asked(mpsc::Sender<u64>),
    Here(mpsc::Sender<Stream>),
}

impl Tunnels {
    /// A new stream to a node.
    pub async fn connect(&self, node: &str) -> io::Result<Stream> {
        let reach = self.lock().ways.get(node).map(|way| way.reach.clone());
        let stream = match reach {
            Some(Reach::Here(streams)) => {
                let (ours, theirs) = duplex(PIPE);
                streams.send(Stream::new(theirs)).await.ok().map(|()| Stream::new(ours))
            }
            Some(Reach::Asked(numbers)) => self.dialled(node, numbers).await?,
            None => None,
        };
        stream.ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotConnected, format!("node {node} is not connected"))
        })
    }

    /// Asks a node for a stream and waits for it; none if the node goes away meanwhile.
    async fn dialled(&self, node: &str, numbers: mpsc::Sender<u64>) -> io::Result<Option<Stream>> {
        let (number, stream) = self.ask(node);
        let _asked = Asked { tunnels: self.clone(), number };
        if numbers.send(number).await.is_err() {
            return Ok(None);
        }
        Ok(timeout(PATIENCE, stream).await?.ok())
    }

    fn ask(&self, node: &str) -> (u64, oneshot::Receiver<Stream>) {
        let (sender, receiver) = oneshot::channel();
        let mut nodes = self.lock();
        nodes.last += 1;
        let number = nodes.last;
        nodes.asked.insert(number, (node.to_owned(), sender));
        (number, receiver)
    }

    /// Speaks with a node over the connection that it keeps open, until either end closes it.
    pub async fn keep(&self, node: &str, connection: impl AsyncRead + AsyncWrite + Send) -> io::Result<()> {
        let (sender, mut numbers) = mpsc::channel(MOST_ASKED);
        let _way = self.open(node, Reach::Asked(sender));
        let (mut from, mut to) = tokio::io::split(connection);
        let mut nothing = [0; 1];
        loop {
            tokio::select! {
                number = numbers.recv() => {
                    let Some(number) = number else { return Ok(()) };
                    to.write_all(format!("{number}\n").as_bytes()).await?;
                    to.flush().await?;
                }
                // A node says nothing here: the connection ended, or it is none of ours.
                read = from.read(&mut nothing) => return read.map(drop),
            }
        }
    }

    /// Takes the stream that a node was asked for by this number. Not told by anything but the number who asked for it.
    pub fn bring(&self, node: &str, number: u64, stream: Stream) -> Result<(), NotAsked> {
        let mut nodes = self.lock();
        if nodes.asked.get(&number).is_none_or(|(asked, _)| asked != node) {
            return Err(NotAsked);
        }
        let (_, sender) = nodes.asked.remove(&number).ok_or(NotAsked)?;
        sender.send(stream).map_err(|_| NotAsked)
    }

    /// Streams to a node in this process, until what is returned is dropped.
    pub fn here(&self, node: &str) -> Here {
        let (sender, streams) = mpsc::channel(MOST_ASKED);
        Here { _way: self.open(node, Reach::Here(sender)), streams }
    }

    fn open(&self, node: &str, reach: Reach) -> Open {
        let mut nodes = self.lock();
        nodes.last += 1;
        let number = nodes.last;
        nodes.ways.insert(node.to_owned(), Way { number, reach });
        Open { tunnels: self.clone(), node: node.to_owned(), number }
    }

    fn lock(&self) -> MutexGuard<'_, Nodes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("nobody asked for this stream, or nobody waits for it any more")]
pub struct NotAsked;

/// A stream that was asked for and is given up when this is dropped.
struct Asked {
    tunnels: Tunnels,
    number: u64,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.tunnels.lock().asked.remove(&self.number);
    }
}

/// A node is reachable while this lives.
#[derive(Debug)]
struct Open {
    tunnels: Tunnels,
    node: String,
    number: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut nodes = self.tunnels.lock();
        if nodes.ways.get(&self.node).is_some_and(|way| way.number == self.number) {
            nodes.ways.remove(&self.node);
        }
    }
}

/// The node's end within the server's process.
#[derive(Debug)]
pub struct Here {
    _way: Open,
    streams: mpsc::Receiver<Stream>,
}

impl Here {
    /// The next stream. Pends for good when nobody can ask any more.
    pub async fn next(&mut self) -> Stream {
        match self.streams.recv().await {
            Some(stream) => stream,
            None => std::future::pending().await,
        }
    }
}

/// The node's end of the connection that it keeps open: the numbers it is asked for.
#[derive(Debug)]
pub struct Questions<S>(BufReader<S>);

impl<S: AsyncRead + Unpin> Questions<S> {
    pub fn new(connection: S) -> Self {
        Self(BufReader::new(connection))
    }

    /// The next stream to dial for; none when the server closed the connection.
    pub async fn next(&mut self) -> io::Result<Option<u64>> {
        let mut line = String::new();
        // A number has at most twenty digits.
        if (&mut self.0).take(32).read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let wrong =
            |_| io::Error::new(io::ErrorKind::InvalidData, format!("the server asks for stream {line:?}"));
        line.trim_end().parse().map(Some).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo(mut stream: Stream) {
        let (mut from, mut to) = tokio::io::split(&mut stream);
        tokio::io::copy(&mut from, &mut to).await.unwrap();
        to.shutdown().await.unwrap();
    }

    async fn ask(stream: &mut Stream, text: &str) -> String {
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// A node over a connection in memory: dials whatever it is asked for, until it has been asked `times`.
    async fn node(tunnels: &Tunnels, connection: tokio::io::DuplexStream, times: usize) -> Vec<Stream> {
        let mut questions = Questions::new(connection);
        let mut dialled = Vec::new();
        while dialled.len() < times {
            let number = questions.next().await.unwrap().unwrap();
            let (ours, theirs) = duplex(64);
            tunnels.bring("a", number, Stream::new(theirs)).unwrap();
            dialled.push(Stream::new(ours));
        }
        dialled
    }

    #[tokio::test]
    async fn a_node_dials_for_each_stream_it_is_asked_for() {
        let tunnels = Tunnels::default();
        let (ours, theirs) = duplex(64);
        let speak = async {
            // What keeps the connection is polled first and has opened it.
            let mut first = tunnels.connect("a").await.unwrap();
            let mut second = tunnels.connect("a").await.unwrap();
            (ask(&mut second, "two").await, ask(&mut first, "one").await)
        };
        let dial = async {
            let mut dialled = node(&tunnels, theirs, 2).await.into_iter();
            let (first, second) = (dialled.next().unwrap(), dialled.next().unwrap());
            tokio::join!(echo(first), echo(second));
        };
        let (kept, (), spoken) = tokio::join!(biased; tunnels.keep("a", ours), dial, speak);
        kept.unwrap();
        assert_eq!(spoken, ("two".into(), "one".into()));
        assert_eq!(tunnels.connect("a").await.unwrap_err().kind(), io::ErrorKind::NotConnected);
    }

    #[tokio::test]
    async fn a_node_of_this_process_is_reached_through_memory() {
        let tunnels = Tunnels::default();
        let mut here = tunnels.here("a");
        let speak = async { ask(&mut tunnels.connect("a").await.unwrap(), "hello").await };
        let (answer, ()) = tokio::join!(speak, async { echo(here.next().await).await });
        assert_eq!(answer, "hello");
        drop(here);
        assert_eq!(tunnels.connect("a").await.unwrap_err().kind(), io::ErrorKind::NotConnected);
    }

    #[tokio::test]
    async fn only_the_node_that_was_asked_brings_the_stream() {
        let tunnels = Tunnels::default();
        let (number, waiting) = tunnels.ask("a");
        let stream = || Stream::new(duplex(1).0);
        assert!(tunnels.bring("b", number, stream()).is_err());
        assert!(tunnels.bring("a", number + 1, stream()).is_err());
        tunnels.bring("a", number, stream()).unwrap();
        assert!(waiting.await.is_ok());
        assert!(tunnels.bring("a", number, stream()).is_err(), "once");
    }

    #[tokio::test]
    async fn the_end_of_an_old_connection_leaves_the_new_one() {
        let tunnels = Tunnels::default();
        let old = tunnels.here("a");
        let mut new = tunnels.here("a");
        drop(old);
        let (connected, _) = tokio::join!(tunnels.connect("a"), new.next());
        assert!(connected.is_ok());
    }
}
