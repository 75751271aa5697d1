//! What the body of a request is.

use api::status::Status;
use http::{HeaderMap, Method, header};

use crate::form::{Form, PROTOBUF, YAML};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Json,
    Yaml,
    JsonPatch,
    MergePatch,
    StrategicPatch,
    ApplyPatch,
    /// What nobody here reads. A delete comes with whatever its client says of everything, mostly without a body.
    Foreign,
}

const OBJECTS: [&str; 3] = ["application/json", YAML, PROTOBUF];
const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

impl Content {
    /// What the client says it sends, and in which form; JSON if it says nothing. A patch must say which.
    pub(crate) fn of(
        method: &Method,
        headers: &HeaderMap,
        protobuf: impl Fn() -> bool,
    ) -> Result<(Self, Form), Status> {
        let said =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let patch = method == Method::PATCH;
        let content = match media_type.as_str() {
            "application/json-patch+json" if patch => Self::JsonPatch,
            "application/merge-patch+json" if patch => Self::MergePatch,
            "application/strategic-merge-patch+json" if patch => Self::StrategicPatch,
            "application/apply-patch+yaml" if patch => Self::ApplyPatch,
            _ if patch => return Err(Status::unsupported_media_type(&PATCHES)),
            "" | "application/json" => Self::Json,
            YAML => Self::Yaml,
            PROTOBUF if protobuf() => return Ok((Self::Json, Form::Protobuf)),
            _ if [Method::GET, Method::HEAD, Method::DELETE].contains(method) => Self::Foreign,
            _ => return Err(Self::unsupported(protobuf())),
        };
        Ok((content, Form::Json))
    }

    pub(crate) fn unsupported(protobuf: bool) -> Status {
        Status::unsupported_media_type(if protobuf { &OBJECTS } else { &OBJECTS[..2] })
    }
}
