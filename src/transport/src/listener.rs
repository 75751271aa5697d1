//! The accepting end: TCP, TLS, HTTP, and a drain.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::{debug, warn};

use crate::activity::{Activity, Used};
use crate::keepalive;
use crate::tls::{self, Certificate};

/// Connections open at once. The next ones wait in the kernel's backlog.
const MOST_CONNECTIONS: usize = 2048;
/// A peer gets this long for its handshake, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection over which nobody asks anything is closed after this long, as upstream.
const IDLE: Duration = Duration::from_secs(90);
/// Streams of one HTTP/2 connection: a node's watches and requests share one. Each can make us hold a window of its request
/// and a chunk of its answer.
const MOST_STREAMS: u32 = 250;
/// Streams that are reset before they were looked at: a peer that only opens and resets is cut off.
const MOST_RESETS: usize = 20;
/// What a peer may send ahead on one stream, and on all streams of a connection: most objects fit into the first.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What waits to be sent on one stream: a slow reader holds no more.
const MOST_UNSENT: usize = 128 * 1024;
/// The head of a request: a token, a certificate's worth of impersonation, a long query.
const LARGEST_HEAD: u32 = 64 * 1024;
/// After an accept that failed for want of descriptors or memory.
const BREATH: Duration = Duration::from_millis(100);

/// Who is at the other end: an extension of each request.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// The certificate that was shown, already found good; `None` if none was.
    pub certificate: Option<Arc<CertificateDer<'static>>>,
}

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
        let peer = Peer { address, certificate };
        let activity = Activity::new();
        let service = Tended { service, peer, activity: activity.clone() };
        let http = http();
        let connection = http
            .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service))
            .into_owned();
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = until_asked(&stopping, &activity) => {
                // What is under way is finished, and nothing new begun.
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(%address, %error, "connection ended");
        }
    }
}

/// Ends when the connection should: the server stops, or nobody uses it.
async fn until_asked(stopping: &CancellationToken, activity: &Activity) {
    tokio::select! {
        () = stopping.cancelled() => {}
        () = activity.idle_for(IDLE) => {}
    }
}

/// A service that knows its peer, and whose use is noted.
#[derive(Clone)]
struct Tended<S> {
    service: S,
    peer: Peer,
    activity: Activity,
}

impl<S, B> Service<Request<Incoming>> for Tended<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<Used<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let in_use = self.activity.begin();
        request.extensions_mut().insert(self.peer.clone());
        let answer = self.service.call(request);
        Box::pin(async move { Ok(answer.await?.map(|body| Used::new(body, in_use))) })
    }
}

fn http() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(LARGEST_HEAD as usize);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_pending_accept_reset_streams(MOST_RESETS)
        .max_local_error_reset_streams(MOST_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MOST_UNSENT)
        .max_header_list_size(LARGEST_HEAD);
    http
}
