//! What is asked below an object: each a question or a command of its own, rather than a part of the object.
//!
//! Those that are a part of it (`status`, `finalize`, `resize`) go the way of every update, by rules of the kind table.

pub(crate) mod binding;
pub(crate) mod eviction;
pub(crate) mod token;

mod condition;

use api::kinds::Subresource;
use api::status::Status;
use store::Store;

use crate::answer::Answer;
use crate::issuer::Issuer;
use crate::request::Request;

pub(crate) async fn answer(
    store: &Store,
    issuer: &Issuer,
    request: &Request,
    subresource: &'static Subresource,
) -> Result<Answer, Status> {
    match (request.kind().plural, subresource.name) {
        ("pods", "binding") => binding::create(store, request, subresource).await,
        ("pods", "eviction") => eviction::create(store, request, subresource).await,
        ("serviceaccounts", "token") => token::create(store, issuer, request, subresource),
        (plural, name) => Err(Status::unavailable(&format!("{plural}/{name} is not built yet"))),
    }
}
