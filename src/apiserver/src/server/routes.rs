//! What does a request, once it is known who asks for what and that they may.

use api::kinds::{Part, Verb};
use api::status::Status;
use http::request::Parts;
use http::{Method, StatusCode};

use super::Shared;
use crate::answer::{self, Answer};
use crate::request::{Content, Query, Request, Target};
use crate::{discovery, openapi, paths, review, subresource, verb, version};

impl Shared {
    /// Does what is asked of objects, or of a part of one.
    pub(super) async fn act(&self, request: Request) -> Result<Answer, Status> {
        let store = &self.store;
        let part = match request.resource.subresource_name() {
            None => Part::Main,
            Some("status") if request.kind().has_status() => Part::Status,
            Some(name) => {
                let below = request.kind().subresource(name).ok_or_else(Status::no_such_resource)?;
                if !below.verbs.iter().any(|known| known.as_str() == request.verb()) {
                    return Err(Status::method_not_allowed());
                }
                if below.name == "scale" {
                    return match request.verb() {
                        "get" => verb::scale::get(store, &request),
                        _ => verb::scale::set(store, &request, below).await,
                    };
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
            (verb, Part::Main) => self.act_on_whole(&request, verb).await,
        }
    }

    async fn act_on_whole(&self, request: &Request, verb: &str) -> Result<Answer, Status> {
        allowed_by_kind(request, verb)?;
        let (store, kind) = (&self.store, request.kind());
        match verb {
            "create" if review::answers(kind) => review::answer(&self.authenticator, request),
            "create" if (kind.group, kind.kind) == ("", "Binding") => {
                subresource::binding::create_named(store, request).await
            }
            "list" => verb::list::list(store, request),
            "watch" => verb::watch::watch(store, request),
            "create" => verb::create::create(store, request).await,
            "delete" => verb::delete::delete(store, request).await,
            "deletecollection" => verb::delete::delete_collection(store, request).await,
            _ => Err(Status::method_not_allowed()),
        }
    }

    /// What is told about the server rather than about objects.
    pub(super) fn describe(&self, target: &Target, query: &Query, parts: &Parts) -> Result<Answer, Status> {
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
}

fn allowed_by_kind(request: &Request, verb: &str) -> Result<(), Status> {
    // Objects of a namespace are looked at across all of them, but made and deleted in one.
    let everywhere = request.kind().namespaced && request.namespace().is_none();
    if everywhere && !matches!(verb, "list" | "watch") {
        return Err(Status::method_not_allowed());
    }
    let known = request.kind().verbs.iter().copied().find(|known: &Verb| known.as_str() == verb);
    known.map(drop).ok_or_else(Status::method_not_allowed)
}

/// What Go answers where nothing is served.
pub(super) fn no_such_page() -> Answer {
    answer::plain(StatusCode::NOT_FOUND, "404 page not found\n")
}
