//! The accepting end: TCP, TLS, and a drain. What is said over a connection is [`conversation`]'s.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::{debug, warn};

use crate::conversation::{self, PATIENCE, Peer};
use crate::keepalive;
use crate::tls::{self, Certificate};

/// Connections open at once. The next ones wait in the kernel's backlog.
const MOST_CONNECTIONS: usize = 2048;
/// After an accept that failed for want of descriptors or memory.
const BREATH: Duration = Duration::from_millis(100);

/// A bound socket that will speak HTTPS.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    tls: Arc<ServerConfig>,
}

impl Listener {
    /// Takes connections on `tcp`, as `certificate`, from anyone and knowing those with a certificate of
    /// `client_authority`.
    pub fn new(
        tcp: TcpListener,
        certificate: Certificate,
        client_authority: &str,
    ) -> Result<Self, tls::Error> {
        Ok(Self { tcp, tls: tls::server(certificate, client_authority)? })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until `shutdown`, then finishes what is under way, for no longer than `drain`.
    pub async fn serve<S, B>(self, service: S, shutdown: impl Future<Output = ()>, drain: Duration)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let acceptor = TlsAcceptor::from(self.tls);
        let stopping = CancellationToken::new();
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                (stream, address, room) = accept(&self.tcp, &room) => {
                    let connection = Connection { stream, address, _room: room };
                    connections.spawn(connection.serve(acceptor.clone(), service.clone(), stopping.clone()));
                }
                Some(_) = connections.join_next() => {}
            }
        }
        drop(self.tcp);
        stopping.cancel();
        let ended = async { while connections.join_next().await.is_some() {} };
        if timeout(drain, ended).await.is_err() {
            debug!(left = connections.len(), "the drain is over, closing what is left");
        }
    }
}

/// The next connection, once there is room for it. An accept that fails is tried again after a breath.
async fn accept(tcp: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let room = room.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match tcp.accept().await {
            Ok((stream, address)) => return (stream, address, room),
            // Of that connection alone: it was reset before we came to it.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                warn!(%error, "cannot accept connections, trying again");
                sleep(BREATH).await;
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    _room: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve<S, B>(self, acceptor: TlsAcceptor, service: S, stopping: CancellationToken)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let address = self.address;
        if let Err(error) = keepalive::set(&self.stream) {
            debug!(%address, %error, "cannot set keep-alive");
        }
        let stream = match timeout(PATIENCE, acceptor.accept(self.stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return debug!(%address, %error, "TLS handshake failed"),
            Err(_) => return debug!(%address, "TLS handshake took too long"),
        };
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = shown.map(|certificate| Arc::new(certificate.clone().into_owned()));
        conversation::hold(stream, Peer { address, certificate }, service, &stopping).await;
    }
}
