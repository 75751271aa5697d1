//! How a node speaks to its server, in its own name: requests over one connection, streams over one each.
//!
//! Another certificate takes other connections. One that is open, and one that resumes its session, go on with the old certificate, and
//! the server refuses that when its time is over; what is under way on them ends there.

use anyhow::Context;
use client::Client;
use http::HeaderValue;
use http::header::USER_AGENT;
use kube::client::Body;
use tokio::sync::watch;
use tower::Service;
use transport::{Certificate, Connector, Dialer};

use super::PROGRAM;
use super::membership::Member;
use crate::config::ServerUrl;

/// With the certificate that is good now.
pub(super) type Ways = watch::Receiver<Way>;

#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) connector: Connector<Body>,
    pub(super) dialer: Dialer,
}

impl Way {
    pub(super) fn new(server: &ServerUrl, member: &Member) -> anyhow::Result<Self> {
        let certificate = Certificate::new(&member.identity).context("use the certificate of this node")?;
        Ok(Self {
            connector: Connector::new(&member.authority, Some(certificate.clone()))?,
            dialer: Dialer::new(&server.host, server.port, &member.authority, certificate)?,
        })
    }
}

/// A client of the API of another machine.
pub(super) fn client(server: &ServerUrl, ways: Ways) -> Client {
    let base = server.to_string();
    let service = tower::service_fn(move |mut request: http::Request<Body>| {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        // Both halves were addresses before they were joined; the old one, which fails, says it best if they are not.
        if let Ok(uri) = format!("{base}{path}").parse() {
            *request.uri_mut() = uri;
        }
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(PROGRAM));
        let mut connector = ways.borrow().connector.clone();
        connector.call(request)
    });
    kube::Client::new(service, "default").into()
}
