//! What is asked: of ConfigMaps of 1 KB, by number.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request};
use http_body_util::Full;

use super::{Body, Requests};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Of an object as it is sent.
const SIZE: usize = 1024;
/// From one object to the next: far enough that neighbours are not asked for together.
const STRIDE: usize = 7919;
const STAMPED: usize = 100;
const MERGE: &str = "application/merge-patch+json";

pub(super) fn creates(from: usize, to: usize) -> Requests {
    Box::new((from..to).map(|number| request(Method::POST, MAPS, "application/json", object(number))))
}

pub(super) fn deletes(from: usize, to: usize) -> Requests {
    Box::new((from..to).map(|number| request(Method::DELETE, &path(number), "", String::new())))
}

pub(super) fn gets(objects: usize) -> Requests {
    let numbers = (0..).map(move |turn: usize| turn.wrapping_mul(STRIDE) % objects);
    Box::new(numbers.map(|number| request(Method::GET, &path(number), "", String::new())))
}

pub(super) fn lists(times: usize) -> Requests {
    Box::new((0..times).map(|_| request(Method::GET, MAPS, "", String::new())))
}

/// Each changes one short value.
pub(super) fn patches(objects: usize) -> Requests {
    let change = move |turn: usize| {
        let patch = format!(r#"{{"data":{{"turn":"{turn}"}}}}"#);
        request(Method::PATCH, &path(turn.wrapping_mul(STRIDE) % objects), MERGE, patch)
    };
    Box::new((0..).map(change))
}

/// All changes from a revision on.
pub(super) fn watch(revision: &str) -> Request<Body> {
    let path = format!("{MAPS}?watch=true&resourceVersion={revision}");
    request(Method::GET, &path, "", String::new())
}

pub(super) fn first_of_list() -> Request<Body> {
    request(Method::GET, &format!("{MAPS}?limit=1"), "", String::new())
}

/// What comes before the time in an object that was stamped.
pub(super) const STAMP: &str = r#""annotations":{"stamp":""#;

/// Writes the time, in microseconds since the epoch, into one object of a hundred.
pub(super) fn stamp(turn: usize, time: Duration) -> Request<Body> {
    let patch = format!(r#"{{"metadata":{{"annotations":{{"stamp":"{}"}}}}}}"#, time.as_micros());
    request(Method::PATCH, &path(turn % STAMPED), MERGE, patch)
}

fn path(number: usize) -> String {
    format!("{MAPS}/load-{number:06}")
}

fn object(number: usize) -> String {
    let object = |text: &str| {
        format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"load-{number:06}"}},"data":{{"text":"{text}"}}}}"#
        )
    };
    object(&"x".repeat(SIZE.saturating_sub(object("").len())))
}

fn request(method: Method, path: &str, content: &'static str, body: String) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header(HOST, "127.0.0.1");
    let request = request.header(USER_AGENT, "load/1").header(ACCEPT, "application/json");
    let request = if content.is_empty() { request } else { request.header(CONTENT_TYPE, content) };
    request.body(Full::new(Bytes::from(body))).expect("the parts are in order")
}
