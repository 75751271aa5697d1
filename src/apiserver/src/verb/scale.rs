//! `/scale`: how many, of any workload, for those who need not know which.

use api::kinds::{Part, SCALE_TABLE};
use api::patch;
use api::status::Status;
use api::value::{replace, text};
use http::StatusCode;
use serde_json::Value;
use store::Store;

use super::update::{Tracked, change};
use super::{body, patch as patches};
use crate::answer::{self, Answer};
use crate::object::stored::{self, Head};
use crate::request::{Content, Request};

pub(crate) fn get(store: &Store, request: &Request) -> Result<Answer, Status> {
    let kind = request.kind();
    let key = stored::key(kind, request.namespace(), request.name());
    let entry = store.get(&key).ok_or_else(|| request.not_found())?;
    let object = Head::of(kind).decode(&entry).map_err(|error| answer::damaged(&entry, &error))?;
    Ok(answer::object(StatusCode::OK, request.accept, &SCALE_TABLE, kind.scale_of(&object)))
}

/// Sets the replicas to what the sent Scale, or the Scale as patched, asks for.
pub(crate) async fn set(store: &Store, request: &Request) -> Result<Answer, Status> {
    let kind = request.kind();
    let sent = match request.content {
        Content::Yaml => body::yaml(&request.body)?,
        _ => serde_json::from_slice(&request.body)
            .map_err(|error| Status::bad_request(format!("the Scale cannot be read: {error}")))?,
    };
    let changed = change(store, request, Part::Main, Tracked::Not, |old| {
        let scale = wanted(request, kind.scale_of(old), &sent)?;
        let mut new = old.clone();
        let revision = Some(text(&scale, "metadata.resourceVersion")).filter(|revision| !revision.is_empty());
        // A Scale that names no revision means whatever is there.
        replace(&mut new["metadata"], "resourceVersion", revision.map(Value::from));
        kind.set_scale(&mut new, &scale);
        Ok(new)
    });
    let object = changed.await?.object(kind)?;
    Ok(answer::object(StatusCode::OK, request.accept, &SCALE_TABLE, kind.scale_of(&object)))
}

fn wanted(request: &Request, mut current: Value, sent: &Value) -> Result<Value, Status> {
    match request.content {
        Content::Json | Content::Yaml | Content::Foreign => Ok(sent.clone()),
        Content::ApplyPatch => {
            Err(Status::bad_request("a Scale cannot be applied; patch it, or apply the object itself"))
        }
        Content::JsonPatch => patch::json(current, sent).map_err(|error| patches::refused(&error)),
        Content::MergePatch | Content::StrategicPatch => {
            replace(&mut current["metadata"], "resourceVersion", None);
            patch::merge(current, sent).map_err(|error| patches::refused(&error))
        }
    }
}
