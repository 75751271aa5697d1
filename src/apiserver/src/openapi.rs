//! `/openapi/v2` and `/openapi/v3`: what kubectl validates and explains by.
//!
//! The documents are made when they are asked for: keeping half a megabyte for the one client in an hour that has no
//! copy of its own costs more than making it again. Clients keep theirs by the hash in the address.

use api::openapi::{self, Resource};
use api::status::Status;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::answer::{self, Answer};
use crate::body;

const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

pub(crate) fn answer(path: &[String], query: &str, headers: &HeaderMap) -> Result<Answer, Status> {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    match &words[..] {
        ["v3"] => Ok(answer::value(StatusCode::OK, &openapi::index(&resources()))),
        ["v3", root @ ..] => group(&root.join("/"), query),
        ["v2"] => Ok(whole(headers)),
        _ => Err(Status::no_such_resource()),
    }
}

fn resources() -> Vec<Resource<'static>> {
    api::kinds::all().filter_map(Resource::of).collect()
}

fn group(root: &str, query: &str) -> Result<Answer, Status> {
    let resources: Vec<_> = resources().into_iter().filter(|resource| resource.root() == root).collect();
    if resources.is_empty() {
        return Err(Status::no_such_resource());
    }
    let hash = openapi::hash(&resources);
    let mut answer = answer::json(StatusCode::OK, body::whole(openapi::v3(&resources)));
    // An address that names the hash names a document that never changes.
    if query.split('&').any(|option| option.strip_prefix("hash=") == Some(&hash)) {
        let forever = HeaderValue::from_static("public, immutable");
        answer.headers_mut().insert(header::CACHE_CONTROL, forever);
    }
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{hash}\"")) {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    Ok(answer)
}

fn whole(headers: &HeaderMap) -> Answer {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // kubectl 1.20 asks for it by an older name, with an `@`, and takes this one.
    if !accepted.contains("protobuf") {
        return answer::json(StatusCode::OK, body::whole(openapi::v2(&resources())));
    }
    let mut answer = answer::json(StatusCode::OK, body::whole(openapi::v2_protobuf(&resources())));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
    answer
}
