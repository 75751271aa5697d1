//! One object.

use api::status::Status;
use http::StatusCode;
use store::Store;

use crate::answer::{self, Answer};
use crate::object::stored;
use crate::request::Request;

pub(crate) fn get(store: &Store, request: &Request) -> Result<Answer, Status> {
    let key = stored::key(request.kind(), request.namespace(), request.name());
    let entry = store.get(&key).ok_or_else(|| request.not_found())?;
    answer::entry(StatusCode::OK, request.accept, request.kind(), &entry)
}
