//! What only a node can answer: logs, exec, attach, port-forward and the proxies. Requests go on to it as they are, and what
//! it says comes back as it comes.
//!
//! A [`Route`] is decided from the request and the pod as it is stored: which node (or address), which path there. [`forward`] then
//! speaks HTTP over a stream to it; an upgrade (WebSocket, SPDY) makes two streams of bytes of both connections.

mod forward;
mod pod;
mod route;
mod service;

use api::status::Status;
use http::Method;
use http::request::Parts;
use store::Store;
use task::Carrier;
use transport::tunnel::Tunnels;

use self::forward::{Outgoing, forward};
use self::route::{Place, Route};
use crate::answer::{self, Answer};
use crate::authorize::{Access, Attempt, Authorizer};
use crate::body::Incoming;
use crate::request::Resource;
use crate::user::User;

/// What it takes to reach nodes.
#[derive(Debug)]
pub(crate) struct Nodes<'a> {
    pub(crate) store: &'a Store,
    pub(crate) tunnels: &'a Tunnels,
    pub(crate) authorizer: &'a Authorizer,
    pub(crate) streams: &'a Carrier,
}

/// Whether a subresource is answered by a node.
pub(crate) fn answers(resource: &Resource) -> bool {
    let below = resource.subresource_name().unwrap_or_default();
    let kind = (resource.kind.group, resource.kind.plural);
    match kind {
        ("", "pods") => matches!(below, "log" | "exec" | "attach" | "portforward" | "proxy"),
        ("", "nodes" | "services") => below == "proxy",
        _ => false,
    }
}

impl Nodes<'_> {
    /// Sends a request on, if the user may do what it says.
    pub(crate) async fn answer<B: Incoming>(
        &self,
        parts: Parts,
        body: B,
        resource: Resource,
        user: &User,
    ) -> Result<Answer, Status> {
        self.check(verb(&parts.method), &resource, user)?;
        let upgrades = parts.headers.contains_key(http::header::UPGRADE);
        let opens = matches!(resource.subresource_name(), Some("exec" | "attach" | "portforward"));
        // A WebSocket begins with a GET, and yet it makes something run: who may only read must not.
        if opens && upgrades {
            self.check("create", &resource, user)?;
        }
        let Some(route) = self.route(&parts, &resource)? else {
            // A pod without a node has no logs.
            return Ok(answer::empty(http::StatusCode::NO_CONTENT));
        };
        let stream = self.reach(&route.place).await?;
        forward(Outgoing { stream, route, parts, body, resource, streams: self.streams }).await
    }

    fn check(&self, verb: &str, resource: &Resource, user: &User) -> Result<(), Status> {
        let attempt = Attempt::Resource(Access {
            verb,
            group: resource.kind.group,
            resource: resource.kind.plural,
            subresource: resource.subresource_name(),
            namespace: resource.namespace.as_deref(),
            name: resource.name.as_deref(),
            node: None,
        });
        if self.authorizer.allows(user, &attempt) {
            return Ok(());
        }
        let subject = api::status::Resource { group: resource.kind.group, name: resource.kind.plural };
        let name = resource.name.as_deref().unwrap_or_default();
        Err(Status::forbidden(subject, name, &attempt.refusal(user)))
    }

    fn route(&self, parts: &Parts, resource: &Resource) -> Result<Option<Route>, Status> {
        let query = parts.uri.query().unwrap_or_default();
        match resource.kind.plural {
            "nodes" => route::to_node(self.store, resource, query).map(Some),
            "services" => service::route(self.store, resource, query).map(Some),
            _ => pod::route(self.store, resource, query),
        }
    }

    async fn reach(&self, place: &Place) -> Result<transport::tunnel::Stream, Status> {
        match place {
            Place::Node(node) => self.tunnels.connect(node).await,
            Place::Address(address) => route::dial(*address).await,
        }
        .map_err(|error| Status::internal(&format!("error dialing backend: {error}")))
    }
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "get",
    }
}
