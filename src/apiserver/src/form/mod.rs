//! The forms in which objects travel.
//!
//! Verbs speak JSON. Protobuf and YAML are made of it, and protobuf into it, here at the edge, so that no verb knows that
//! there is such a thing and all of them check the same. A list is gathered first: of protobuf the length stands before it,
//! and YAML sorts its members.

mod pretty;

use api::kinds::Kind;
use api::protobuf::{self, Known};
use api::status::Status;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::{self, Answer};
use crate::body::whole;

pub(crate) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
pub(crate) const YAML: &str = "application/yaml";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    /// JSON for people.
    Pretty,
    Yaml,
    Protobuf,
}

impl Form {
    /// JSON is laid out for those who ask for that, and for programs that people read it with.
    pub(crate) fn for_reader(self, headers: &HeaderMap, query: &str) -> Self {
        if self == Self::Json && is_read_by_people(headers, query) { Self::Pretty } else { self }
    }

    /// The JSON of what was sent in this form.
    pub(crate) fn read(self, kind: &Kind, body: Bytes) -> Result<Bytes, Status> {
        if self != Self::Protobuf || body.is_empty() {
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
        let encoded = match self {
            _ if !is_json(&answer) => return answer,
            Self::Json => return answer,
            Self::Pretty => return laid_out(answer),
            Self::Yaml => in_yaml(answer).await,
            Self::Protobuf => encoded(answer).await,
        };
        encoded.unwrap_or_else(|status| answer::failure(&status))
    }

    /// A watch in this form.
    pub(crate) fn events(self, answer: Answer) -> Answer {
        match self {
            Self::Json | Self::Pretty | Self::Yaml => answer,
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

/// `?pretty` says; otherwise the program does, as upstream guesses it.
fn is_read_by_people(headers: &HeaderMap, query: &str) -> bool {
    let said = query.split('&').find_map(|option| option.strip_prefix("pretty="));
    match said.filter(|said| !said.is_empty()) {
        Some(said) => matches!(said, "1" | "t" | "T" | "true" | "TRUE" | "True"),
        None => {
            let program = headers.get(header::USER_AGENT).and_then(|program| program.to_str().ok());
            let names = ["curl", "Wget", "Mozilla/5.0"];
            program.is_some_and(|program| names.iter().any(|name| program.starts_with(name)))
        }
    }
}

fn is_json(answer: &Answer) -> bool {
    answer.headers().get(header::CONTENT_TYPE).is_some_and(|form| form == "application/json")
}

fn laid_out(answer: Answer) -> Answer {
    let mut layout = pretty::Layout::default();
    answer::changed(answer, move |json| Ok::<_, std::convert::Infallible>(layout.lay_out(json)))
}

async fn in_yaml(answer: Answer) -> Result<Answer, Status> {
    let failed =
        |error: &dyn std::fmt::Display| Status::internal(&format!("the answer cannot be encoded: {error}"));
    let (mut parts, json) = answer::gathered(answer).await?;
    let value: serde_json::Value = serde_json::from_slice(&json).map_err(|error| failed(&error))?;
    let text = serde_saphyr::to_string(&value).map_err(|error| failed(&error))?;
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(YAML));
    Ok(Answer::from_parts(parts, whole(text)))
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
