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
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use store::Store;
use task::Carrier;
use tower::Service;
use tracing::debug;
use transport::tunnel::Tunnels;

use crate::answer::{self, Answer};
use crate::authenticate::Authenticator;
use crate::authorize::{Access, Attempt, Authorizer};
use crate::body::{Body, Incoming};
use crate::certificates::Certificates;
use crate::form::{self, Form};
use crate::issuer::Issuer;
use crate::metrics::{Call, Metrics};
use crate::nodes::{self, Nodes};
use crate::request::{Accept, Content, Query, Request, Target};
use crate::user::User;
use crate::{discovery, health, impersonate, openapi, review, subresource, verb, version, view};

/// The largest body that is read, as upstream.
const LARGEST_BODY: usize = 3 << 20;

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
}

impl ApiServer {
    pub fn new(store: Store, issuer: Issuer) -> Self {
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

    async fn answer<B: Incoming>(&self, request: http::Request<B>) -> Answer {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let form = Form::of(request.headers());
        match self.0.handle(request).await {
            Ok(answer) => answer,
            Err(status) => {
                debug!(%method, %uri, code = status.code, message = status.message, "refused");
                form.whole(answer::failure(&status)).await
            }
        }
    }
}

impl Shared {
    async fn handle<B: Incoming>(&self, request: http::Request<B>) -> Result<Answer, Status> {
        let (parts, body) = request.into_parts();
        let target = Target::of(parts.uri.path());
        // Whoever can connect may ask whether we live: probes have no credentials.
        if let Target::Health { endpoint, check } = &target {
            return health::answer(endpoint, check.as_deref(), parts.uri.query().unwrap_or_default());
        }
        let user = self.authenticator.user(&parts.extensions, &parts.headers)?;
        let user = impersonate::user(user, &parts.headers, &self.authorizer)?;
        let Target::Resource(resource) = target else {
            self.check(&user, &Attempt::Path { verb: path_verb(&parts.method), path: parts.uri.path() })?;
            return self.describe(&target, &parts);
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
        let (accept, form) = Accept::of(&parts.headers, protobuf)?;
        let (content, sent) = Content::of(&parts.method, &parts.headers, protobuf)?;
        let query = Query::parse(parts.uri.query().unwrap_or_default())?;
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
        match self.serve(request, body, sent, form).await {
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
        sent: Form,
        form: Form,
    ) -> Result<Answer, Status> {
        self.check(&request.user, &attempt(&request, &request.query.selection()?.fields))?;
        let body = sent.read(request.kind(), read(body).await?)?;
        let asked = request.kind();
        let request = Request { body, ..request }.of_stored()?;
        let (watch, view) = (request.verb() == "watch", request.view);
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
    fn describe(&self, target: &Target, parts: &Parts) -> Result<Answer, Status> {
        let value = match target {
            Target::Discovery(what) => discovery::answer(what)?,
            Target::Version => version::answer(),
            Target::Metrics => return Ok(self.metrics.answer(&self.store)),
            Target::Issuer(document) => self.issuer.tell(*document),
            Target::OpenApi(path) => {
                return openapi::answer(path, parts.uri.query().unwrap_or_default(), &parts.headers);
            }
            _ => return Err(Status::no_such_resource()),
        };
        if parts.method != Method::GET && parts.method != Method::HEAD {
            return Err(Status::method_not_allowed());
        }
        Ok(answer::value(StatusCode::OK, &value))
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

/// `kubectl/v1.36.0 (linux/amd64)` is the program `kubectl`.
fn program(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let name: String = agent.split('/').next().unwrap_or_default().chars().take(128).collect();
    if name.is_empty() { "unknown".into() } else { name }
}

fn attempt<'a>(request: &'a Request, selected: &'a FieldSelector) -> Attempt<'a> {
    Attempt::Resource(Access {
        verb: request.verb(),
        group: request.kind().group,
        resource: request.kind().plural,
        subresource: request.resource.subresource_name(),
        // A namespace is an object of its own namespace, to access rights.
        namespace: match request.kind().kind {
            "Namespace" if request.kind().group.is_empty() => request.resource.name.as_deref(),
            _ => request.namespace(),
        },
        name: request.resource.name.as_deref().or_else(|| selected.exact("metadata.name")),
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

async fn read<B: Incoming>(body: B) -> Result<Bytes, Status> {
    match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Status::request_entity_too_large(&format!("limit is {LARGEST_BODY}")))
        }
        Err(error) => Err(Status::bad_request(format!("the body of the request broke off: {error}"))),
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
