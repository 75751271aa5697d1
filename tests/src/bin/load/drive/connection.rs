//! Connections to the server of this machine, as its administrator, with his client certificate.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Body;

const KUBECONFIG: &str = "/etc/skiff/kubeconfig.yaml";
/// As large as the windows of Go's HTTP/2 client.
const WINDOW: u32 = 4 << 20;

/// How to reach the server.
pub(super) struct Cluster {
    address: String,
    tls: ClientConfig,
}

impl Cluster {
    pub(super) fn of_this_machine() -> Result<Self> {
        let config = std::fs::read(KUBECONFIG).with_context(|| format!("reading {KUBECONFIG}"))?;
        let config: Value = serde_json::from_slice(&config)?;
        let (cluster, user) = (&config["clusters"][0]["cluster"], &config["users"][0]["user"]);
        let address = cluster["server"].as_str().and_then(|server| server.strip_prefix("https://"));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&data(cluster, "certificate-authority-data")?)?)?;
        let chain = vec![CertificateDer::from_pem_slice(&data(user, "client-certificate-data")?)?];
        let key = PrivateKeyDer::from_pem_slice(&data(user, "client-key-data")?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let tls = tls.with_root_certificates(roots).with_client_auth_cert(chain, key)?;
        Ok(Self { address: address.context("the kubeconfig names no server")?.to_owned(), tls })
    }

    /// A connection in HTTP/1.1, kept alive.
    pub(super) async fn connect(&self) -> Result<Connection> {
        let io = TokioIo::new(self.dial(b"http/1.1").await?);
        let (sender, connection) = http1::handshake(io).await?;
        Ok(Connection { sender, work: work(connection) })
    }

    /// A connection in HTTP/2, for many requests at once.
    pub(super) async fn connect_shared(&self) -> Result<Shared> {
        let io = TokioIo::new(self.dial(b"h2").await?);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(WINDOW).initial_connection_window_size(1 << 30);
        let (sender, connection) = builder.handshake(io).await?;
        Ok(Shared { sender, _work: work(connection) })
    }

    async fn dial(&self, protocol: &[u8]) -> Result<TlsStream<TcpStream>> {
        let mut tls = self.tls.clone();
        tls.alpn_protocols = vec![protocol.to_vec()];
        let (host, _) = self.address.rsplit_once(':').context("the server's address has no port")?;
        let name = ServerName::try_from(host.to_owned())?;
        let tcp = TcpStream::connect(&self.address).await?;
        tcp.set_nodelay(true)?;
        Ok(TlsConnector::from(Arc::new(tls)).connect(name, tcp).await?)
    }
}

fn data(of: &Value, name: &str) -> Result<Vec<u8>> {
    let encoded = of[name].as_str().with_context(|| format!("the kubeconfig has no {name}"))?;
    STANDARD.decode(encoded).with_context(|| format!("{name} is not base64"))
}

fn work(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> JoinSet<hyper::Result<()>> {
    let mut work = JoinSet::new();
    work.spawn(connection);
    work
}

/// One request at a time.
pub(super) struct Connection {
    sender: http1::SendRequest<Body>,
    work: JoinSet<hyper::Result<()>>,
}

impl Connection {
    /// Sends it, and lets all of the answer go by.
    pub(super) async fn send(&mut self, request: Request<Body>) -> Result<StatusCode> {
        let answer = self.begin(request).await?;
        let code = answer.status();
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(code)
    }

    /// Sends it, and gives the answer.
    pub(super) async fn read(&mut self, request: Request<Body>) -> Result<Bytes> {
        Ok(self.begin(request).await?.into_body().collect().await?.to_bytes())
    }

    async fn begin(&mut self, request: Request<Body>) -> Result<Response<Incoming>> {
        self.sender.ready().await?;
        match self.sender.send_request(request).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(anyhow!("{error}; the connection: {:?}", self.work.join_next().await)),
        }
    }
}

/// Many requests at once. Ends when it is dropped.
pub(super) struct Shared {
    sender: http2::SendRequest<Body>,
    _work: JoinSet<hyper::Result<()>>,
}

impl Shared {
    /// Sends it, and gives what comes of the answer as it comes.
    pub(super) async fn open(&self, request: Request<Body>) -> Result<Incoming> {
        let mut sender = self.sender.clone();
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        Ok(answer.into_body())
    }
}
