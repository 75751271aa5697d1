//! A request as the verbs see it: what is asked of which objects by whom.

pub(crate) mod accept;
pub(crate) mod content;
pub(crate) mod duration;
mod envelope;
pub(crate) mod options;
pub(crate) mod query;
pub(crate) mod target;

use std::sync::Arc;

use api::kinds::Kind;
use api::status::{self, Status};
use bytes::Bytes;
use http::Method;

pub(crate) use self::accept::{Accept, Offer, RowObject};
pub(crate) use self::content::Content;
pub(crate) use self::envelope::Envelope;
pub(crate) use self::query::Query;
pub(crate) use self::target::{Resource, Target};
use crate::authorize::{Access, Attempt, Authorizer};
use crate::user::User;

/// A request for objects, after its body was read.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) resource: Resource,
    /// The kind that the client asked for, where that is a view of the stored one.
    pub(crate) view: Option<&'static Kind>,
    pub(crate) query: Query,
    pub(crate) accept: Accept,
    pub(crate) content: Content,
    pub(crate) body: Bytes,
    pub(crate) user: User,
    /// The program that asks, as far as it says.
    pub(crate) program: String,
    /// What else the user may do.
    pub(crate) rights: Arc<Authorizer>,
}

/// Whether a request asks for what happens, rather than for what is.
pub(crate) fn is_watch(method: &Method, resource: &Resource, query: &Query) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && resource.name.is_none() && query.flag("watch")
}

/// The verb that access rights know a request by.
pub(crate) fn verb(method: &Method, resource: &Resource, query: &Query) -> &'static str {
    let named = resource.name.is_some();
    match *method {
        _ if is_watch(method, resource, query) => "watch",
        Method::GET | Method::HEAD if named => "get",
        Method::GET | Method::HEAD => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ => "",
    }
}

impl Resource {
    /// What access rights are asked for `verb` on it.
    pub(crate) fn access<'a>(&'a self, verb: &'a str) -> Access<'a> {
        let kind = self.kind;
        Access {
            verb,
            group: kind.group,
            resource: kind.plural,
            subresource: self.subresource_name(),
            // A namespace is an object of its own namespace, to access rights.
            namespace: match kind.kind {
                "Namespace" if kind.group.is_empty() => self.name.as_deref(),
                _ => self.namespace.as_deref(),
            },
            name: self.name.as_deref(),
            node: None,
        }
    }
}

impl Request {
    pub(crate) fn kind(&self) -> &'static Kind {
        self.resource.kind
    }

    /// The same of the stored form of the objects, which is what verbs know.
    pub(crate) fn of_stored(mut self) -> Result<Self, Status> {
        let kind = self.kind();
        if kind.conversion.is_some() {
            if self.resource.subresource_name().is_some_and(|name| kind.subresource(name).is_none()) {
                return Err(Status::no_such_resource());
            }
            self.view = Some(kind);
            self.resource.kind = kind.stored();
        }
        Ok(self)
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.resource.namespace.as_deref()
    }

    pub(crate) fn name(&self) -> &str {
        self.resource.name.as_deref().unwrap_or_default()
    }

    /// The resource as messages name it.
    pub(crate) fn subject(&self) -> status::Resource<'static> {
        status::Resource { group: self.kind().group, name: self.kind().plural }
    }

    /// The verb that access rights know it by.
    pub(crate) fn verb(&self) -> &'static str {
        verb(&self.method, &self.resource, &self.query)
    }

    /// Whether the user may also do this.
    pub(crate) fn may(&self, access: Access<'_>) -> bool {
        self.rights.allows(&self.user, &Attempt::Resource(access))
    }

    pub(crate) fn not_found(&self) -> Status {
        Status::not_found(self.subject(), self.name())
    }
}
