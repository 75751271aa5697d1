//! Server-side apply: "these are my fields, and this is what they should be".

use api::apply::{self, Conflicts, Error};
use api::kinds::Part;
use api::schema::{self, Strict};
use api::status::{Cause, Resource, Status};
use serde_json::Value;
use store::Store;

use super::update::Tracked;
use super::{body, create, update};
use crate::answer::Answer;
use crate::object::manager::Manager;
use crate::object::stored;
use crate::request::Request;

pub(crate) async fn apply(store: &Store, request: &Request, part: Part) -> Result<Answer, Status> {
    let mut config = body::yaml(&request.body)?;
    body::check_type(request.view.unwrap_or(request.kind()), &mut config)?;
    if let Some(view) = request.view {
        let later = view.take_later(&mut config);
        apply::check_undeclared(&config, &later).map_err(|error| refused(&error))?;
        view.to_stored(&mut config);
    }
    body::check_names(request, &config)?;
    let manager = Manager::of(request, part, body::schema_of(request.kind())?);
    let force = request.query.flag("force");
    let laid = |live: Option<&Value>| {
        let object = manager.apply(live, &config, force).map_err(|error| refused(&error))?;
        conformed(request, object)
    };
    let key = stored::key(request.kind(), request.namespace(), request.name());
    if store.get(&key).is_none() && part == Part::Main {
        match create::instead(store, request, laid(None)?, Tracked::Already).await {
            // Somebody was faster: then there is something to lay the configuration over.
            Err(status) if status.reason == "AlreadyExists" => {}
            made => return made,
        }
    }
    update::change(store, request, part, Tracked::Already, |old| Ok(laid(Some(old))?.into()))
        .await?
        .answer(request)
}

fn conformed(request: &Request, object: Value) -> Result<Value, Status> {
    let node = body::schema_of(request.kind())?;
    schema::conform(object, node, &mut Strict::default())
        .map_err(|error| Status::bad_request(error.to_string()))
}

pub(super) fn refused(error: &Error) -> Status {
    match error {
        Error::ManagedFieldsApplied => invalid("metadata.managedFields", "must be nil"),
        Error::Misfit { .. } | Error::Undecodable(_) => Status::unforeseen(error.to_string()),
        Error::Conflict(conflicts) => conflict(conflicts),
    }
}

fn conflict(conflicts: &Conflicts) -> Status {
    let mut status = Status::conflict(Resource { group: "", name: "" }, "", "");
    status.message = conflicts.to_string();
    status.details.causes = conflicts
        .causes()
        .into_iter()
        .map(|cause| Cause {
            reason: "FieldManagerConflict".into(),
            message: cause.message,
            field: cause.field,
        })
        .collect();
    status
}

fn invalid(field: &str, problem: &str) -> Status {
    let mut status =
        Status::bad_request(format!("PatchOptions.meta.k8s.io \"\" is invalid: {field}: {problem}"));
    status.code = 422;
    status.reason = "Invalid";
    status
}
