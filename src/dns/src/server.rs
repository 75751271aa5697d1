//! The sockets: UDP for almost everything, TCP for what is too long.
//!
//! What we know is answered where it is read. What others must be asked runs beside it, so many at a time: of more questions by
//! UDP the newest are dropped, for their askers ask again; TCP connections beyond their number wait to be accepted.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::Caches;
use ipnet::IpNet;
use socket2::{Domain, Protocol, Socket, Type};
use task::{Backoff, Tasks};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;

use crate::forward::Forwarder;
use crate::message::Transport;
use crate::resolver::{Resolver, Step};
use crate::upstream;
use crate::zone::Zone;

/// Questions by UDP that wait for others' answers.
const WAITING: usize = 1024;
const CONNECTIONS: usize = 64;
/// How long a connection may say nothing.
const IDLE: Duration = Duration::from_secs(10);
const BACKLOG: i32 = 128;

#[derive(Clone, Debug)]
pub struct Config {
    /// `cluster.local`
    pub domain: String,
    /// The networks of pods and Services: their addresses are asked of nobody else.
    pub cluster_cidrs: Vec<IpNet>,
    /// Where to answer. An address that the machine does not have yet will do.
    pub listen: Vec<SocketAddr>,
    /// Where the node names its resolvers: `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("answer DNS on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
}

/// A DNS server that is bound and answers nobody yet.
#[derive(Debug)]
pub struct Dns {
    resolver: Arc<Resolver>,
    sockets: Vec<(UdpSocket, TcpListener)>,
    resolv_conf: PathBuf,
    ourselves: Vec<IpAddr>,
    upstreams: watch::Sender<Vec<SocketAddr>>,
}

impl Dns {
    /// Must be called on a tokio runtime.
    pub fn new(config: Config, caches: &Caches) -> Result<Self, Error> {
        let bind = |address: &SocketAddr| {
            sockets(*address).map_err(|source| Error::Listen { address: *address, source })
        };
        let sockets = config.listen.iter().map(bind).collect::<Result<_, _>>()?;
        let ourselves: Vec<IpAddr> = config.listen.iter().map(SocketAddr::ip).collect();
        let upstreams = watch::Sender::new(upstream::read(&config.resolv_conf, &ourselves));
        let zone = Zone::new(&config.domain, config.cluster_cidrs, ourselves.clone(), caches);
        let resolver = Arc::new(Resolver { zone, forwarder: Forwarder::new(upstreams.subscribe()) });
        Ok(Self { resolver, sockets, resolv_conf: config.resolv_conf, ourselves, upstreams })
    }

    /// Where it answers: the same as asked for, but for ports left to the system.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|(udp, _)| udp.local_addr().ok()).collect()
    }

    /// Answers for ever.
    pub async fn run(self) {
        let mut tasks = Tasks::new();
        let resolver = self.resolver.clone();
        tasks.spawn("names of the cluster", async move { resolver.zone.fill().await });
        let changes = self.upstreams.subscribe();
        tasks.spawn("resolvers", forget_the_old(self.resolver.clone(), changes));
        tasks.spawn("resolv.conf", upstream::follow(self.resolv_conf, self.ourselves, self.upstreams));
        for (udp, tcp) in self.sockets {
            tasks.spawn("DNS by UDP", by_udp(self.resolver.clone(), udp));
            tasks.spawn("DNS by TCP", by_tcp(self.resolver.clone(), tcp));
        }
        while tasks.next().await.is_some() {}
    }
}

/// UDP and TCP on the same port, whichever it is.
fn sockets(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let udp = socket(address, Type::DGRAM, Protocol::UDP)?;
    let address = udp.local_addr()?.as_socket().unwrap_or(address);
    let tcp = socket(address, Type::STREAM, Protocol::TCP)?;
    tcp.listen(BACKLOG)?;
    Ok((UdpSocket::from_std(udp.into())?, TcpListener::from_std(tcp.into())?))
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    // The address may be given to the machine after us.
    if address.is_ipv4() {
        socket.set_freebind_v4(true)?;
    } else {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    }
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// A resolver of another network may know other names.
async fn forget_the_old(resolver: Arc<Resolver>, mut upstreams: watch::Receiver<Vec<SocketAddr>>) {
    while upstreams.changed().await.is_ok() {
        resolver.forwarder.forget();
    }
}

async fn by_udp(resolver: Arc<Resolver>, socket: UdpSocket) {
    let socket = Arc::new(socket);
    let mut waiting = Tasks::new();
    let mut buffer = vec![0; usize::from(u16::MAX)];
    let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            Some(_) = waiting.next() => continue,
        };
        let (length, asker) = match received {
            Ok(received) => received,
            Err(error) => {
                debug!(%error, "cannot receive a question");
                backoff.wait().await;
                continue;
            }
        };
        backoff.reset();
        match resolver.begin(&buffer[..length], asker.ip(), Transport::Udp) {
            Step::Answer(answer) => send(&socket, asker, &answer).await,
            Step::Ask(pending) if waiting.len() < WAITING => {
                let (resolver, socket) = (resolver.clone(), socket.clone());
                waiting.spawn("question", async move {
                    let answer = resolver.finish(&pending).await;
                    send(&socket, asker, &answer).await;
                });
            }
            Step::Ask(_) => debug!(%asker, "too many questions wait, one is dropped"),
            Step::Silence => {}
        }
    }
}

/// The asker who does not hear us asks again.
async fn send(socket: &UdpSocket, asker: SocketAddr, answer: &[u8]) {
    if let Err(error) = socket.send_to(answer, asker).await {
        debug!(%asker, %error, "cannot send an answer");
    }
}

async fn by_tcp(resolver: Arc<Resolver>, listener: TcpListener) {
    let mut connections = Tasks::new();
    let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => accepted,
            Some(_) = connections.next() => continue,
        };
        match accepted {
            Ok((stream, asker)) => {
                backoff.reset();
                connections.spawn("connection", converse(resolver.clone(), stream, asker));
            }
            Err(error) => {
                debug!(%error, "cannot accept a connection");
                backoff.wait().await;
            }
        }
    }
}

/// Question by question, until the other side has no more or says nothing for too long.
async fn converse(resolver: Arc<Resolver>, mut stream: TcpStream, asker: SocketAddr) {
    while let Ok(Ok(question)) = timeout(IDLE, read(&mut stream)).await {
        let answer = match resolver.begin(&question, asker.ip(), Transport::Tcp) {
            Step::Answer(answer) => answer,
            Step::Ask(pending) => resolver.finish(&pending).await,
            Step::Silence => return,
        };
        match timeout(IDLE, write(&mut stream, &answer)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return debug!(%asker, %error, "cannot send an answer"),
            Err(_) => return,
        }
    }
}

async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut question = vec![0; usize::from(length)];
    stream.read_exact(&mut question).await?;
    Ok(question)
}

async fn write(stream: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), answer].concat()).await
}
