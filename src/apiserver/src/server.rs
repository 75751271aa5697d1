//! The path of a request: who, may they, what exactly, do it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use api::kinds::{Part, Verb};
use api::selector::FieldSelector;
use api::status::{self, Status};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use store::Store;
use task::Carrier;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::debug;
use transport::tunnel::Tunnels;

use crate::admit;
use crate::answer::{self, Answer};
use crate::audit::{Audit, Record};
use crate::authenticate::Authenticator;
use crate::authorize::{Access, Attempt, Authorizer};
use crate::body::{self, Body, Incoming};
use crate::certificates::Certificates;
use crate::form::{self, Form};
use crate::issuer::Issuer;
use crate::load::{self, Bodies, Place, Turns};
use crate::metrics::{Call, Metrics};
use crate::nodes::{self, Nodes};
use crate::request::options;
use crate::request::{self, Accept, Content, Envelope, Offer, Query, Request, Resource, Target};
use crate::user::User;
use crate::{
    compress, discovery, health, impersonate, openapi, paths, review, subresource, verb, version, view,
};

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

impl Shared {
    /// The answer, in the time that the client and the server have for it.
    async fn in_time<B: Incoming>(
        &self,
        parts: Parts,
        body: B,
        envelope: Envelope,
        record: Option<&mut Record>,
    ) -> Result<Answer, Status> {
        let limit = envelope.time_limit()?;
        let work = self.handle(parts, body, envelope, record);
        let Some(limit) = limit else { return work.await };
        let late = || Status::timeout("request did not complete within the allotted timeout", 0);
        timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
    }

    async fn handle<B: Incoming>(
        &self,
        parts: Parts,
        body: B,
        envelope: Envelope,
        mut record: Option<&mut Record>,
    ) -> Result<Answer, Status> {
        let Envelope { target, query, outside, form, .. } = envelope;
        let query = query?;
        // Whoever can connect may ask whether we live: probes have no credentials.
        if let Target::Health { endpoint, check } = &target {
            let answer = health::answer(endpoint, check.as_deref(), &query, self.leaving.is_cancelled())?;
            return Ok(answer.unwrap_or_else(no_such_page));
        }
        let user = self.authenticator.user(&parts.extensions, &parts.headers)?;
        if let Some(record) = record.as_deref_mut() {
            record.comes_from(&user);
        }
        let user = impersonate::user(user, &parts.headers, &self.authorizer)?;
        if let Some(record) = record.as_deref_mut() {
            record.acts_as(&user);
        }
        let Target::Resource(resource) = target else {
            self.check(&user, &Attempt::Path { verb: path_verb(&parts.method), path: parts.uri.path() })?;
            // The documents among these are the dearest answers that there are.
            let _place = self.place(outside, &user).await?;
            return Ok(form.whole(self.describe(&target, &query, &parts)?).await);
        };
        if nodes::answers(&resource) {
            let nodes = Nodes {
                store: &self.store,
                tunnels: &self.tunnels,
                authorizer: &self.authorizer,
                streams: &self.streams,
            };
            return nodes.answer(parts, body, resource, &user).await;
        }
        let protobuf = || form::has_protobuf(resource.kind);
        let watch = request::is_watch(&parts.method, &resource, &query);
        let wanted = Accept::of(&parts.headers, Offer { kind: Some(resource.kind), watch });
        let sent = Content::of(&parts.method, &parts.headers, protobuf);
        if wanted.is_err() || sent.is_err() {
            // Whoever may not ask this, or cannot, is told that first.
            self.check_asked(&user, &parts.method, &resource, &query)?;
        }
        let ((accept, form), (content, sent)) = (wanted?, sent?);
        let form = form.for_reader(&parts.headers, parts.uri.query().unwrap_or_default());
        let request = Request {
            accept: accept.carrying(&query)?,
            content,
            query,
            program: program(&parts.headers),
            method: parts.method,
            resource,
            view: None,
            body: Bytes::new(),
            user,
            rights: self.authorizer.clone(),
        };
        let running = self.metrics.begin(Call::of(&request));
        match self.serve(request, body, outside, sent, form, record).await {
            Ok(answer) => Ok(running.done(answer)),
            Err(status) => {
                running.failed(status.code);
                Err(status)
            }
        }
    }

    /// A request for objects, whose body was sent in one form and whose answer is wanted in another.
    async fn serve<B: Incoming>(
        &self,
        request: Request,
        body: B,
        outside: bool,
        sent: Form,
        form: Form,
        record: Option<&mut Record>,
    ) -> Result<Answer, Status> {
        self.check_asked(&request.user, &request.method, &request.resource, &request.query)?;
        options::check(&request)?;
        let (body, _room) = self.bodies.read(body, outside.then_some(&*request.user.name)).await?;
        let body = sent.read(request.kind(), body)?;
        if let Some(record) = record.filter(|_| request.verb() == "create") {
            record.names(name_in(&body));
        }
        let asked = request.kind();
        let request = Request { body, ..request }.of_stored()?;
        let (watch, view) = (request.verb() == "watch", request.view);
        admit::awaited(&self.store, &request).await;
        // Not before all that is waited for is there: who sends slowly must not hold a place for that.
        let _place = self.place(outside && !watch, &request.user).await?;
        let answer = self.act(request).await?;
        let answer = match view {
            Some(view) if watch => view::events(view, answer),
            Some(view) => view::shown(view, answer).await?,
            None => answer,
        };
        let mut answer = if watch { form.events(answer) } else { form.whole(answer).await };
        verb::write::warn(&mut answer, asked.deprecation_warning());
        Ok(answer)
    }

    /// A place for a request that needs one.
    async fn place(&self, needed: bool, user: &User) -> Result<Option<Place>, Status> {
        if needed { self.turns.take(&user.name).await.map(Some) } else { Ok(None) }
    }

    /// Whether the user may ask this of these objects, and whether anybody can.
    fn check_asked(
        &self,
        user: &User,
        method: &Method,
        resource: &Resource,
        query: &Query,
    ) -> Result<(), Status> {
        let verb = request::verb(method, resource, query);
        self.check(user, &attempt(verb, resource, &query.selection()?.fields))?;
        if resource.has_method(method) { Ok(()) } else { Err(Status::method_not_allowed()) }
    }

    fn check(&self, user: &User, attempt: &Attempt<'_>) -> Result<(), Status> {
        if self.authorizer.allows(user, attempt) {
            return Ok(());
        }
        let (subject, name) = match *attempt {
            Attempt::Resource(Access { group, resource, name, .. }) => {
                (status::Resource { group, name: resource }, name.unwrap_or_default())
            }
            Attempt::Path { .. } => (status::Resource { group: "", name: "" }, ""),
        };
        Err(Status::forbidden(subject, name, &attempt.refusal(user)))
    }

    async fn act(&self, request: Request) -> Result<Answer, Status> {
        let store = &self.store;
        let part = match request.resource.subresource_name() {
            None => Part::Main,
            Some("status") if request.kind().has_status() => Part::Status,
            Some("scale") if request.kind().subresource("scale").is_some() => {
                return match request.verb() {
                    "get" => verb::scale::get(store, &request),
                    "update" | "patch" => verb::scale::set(store, &request).await,
                    _ => Err(Status::method_not_allowed()),
                };
            }
            Some(name) => {
                let below = request.kind().subresource(name).ok_or_else(Status::no_such_resource)?;
                if !below.verbs.iter().any(|known| known.as_str() == request.verb()) {
                    return Err(Status::method_not_allowed());
                }
                if below.rules.is_none() {
                    return subresource::answer(store, &self.issuer, &request, below).await;
                }
                Part::Sub(below.name)
            }
        };
        match (request.verb(), part) {
            ("get", _) => verb::get::get(store, &request),
            ("update", part) => verb::update::update(store, &request, part).await,
            ("patch", part) if request.content == Content::ApplyPatch => {
                verb::apply::apply(store, &request, part).await
            }
            ("patch", part) => verb::patch::patch(store, &request, part).await,
            (_, Part::Status | Part::Sub(_)) => Err(Status::method_not_allowed()),
            (verb, Part::Main) => {
                self.allowed_by_kind(&request, verb)?;
                match verb {
                    "create" if review::answers(request.kind()) => {
                        review::answer(&self.authenticator, &request)
                    }
                    "create" if (request.kind().group, request.kind().kind) == ("", "Binding") => {
                        subresource::binding::create_named(store, &request).await
                    }
                    "list" => verb::list::list(store, &request),
                    "watch" => verb::watch::watch(store, &request),
                    "create" => verb::create::create(store, &request).await,
                    "delete" => verb::delete::delete(store, &request).await,
                    "deletecollection" => verb::delete::delete_collection(store, &request).await,
                    _ => Err(Status::method_not_allowed()),
                }
            }
        }
    }

    /// What is told about the server rather than about objects.
    fn describe(&self, target: &Target, query: &Query, parts: &Parts) -> Result<Answer, Status> {
        let read_only = matches!(target, Target::Discovery(_) | Target::Version | Target::Issuer(_));
        if read_only && parts.method != Method::GET {
            return Err(Status::method_not_allowed());
        }
        match target {
            Target::Discovery(what) => {
                Ok(discovery::answer(what, &parts.headers).unwrap_or_else(no_such_page))
            }
            Target::Version => Ok(answer::value(StatusCode::OK, &version::answer())),
            Target::Metrics => Ok(self.metrics.answer(&self.store, self.audit.as_ref())),
            Target::Issuer(document) => Ok(answer::value(StatusCode::OK, &self.issuer.tell(*document))),
            Target::OpenApi(path) => openapi::answer(path, query, &parts.headers),
            Target::Root => Ok(answer::value(StatusCode::OK, &paths::answer())),
            Target::Nothing => Err(Status::no_such_resource()),
            Target::Unknown | Target::Resource(_) | Target::Health { .. } => Ok(no_such_page()),
        }
    }

    fn allowed_by_kind(&self, request: &Request, verb: &str) -> Result<(), Status> {
        // Objects of a namespace are looked at across all of them, but made and deleted in one.
        let everywhere = request.kind().namespaced && request.namespace().is_none();
        if everywhere && !matches!(verb, "list" | "watch") {
            return Err(Status::method_not_allowed());
        }
        let known = request.kind().verbs.iter().copied().find(|known: &Verb| known.as_str() == verb);
        known.map(drop).ok_or_else(Status::method_not_allowed)
    }
}

/// What Go answers where nothing is served.
fn no_such_page() -> Answer {
    answer::plain(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// `kubectl/v1.36.0 (linux/amd64)` is the program `kubectl`.
fn program(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let name: String = agent.split('/').next().unwrap_or_default().chars().take(128).collect();
    if name.is_empty() { "unknown".into() } else { name }
}

/// The name that a client gives to a new object, where that is JSON.
fn name_in(body: &Bytes) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        metadata: Name,
    }
    #[derive(serde::Deserialize)]
    struct Name {
        name: Option<String>,
    }
    serde_json::from_slice(body).ok().and_then(|named: Named| named.metadata.name)
}

/// By which the log and the answer name a request: what its client says, or what nobody else has.
fn audit_id(headers: &HeaderMap) -> String {
    let said = headers.get(AUDIT_ID).and_then(|id| id.to_str().ok());
    said.filter(|id| (1..=64).contains(&id.len())).map_or_else(verb::uid, Into::into)
}

fn attempt<'a>(verb: &'a str, resource: &'a Resource, selected: &'a FieldSelector) -> Attempt<'a> {
    let kind = resource.kind;
    Attempt::Resource(Access {
        verb,
        group: kind.group,
        resource: kind.plural,
        subresource: resource.subresource_name(),
        // A namespace is an object of its own namespace, to access rights.
        namespace: match kind.kind {
            "Namespace" if kind.group.is_empty() => resource.name.as_deref(),
            _ => resource.namespace.as_deref(),
        },
        name: resource.name.as_deref().or_else(|| selected.exact("metadata.name")),
        node: selected.exact("spec.nodeName"),
    })
}

fn path_verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::HEAD => "head",
        _ => "get",
    }
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
