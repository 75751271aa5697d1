//! The calling end: one pool of connections to one kind of peer.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use http_body::Body;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as CallError};
use hyper_util::rt::TokioExecutor;
use tower::Service;

use crate::keepalive;
use crate::tls::{self, Certificate};

pub type Request<B> = http::Request<B>;

/// Sends requests over HTTPS, on HTTP/2 where the peer speaks it: all watches of an agent share one connection.
///
/// Requests name their server in full (`https://10.0.0.1:6443/api`).
#[derive(Debug)]
pub struct Connector<B>(Client<HttpsConnector<HttpConnector>, B>);

/// The same pool, whatever bodies are.
impl<B> Clone for Connector<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B> Connector<B>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static,
{
    /// Trusts `authority` alone; shows `certificate` if there is one.
    pub fn new(authority: &str, certificate: Option<Certificate>) -> Result<Self, tls::Error> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(keepalive::IDLE));
        tcp.set_keepalive_interval(Some(keepalive::INTERVAL));
        tcp.set_keepalive_retries(Some(keepalive::RETRIES));
        tcp.set_tcp_user_timeout(Some(keepalive::UNACKNOWLEDGED));
        tcp.set_connect_timeout(Some(keepalive::INTERVAL));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client(authority, certificate)?)
            .https_only()
            .enable_all_versions()
            .wrap_connector(tcp);
        Ok(Self(Client::builder(TokioExecutor::new()).build(https)))
    }
}

impl<B> Service<Request<B>> for Connector<B>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static,
{
    type Response = Response<Incoming>;
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(self.0.request(request))
    }
}
