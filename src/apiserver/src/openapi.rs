//! `/openapi/v2` and `/openapi/v3`: what kubectl validates and explains by.
//!
//! The documents are made when they are asked for: keeping half a megabyte for the one client in an hour that has no
//! copy of its own costs more than making it again. Clients keep theirs by the hash, which is kept: what is described is built
//! into the program.

use std::sync::OnceLock;

use api::openapi::{self, Resource};
use api::status::Status;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};

use crate::answer::{self, Answer};
use crate::body;
use crate::request::Query;

const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

pub(crate) fn answer(path: &[String], query: &Query, headers: &HeaderMap) -> Result<Answer, Status> {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    match &words[..] {
        ["v3"] => Ok(index(headers)),
        ["v3", root @ ..] => group(&root.join("/"), query, headers),
        ["v2"] => Ok(whole(headers)),
        _ => Err(Status::no_such_resource()),
    }
}

fn resources() -> Vec<Resource<'static>> {
    api::kinds::all().filter_map(Resource::of).collect()
}

/// One for all documents.
fn hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| openapi::hash(&resources()))
}

fn index(headers: &HeaderMap) -> Answer {
    answer::tagged(hash(), headers, || answer::value(StatusCode::OK, &openapi::index(&resources(), hash())))
}

fn group(root: &str, query: &Query, headers: &HeaderMap) -> Result<Answer, Status> {
    let (mut resources, hash) = (resources(), hash());
    resources.retain(|resource| resource.root() == root);
    if resources.is_empty() {
        return Err(Status::no_such_resource());
    }
    let named = query.text("hash");
    // An address that names a hash names a document that never changes: another document has another address.
    if named.is_some_and(|named| named != hash) {
        return Ok(moved(&format!("/openapi/v3/{root}?hash={hash}")));
    }
    let mut answer =
        answer::tagged(hash, headers, || answer::json(StatusCode::OK, body::whole(openapi::v3(&resources))));
    if named.is_some() {
        let headers = answer.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        headers.extend(in_a_year().map(|expires| (header::EXPIRES, expires)));
    }
    Ok(answer)
}

fn moved(address: &str) -> Answer {
    let mut answer = answer::empty(StatusCode::MOVED_PERMANENTLY);
    if let Ok(address) = HeaderValue::from_str(address) {
        answer.headers_mut().insert(header::LOCATION, address);
    }
    answer
}

/// The longest that HTTP knows.
fn in_a_year() -> Option<HeaderValue> {
    let then = Timestamp::now().checked_add(SignedDuration::from_hours(365 * 24)).ok()?;
    let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&then).ok()?;
    HeaderValue::from_str(&text).ok()
}

fn whole(headers: &HeaderMap) -> Answer {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut answer = answer::tagged(hash(), headers, || {
        let resources = resources();
        // kubectl 1.20 asks for it by an older name, with an `@`, and takes this one.
        if !accepted.contains("protobuf") {
            return answer::json(StatusCode::OK, body::whole(openapi::v2(&resources)));
        }
        let mut answer = answer::json(StatusCode::OK, body::whole(openapi::v2_protobuf(&resources)));
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
        answer
    });
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    answer
}
