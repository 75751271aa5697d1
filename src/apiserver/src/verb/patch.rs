//! A change that says only what is different.

use api::kinds::Part;
use api::patch;
use api::schema::{self, Strict};
use api::status::Status;
use serde_json::Value;
use store::Store;

use super::update::Tracked;
use super::{body, update, write};
use crate::answer::Answer;
use crate::request::{Content, Request};

pub(crate) async fn patch(store: &Store, request: &Request, part: Part) -> Result<Answer, Status> {
    let mut strict = Strict::default();
    let change = schema::parse(&request.body, &mut strict);
    let change = change.map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
    let warnings = body::judge(request, request.kind(), strict)?;
    let changed =
        update::change(store, request, part, Tracked::Not, |old| patched(request, old, &change)).await?;
    let mut answer = changed.answer(request)?;
    write::warn(&mut answer, warnings);
    Ok(answer)
}

fn patched(request: &Request, old: &Value, change: &Value) -> Result<Value, Status> {
    let node = body::schema_of(request.kind())?;
    let mut old = old.clone();
    if let Some(view) = request.view {
        view.from_stored(&mut old);
    }
    let patched = match request.content {
        Content::JsonPatch => patch::json(old, change),
        Content::MergePatch => patch::merge(old, change),
        Content::StrategicPatch => {
            patch::strategic(old, change, body::schema_of(request.view.unwrap_or(request.kind()))?)
        }
        Content::Json | Content::Yaml | Content::ApplyPatch | Content::Foreign => {
            return Err(Status::internal("this content is not a patch of an object that exists"));
        }
    };
    let mut patched = patched.map_err(|error| refused(&error))?;
    if let Some(view) = request.view {
        view.to_stored(&mut patched);
    }
    let mut strict = Strict::default();
    let object = schema::conform(patched, node, &mut strict);
    let object = object.map_err(|error| Status::bad_request(error.to_string()))?;
    body::judge(request, request.kind(), strict)?;
    body::check_names(request, &object)?;
    Ok(object)
}

pub(super) fn refused(error: &patch::Error) -> Status {
    match error.class() {
        patch::Class::BadRequest => Status::bad_request(error.to_string()),
        patch::Class::TooLarge => Status::request_entity_too_large(&error.to_string()),
        patch::Class::Unprocessable => Status::unprocessable(&error.to_string()),
        patch::Class::Internal => Status::unforeseen(error.to_string()),
    }
}
