//! Both ends against each other over loopback, with certificates of a real authority.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failed step is a failed test; tasks end with it"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use pki::{Authority, Leaf};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tower::{Service, ServiceExt};
use transport::{Certificate, Connector, Listener, Peer};

type Client = Connector<Full<Bytes>>;

/// An authority and a server of it: `/who` tells the length of the caller's certificate, `/slow` answers when it is
/// released, and says when it has begun.
struct Server {
    authority: Authority,
    _folder: TempDir,
    certificate: Certificate,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    begun: Arc<Notify>,
    release: Arc<Notify>,
}

fn authority(name: &str) -> (TempDir, Authority) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path(), name, OffsetDateTime::now_utc()).unwrap();
    (folder, authority)
}

fn server_leaf() -> Leaf {
    Leaf::server("api", vec![], vec!["127.0.0.1".parse().unwrap()])
}

impl Server {
    async fn start(drain: Duration) -> Self {
        let (folder, authority) = authority("server");
        let identity = authority.issue(&server_leaf(), OffsetDateTime::now_utc()).unwrap();
        let certificate = Certificate::new(&identity).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = Listener::new(tcp, certificate.clone(), authority.certificate()).unwrap();
        let address = listener.address().unwrap();
        let (begun, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (stop, stopped) = oneshot::channel::<()>();
        let gates = (begun.clone(), release.clone());
        let service = tower::service_fn(move |request: Request<_>| answer(request, gates.clone()));
        let shutdown = async { stopped.await.unwrap_or_default() };
        let serving = tokio::spawn(listener.serve(service, shutdown, drain));
        Self { authority, _folder: folder, certificate, address, stop, serving, begun, release }
    }

    fn client(&self, user: Option<&str>) -> Client {
        let identity = user.map(|user| {
            let leaf = Leaf::client(user, Some("system:nodes"));
            Certificate::new(&self.authority.issue(&leaf, OffsetDateTime::now_utc()).unwrap()).unwrap()
        });
        Connector::new(self.authority.certificate(), identity).unwrap()
    }

    fn request(&self, path: &str) -> Request<Full<Bytes>> {
        Request::get(format!("https://{}{path}", self.address)).body(Full::default()).unwrap()
    }
}

async fn answer<B>(
    request: Request<B>,
    (begun, release): (Arc<Notify>, Arc<Notify>),
) -> Result<Response<Full<Bytes>>, Infallible> {
    let peer = request.extensions().get::<Peer>().unwrap();
    let shown = peer.certificate.as_ref().map_or(0, |certificate| certificate.len());
    if request.uri().path() == "/slow" {
        begun.notify_one();
        release.notified().await;
    }
    Ok(Response::new(Full::from(format!("{:?} {}", request.version(), shown > 0))))
}

async fn send(client: &Client, request: Request<Full<Bytes>>) -> Result<String, String> {
    let answer = client.clone().oneshot(request).await.map_err(|error| format!("{error:?}"))?;
    let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

#[tokio::test]
async fn a_caller_is_known_by_its_certificate_or_not_at_all() {
    let server = Server::start(Duration::ZERO).await;
    let known = send(&server.client(Some("system:node:a")), server.request("/who")).await;
    assert_eq!(known.as_deref(), Ok("HTTP/2.0 true"));
    let unknown = send(&server.client(None), server.request("/who")).await;
    assert_eq!(unknown.as_deref(), Ok("HTTP/2.0 false"));
}

#[tokio::test]
async fn a_certificate_of_another_authority_ends_the_handshake() {
    let server = Server::start(Duration::ZERO).await;
    let (_folder, other) = authority("other");
    let leaf = Leaf::client("system:node:a", Some("system:masters"));
    let forged = Certificate::new(&other.issue(&leaf, OffsetDateTime::now_utc()).unwrap()).unwrap();
    let client = Connector::new(server.authority.certificate(), Some(forged)).unwrap();
    assert!(send(&client, server.request("/who")).await.is_err());
    let trusting_another = Connector::new(other.certificate(), None).unwrap();
    assert!(send(&trusting_another, server.request("/who")).await.is_err());
}

#[tokio::test]
async fn a_new_certificate_serves_the_next_connection() {
    let server = Server::start(Duration::ZERO).await;
    let (_folder, next) = authority("next");
    let trusting_next: Client = Connector::new(next.certificate(), None).unwrap();
    assert!(send(&trusting_next, server.request("/who")).await.is_err());
    server.certificate.replace(&next.issue(&server_leaf(), OffsetDateTime::now_utc()).unwrap()).unwrap();
    assert!(send(&trusting_next, server.request("/who")).await.is_ok());
}

#[tokio::test]
async fn what_is_under_way_is_finished_and_nothing_new_begun() {
    let server = Server::start(Duration::from_secs(600)).await;
    let mut client = server.client(None);
    let slow = client.ready().await.unwrap().call(server.request("/slow"));
    let slow = tokio::spawn(slow);
    server.begun.notified().await;
    let next = server.request("/who");
    server.stop.send(()).unwrap();
    let address = server.address;
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let fresh: Client = Connector::new(server.authority.certificate(), None).unwrap();
    assert!(send(&fresh, next).await.is_err(), "the door is closed");
    server.release.notify_one();
    assert!(slow.await.unwrap().unwrap().status().is_success());
    server.serving.await.unwrap();
}

#[tokio::test]
async fn a_drain_has_an_end() {
    let server = Server::start(Duration::from_millis(1)).await;
    let slow = tokio::spawn(server.client(None).call(server.request("/slow")));
    server.begun.notified().await;
    server.stop.send(()).unwrap();
    server.serving.await.unwrap();
    assert!(slow.await.unwrap().is_err(), "nobody is left to answer");
}

#[tokio::test]
async fn noise_on_the_port_harms_nobody() {
    use tokio::io::AsyncWriteExt;
    let server = Server::start(Duration::ZERO).await;
    for noise in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 4096], &[]] {
        let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        stream.write_all(noise).await.unwrap();
    }
    assert!(send(&server.client(None), server.request("/who")).await.is_ok());
}

#[tokio::test]
async fn a_drain_waits_for_answers_and_not_for_idle_connections() {
    let server = Server::start(Duration::from_secs(600)).await;
    let client = server.client(None);
    assert!(send(&client, server.request("/who")).await.is_ok());
    server.stop.send(()).unwrap();
    server.serving.await.unwrap();
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_and_the_server_goes_on() {
    let server = Server::start(Duration::ZERO).await;
    let mut request = server.request("/who");
    request.headers_mut().insert("x-large", "x".repeat(128 * 1024).parse().unwrap());
    let refused = send(&server.client(None), request).await;
    assert!(
        refused.as_ref().is_err() || refused.as_ref().is_ok_and(|text| !text.contains("HTTP")),
        "{refused:?}"
    );
    assert!(send(&server.client(None), server.request("/who")).await.is_ok());
}
