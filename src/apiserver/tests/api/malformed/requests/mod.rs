//! What is asked wrongly, and how upstream answers: one module for each kind of mistake.
//!
//! Asked of the server as a service here, and of the real program over a real connection in the suites of `tests/`.

mod bodies;
mod changes;
mod options;
mod paths;
mod rules;
mod types;

use serde_json::Value;

/// One request and its refusal.
pub(crate) struct Row {
    /// Method and path.
    pub(crate) ask: &'static str,
    pub(crate) headers: &'static [&'static str],
    pub(crate) body: &'static str,
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    /// Whole, or its beginning if it ends in `…`: what follows are the words of a parser of ours.
    pub(crate) message: &'static str,
}

/// The objects that the requests are about, and where they are made.
pub(crate) const GROUND: [(&str, &str); 4] = [
    ("/api/v1/namespaces/shop/configmaps", r#"{"metadata":{"name":"page"},"data":{"a":"b"}}"#),
    (
        "/api/v1/namespaces/shop/configmaps",
        r#"{"metadata":{"name":"fixed"},"immutable":true,"data":{"a":"b"}}"#,
    ),
    ("/api/v1/namespaces/shop/secrets", r#"{"metadata":{"name":"key"},"data":{"k":"dg=="}}"#),
    ("/apis/storage.k8s.io/v1/storageclasses", r#"{"metadata":{"name":"fast"},"provisioner":"a.example/b"}"#),
];

/// Bodies that are too large, or too strange, to write down.
pub(crate) fn body(text: &str) -> Vec<u8> {
    match text {
        "<4 MiB>" => vec![b' '; 4 << 20],
        "<deep>" => br#"{"a":"#.repeat(100_000),
        "<no UTF-8>" => b"{\"data\":{\"a\":\"\xff\xfe\"}}".to_vec(),
        "<many operations>" => {
            let operations = r#"{"op":"test","path":"/data/a","value":"b"},"#.repeat(10_001);
            format!("[{}]", operations.trim_end_matches(',')).into_bytes()
        }
        text => text.into(),
    }
}

const JSON: &[&str] = &["Content-Type: application/json"];
const YAML: &[&str] = &["Content-Type: application/yaml"];
const OPERATIONS: &[&str] = &["Content-Type: application/json-patch+json"];
const MERGE: &[&str] = &["Content-Type: application/merge-patch+json"];
const STRATEGIC: &[&str] = &["Content-Type: application/strategic-merge-patch+json"];
const APPLY: &[&str] = &["Content-Type: application/apply-patch+yaml"];

const fn row(
    ask: &'static str,
    headers: &'static [&'static str],
    body: &'static str,
    (code, reason): (u16, &'static str),
    message: &'static str,
) -> Row {
    Row { ask, headers, body, code, reason, message }
}

const fn get(ask: &'static str, refusal: (u16, &'static str), message: &'static str) -> Row {
    row(ask, &[], "", refusal, message)
}

/// A ConfigMap that cannot be made.
const fn make(body: &'static str, refusal: (u16, &'static str), message: &'static str) -> Row {
    row("POST /api/v1/namespaces/shop/configmaps", JSON, body, refusal, message)
}

const fn patch(
    headers: &'static [&'static str],
    body: &'static str,
    refusal: (u16, &'static str),
    message: &'static str,
) -> Row {
    row("PATCH /api/v1/namespaces/shop/configmaps/page", headers, body, refusal, message)
}

const BAD: (u16, &str) = (400, "BadRequest");
const MISSING: (u16, &str) = (404, "NotFound");
const METHOD: (u16, &str) = (405, "MethodNotAllowed");
const CONFLICT: (u16, &str) = (409, "Conflict");
const INVALID: (u16, &str) = (422, "Invalid");
const MEDIA: (u16, &str) = (415, "UnsupportedMediaType");
const NO_RESOURCE: &str = "the server could not find the requested resource";
const NO_METHOD: &str = "the server does not allow this method on the requested resource";

/// All of them.
pub(crate) fn rows() -> Vec<&'static Row> {
    [paths::ROWS, options::ROWS, bodies::ROWS, types::ROWS, rules::ROWS, changes::ROWS]
        .into_iter()
        .flatten()
        .collect()
}

impl Row {
    /// The problem with this answer, if there is one.
    pub(crate) fn problem(&self, code: u16, said: &Value) -> Option<String> {
        let text = |field: &str| said[field].as_str().unwrap_or_default();
        let as_told = match self.message.strip_suffix('…') {
            Some(start) => text("message").starts_with(start),
            None => text("message") == self.message,
        };
        let is_status = text("kind") == "Status" && text("status") == "Failure" && said["code"] == code;
        let told = is_status && as_told && (code, text("reason")) == (self.code, self.reason);
        let Self { ask, body, code: wanted, reason, message, .. } = self;
        (!told).then(|| {
            format!("{ask} {body}\n  expected {wanted} {reason} {message}\n  found    {code} {said}")
        })
    }
}
