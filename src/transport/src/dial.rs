//! One connection of one's own to a server, for what is no request and answer: streams by `Upgrade`.

use std::io;

use http::header::{CONNECTION, HOST, UPGRADE};
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::keepalive;
use crate::tls::{self, Certificate};
use crate::tunnel::Stream;

/// Dials one server, as one identity. Cheap to clone.
#[derive(Clone)]
pub struct Dialer {
    tls: TlsConnector,
    host: String,
    port: u16,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Dialer {
    pub fn new(host: &str, port: u16, authority: &str, certificate: Certificate) -> Result<Self, tls::Error> {
        let mut config = tls::client(authority, Some(certificate))?;
        // An upgrade is HTTP/1.1's.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), host, port })
    }

    /// A stream in `protocol`, which the server must agree to.
    pub async fn upgrade(&self, path: &str, protocol: &str) -> io::Result<Stream> {
        let request = Request::get(path)
            .header(HOST, &self.host)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, protocol)
            .body(Empty::<Bytes>::new())
            .map_err(io::Error::other)?;
        let connection = timeout(keepalive::INTERVAL, self.connect()).await??;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connection))
            .await
            .map_err(io::Error::other)?;
        let upgraded = async {
            let answer = sender.send_request(request).await.map_err(io::Error::other)?;
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                return Err(io::Error::other(format!("the server answered {} to {path}", answer.status())));
            }
            hyper::upgrade::on(answer).await.map_err(io::Error::other)
        };
        // HTTP is over when its stream is handed out, so both end together.
        let http = async { connection.with_upgrades().await.map_err(io::Error::other) };
        let ((), upgraded) = tokio::try_join!(http, upgraded)?;
        Ok(Stream::new(TokioIo::new(upgraded)))
    }

    async fn connect(&self) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        keepalive::set(&tcp)?;
        self.tls.connect(name, tcp).await
    }
}
