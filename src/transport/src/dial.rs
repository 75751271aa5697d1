//! One connection of one's own to a server, for what is no request and answer: streams by `Upgrade`.

use std::io;
use std::sync::Arc;

use http::header::{CONNECTION, HOST, UPGRADE};
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

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
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), host: host.to_owned(), port })
    }

    /// A stream in `protocol`, which the server must agree to.
    pub async fn upgrade(&self, path: &str, protocol: &str) -> io::Result<Stream> {
        let request = Request::get(path)
            .header(HOST, &self.host)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, protocol)
            .body(Empty::<Bytes>::new())
            .map_err(io::Error::other)?;
        let connection = timeout(keepalive::INTERVAL, connect(&self.tls, &self.host, self.port)).await??;
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
}

pub(crate) async fn connect(tls: &TlsConnector, host: &str, port: u16) -> io::Result<TlsStream<TcpStream>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let tcp = TcpStream::connect((host, port)).await?;
    keepalive::set(&tcp)?;
    tls.connect(name, tcp).await
}
