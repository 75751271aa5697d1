//! The API server: what it is made of, how it begins and ends, and what every answer has. [`pipeline`] is the path of a request,
//! [`routes`] what does it.

mod pipeline;
mod routes;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use store::Store;
use task::Carrier;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::debug;
use transport::tunnel::Tunnels;

use crate::answer::{self, Answer};
use crate::audit::{Audit, Record};
use crate::authenticate::Authenticator;
use crate::authorize::Authorizer;
use crate::body::{self, Body, Incoming};
use crate::certificates::Certificates;
use crate::issuer::Issuer;
use crate::load::{self, Bodies, Turns};
use crate::metrics::Metrics;
use crate::request::Envelope;
use crate::{compress, verb};

/// What changes must not be answered from a copy.
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-cache, private");

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// The API server over a store. A `tower` service, for the listener and for the components of this process alike.
#[derive(Clone, Debug)]
pub struct ApiServer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    issuer: Arc<Issuer>,
    authenticator: Authenticator,
    authorizer: Arc<Authorizer>,
    tunnels: Tunnels,
    streams: Carrier,
    metrics: Arc<Metrics>,
    turns: Arc<Turns>,
    bodies: Bodies,
    leaving: CancellationToken,
    audit: Option<Audit>,
}

impl ApiServer {
    pub fn new(store: Store, issuer: Issuer) -> Self {
        Self::audited(store, issuer, None)
    }

    /// One that keeps a log of what is asked.
    pub fn audited(store: Store, issuer: Issuer, audit: Option<Audit>) -> Self {
        let issuer = Arc::new(issuer);
        Self(Arc::new(Shared {
            authenticator: Authenticator {
                store: store.clone(),
                issuer: issuer.clone(),
                certificates: Certificates::default(),
            },
            issuer,
            authorizer: Arc::new(Authorizer::new(store.clone())),
            tunnels: Tunnels::default(),
            streams: Carrier::default(),
            metrics: Arc::default(),
            turns: load::places(),
            bodies: Bodies::default(),
            leaving: CancellationToken::new(),
            audit,
            store,
        }))
    }

    /// The ways to the nodes: whoever takes their connections opens them here.
    pub fn tunnels(&self) -> &Tunnels {
        &self.0.tunnels
    }

    /// What the server does beside answering: keeps access rights current, carries streams to nodes. Ends with the store.
    pub async fn run(&self) {
        tokio::select! {
            () = self.0.authorizer.follow() => {}
            () = self.0.streams.run() => {}
        }
    }

    /// Makes access rights that were just written count now, rather than when [`ApiServer::run`] hears of them.
    pub fn read_access_rights(&self) {
        self.0.authorizer.read_again();
    }

    /// From here on the server is not ready, and the streams of clients elsewhere end: it is about to stop.
    pub fn leave(&self) {
        self.0.leaving.cancel();
    }

    /// Waits until the audit log holds what was asked so far.
    pub async fn finish_audit(&self) {
        if let Some(audit) = &self.0.audit {
            audit.flush().await;
        }
    }

    async fn answer<B: Incoming>(&self, request: http::Request<B>) -> Answer {
        let (parts, body) = request.into_parts();
        let (envelope, id) = (Envelope::of(&parts), audit_id(&parts.headers));
        let (form, outside, is_long) = (envelope.form, envelope.outside, envelope.is_long());
        let mut record = self.0.audit.as_ref().map(|audit| Record::begin(audit, &id, &parts, &envelope));
        let reads_gzip = compress::is_wanted(&parts.headers);
        let result = self.0.in_time(parts, body, envelope, record.as_mut()).await;
        if let Some(record) = &mut record {
            record.comes_to(&result);
        }
        let mut answer = match result {
            Ok(answer) => answer,
            Err(status) => {
                debug!(audit = id, code = status.code, message = status.message, "refused");
                form.whole(answer::failure(&status)).await
            }
        };
        let headers = answer.headers_mut();
        headers.entry(header::CACHE_CONTROL).or_insert(NOT_KEPT);
        headers.extend(HeaderValue::from_str(&id).ok().map(|id| (AUDIT_ID, id)));
        let answer = match (is_long, outside) {
            (true, true) => answer.map(|body| body::until(body, self.0.leaving.clone().cancelled_owned())),
            (true, false) => answer,
            (false, _) if reads_gzip => compress::compressed(answer).await,
            (false, _) => answer,
        };
        match record {
            Some(record) if is_long => record.goes_on(answer),
            _ => answer,
        }
    }
}

/// By which the log and the answer name a request: what its client says, or what nobody else has.
fn audit_id(headers: &HeaderMap) -> String {
    let said = headers.get(AUDIT_ID).and_then(|id| id.to_str().ok());
    said.filter(|id| (1..=64).contains(&id.len())).map_or_else(verb::uid, Into::into)
}

impl<B: Incoming> Service<http::Request<B>> for ApiServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move { Ok(server.answer(request).await) })
    }
}
