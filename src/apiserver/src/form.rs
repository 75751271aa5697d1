//! The forms in which objects travel.
//!
//! Verbs speak JSON. Protobuf is made of it, and into it, here at the edge, so that no verb knows that there is such a thing
//! and all of them check the same. A list is gathered first: its length stands before it.

use api::kinds::Kind;
use api::protobuf::{self, Known};
use api::status::Status;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::{self, Answer};
use crate::body::whole;
use crate::request::Accept;

pub(crate) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Protobuf,
}

impl Form {
    /// The form of an answer that has no kind of its own: a refusal.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Accept::of(headers, || true).map_or(Self::Json, |(_, form)| form)
    }

    /// The JSON of what was sent in this form.
    pub(crate) fn read(self, kind: &Kind, body: Bytes) -> Result<Bytes, Status> {
        if self == Self::Json || body.is_empty() {
            return Ok(body);
        }
        let object = protobuf::decode(&body).map_err(|error| {
            let (kind, version) = (kind.kind, kind.version);
            let message = format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {error}");
            Status::bad_request(message)
        })?;
        Ok(object.to_string().into())
    }

    /// An answer of JSON in this form.
    pub(crate) async fn whole(self, answer: Answer) -> Answer {
        match self {
            Self::Json => answer,
            Self::Protobuf => encoded(answer).await.unwrap_or_else(|status| answer::failure(&status)),
        }
    }

    /// A watch in this form.
    pub(crate) fn events(self, answer: Answer) -> Answer {
        match self {
            Self::Json => answer,
            Self::Protobuf => {
                let stream = HeaderValue::from_static("application/vnd.kubernetes.protobuf;stream=watch");
                let mut answer = answer::changed(answer, frames);
                answer.headers_mut().insert(header::CONTENT_TYPE, stream);
                answer
            }
        }
    }
}

/// Whether objects of this kind can travel as protobuf.
pub(crate) fn has_protobuf(kind: &Kind) -> bool {
    Known::of(&kind.api_version(), kind.kind).is_some()
}

async fn encoded(answer: Answer) -> Result<Answer, Status> {
    let (mut parts, json) = answer::gathered(answer).await?;
    match protobuf::encode(&json) {
        Ok(bytes) => {
            parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
            Ok(Answer::from_parts(parts, whole(bytes)))
        }
        // What has no other form is sent as it is: the client can tell.
        Err(protobuf::Error::Kind { .. }) => Ok(Answer::from_parts(parts, whole(json))),
        Err(error) => Err(Status::internal(&format!("the answer cannot be encoded: {error}"))),
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// The events of a chunk, which is always whole lines.
fn frames(lines: &[u8]) -> Result<Vec<u8>, protobuf::Error> {
    let mut out = Vec::with_capacity(lines.len());
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Line<'_> = serde_json::from_slice(line).map_err(protobuf::Error::Object)?;
        out.extend(protobuf::event(line.r#type, line.object.get().as_bytes())?);
    }
    Ok(out)
}
