//! What the body of a request is.

use api::status::Status;
use http::{HeaderMap, Method, header};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Json,
    Yaml,
    JsonPatch,
    MergePatch,
    StrategicPatch,
    ApplyPatch,
}

const OBJECTS: [&str; 2] = ["application/json", "application/yaml"];
const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

impl Content {
    /// What the client says it sends; JSON if it says nothing. A patch must say which.
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Result<Self, Status> {
        let said =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = said.split(';').next().unwrap_or_default().trim();
        let patch = method == Method::PATCH;
        match media_type {
            "application/json-patch+json" if patch => Ok(Self::JsonPatch),
            "application/merge-patch+json" if patch => Ok(Self::MergePatch),
            "application/strategic-merge-patch+json" if patch => Ok(Self::StrategicPatch),
            "application/apply-patch+yaml" if patch => Ok(Self::ApplyPatch),
            _ if patch => Err(Status::unsupported_media_type(&PATCHES)),
            "" | "application/json" => Ok(Self::Json),
            "application/yaml" => Ok(Self::Yaml),
            // A delete or a get may come with whatever its client sends for everything.
            _ if method == Method::GET || method == Method::HEAD => Ok(Self::Json),
            _ => Err(Status::unsupported_media_type(&OBJECTS)),
        }
    }
}
