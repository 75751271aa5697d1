//! The path of a request: who, may they, what exactly; then [`routes`](super::routes) has it done.

use api::selector::FieldSelector;
use api::status::{self, Status};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;
use tokio::time::timeout;

use super::Shared;
use super::routes::no_such_page;
use crate::answer::Answer;
use crate::audit::Record;
use crate::authorize::{Access, Attempt};
use crate::body::Incoming;
use crate::form::{self, Form};
use crate::load::Place;
use crate::metrics::Call;
use crate::nodes::{self, Nodes};
use crate::request::options;
use crate::request::{self, Accept, Content, Envelope, Query, Request, Resource, Target};
use crate::user::User;
use crate::{admit, health, impersonate, verb, view};

/// A request for objects before its body was read, and the forms that it and its answer travel in.
struct Exchange<B> {
    request: Request,
    body: B,
    sent: Form,
    wanted: Form,
    /// It came over a connection, not from a component of this process.
    outside: bool,
}

impl Shared {
    /// The answer, in the time that the client and the server have for it.
    pub(super) async fn in_time<B: Incoming>(
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
        let Envelope { target, query, outside, wanted, form, .. } = envelope;
        let query = query?;
        // Whoever can connect may ask whether we live: probes have no credentials.
        if let Target::Health { endpoint, check } = &target {
            let answer = health::answer(endpoint, check.as_deref(), &query, self.leaving.is_cancelled())?;
            return Ok(answer.unwrap_or_else(no_such_page));
        }
        let user = self.identify(&parts, record.as_deref_mut())?;
        let Target::Resource(resource) = target else {
            // As the target was read, so that it is the same that is judged and answered.
            let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy();
            self.check(&user, &Attempt::Path { verb: path_verb(&parts.method), path: &path })?;
            // The documents among these are the dearest answers that there are.
            let _place = self.place(outside, &user).await?;
            return Ok(form.whole(self.describe(&target, &query, &parts)?).await);
        };
        if nodes::answers(&resource) {
            return self.nodes().answer(parts, body, resource, &user).await;
        }
        let (request, sent, wanted) = self.understand(parts, query, resource, user, wanted)?;
        let running = self.metrics.begin(Call::of(&request));
        match self.serve(Exchange { request, body, sent, wanted, outside }, record).await {
            Ok(answer) => Ok(running.done(answer)),
            Err(status) => {
                running.failed(status.code);
                Err(status)
            }
        }
    }

    /// Who asks, and in whose name.
    fn identify(&self, parts: &Parts, mut record: Option<&mut Record>) -> Result<User, Status> {
        let user = self.authenticator.user(&parts.extensions, &parts.headers)?;
        if let Some(record) = record.as_deref_mut() {
            record.comes_from(&user);
        }
        let user = impersonate::user(user, &parts.headers, &self.authorizer)?;
        if let Some(record) = record {
            record.acts_as(&user);
        }
        Ok(user)
    }

    fn nodes(&self) -> Nodes<'_> {
        Nodes {
            store: &self.store,
            tunnels: &self.tunnels,
            authorizer: &self.authorizer,
            streams: &self.streams,
        }
    }

    /// What is asked of objects, the form in which their body is sent, and the one in which their answer is wanted.
    fn understand(
        &self,
        parts: Parts,
        query: Query,
        resource: Resource,
        user: User,
        wanted: Result<(Accept, Form), Status>,
    ) -> Result<(Request, Form, Form), Status> {
        let protobuf = || form::has_protobuf(resource.kind);
        let sent = Content::of(&parts.method, &parts.headers, protobuf);
        if wanted.is_err() || sent.is_err() {
            // Whoever may not ask this, or cannot, is told that first.
            self.check_asked(&user, &parts.method, &resource, &query)?;
        }
        let ((accept, wanted), (content, sent)) = (wanted?, sent?);
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
        Ok((request, sent, wanted))
    }

    async fn serve<B: Incoming>(
        &self,
        exchange: Exchange<B>,
        record: Option<&mut Record>,
    ) -> Result<Answer, Status> {
        let Exchange { request, body, sent, wanted, outside } = exchange;
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
        let mut answer = if watch { wanted.events(answer) } else { wanted.whole(answer).await };
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

fn attempt<'a>(verb: &'a str, resource: &'a Resource, selected: &'a FieldSelector) -> Attempt<'a> {
    let access = resource.access(verb);
    Attempt::Resource(Access {
        name: access.name.or_else(|| selected.exact("metadata.name")),
        node: selected.exact("spec.nodeName"),
        ..access
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
