//! The end of an object: at once, after a grace period, or when its finalizers let it go.

use api::metadata::begin_deletion;
use api::status::{self, Status};
use api::value::{list, text};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Entry, Store, WriteError};

use super::{body, update, write};
use crate::admit::{Attempt, Operation};
use crate::answer::{self, Answer};
use crate::object::selected::Selected;
use crate::object::stored::{self, Head};
use crate::request::{Content, Request};

const TRIES: usize = 16;
const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// What the client says of the end it wants.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options {
    grace_period_seconds: Option<i64>,
    propagation_policy: Option<String>,
    orphan_dependents: Option<bool>,
    preconditions: Option<Preconditions>,
    dry_run: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

pub(crate) async fn delete(store: &Store, request: &Request) -> Result<Answer, Status> {
    let options = Options::of(request)?;
    let key = stored::key(request.kind(), request.namespace(), request.name());
    for _ in 0..TRIES {
        let entry = store.get(&key).ok_or_else(|| request.not_found())?;
        match end(store, request, &options, &entry).await? {
            Some(End::Gone(object)) => return Ok(gone(request, &object)),
            Some(End::Begun(object)) => {
                return Ok(answer::object(StatusCode::OK, request.accept, request.kind().table, object));
            }
            None => {}
        }
    }
    Err(Status::modified(request.subject(), request.name()))
}

/// Deletes all that are selected, and shows them as they were.
pub(crate) async fn delete_collection(store: &Store, request: &Request) -> Result<Answer, Status> {
    let (kind, options) = (request.kind(), Options::of(request)?);
    let selected = Selected::new(request)?;
    let snapshot = store.snapshot(&stored::collection(kind, request.namespace()));
    let mut items = Vec::new();
    for listed in snapshot.iter() {
        if !selected.matches(kind, listed)? {
            continue;
        }
        for _ in 0..TRIES {
            let Some(entry) = store.get(listed.key()) else { break };
            if let Some(End::Gone(object) | End::Begun(object)) =
                end(store, request, &options, &entry).await?
            {
                items.push(object);
                break;
            }
        }
    }
    Ok(answer::value(
        StatusCode::OK,
        &json!({
            "kind": kind.list_kind, "apiVersion": kind.api_version(), "items": items,
            "metadata": {"resourceVersion": store.revision().to_string()},
        }),
    ))
}

enum End {
    Gone(Value),
    /// It stays until its time is over, or its finalizers are gone.
    Begun(Value),
}

/// One attempt; none if somebody else changed the object meanwhile.
async fn end(
    store: &Store,
    request: &Request,
    options: &Options,
    entry: &Entry,
) -> Result<Option<End>, Status> {
    let kind = request.kind();
    let old = Head::of(kind).decode(entry).map_err(|error| answer::damaged(entry, &error))?;
    options.check(request, &old)?;
    Attempt { store, request, operation: Operation::Delete }.judge(&old)?;
    let mut object = old.clone();
    options.propagate(&mut object);
    let grace = kind.grace(&object, options.grace_period_seconds);
    let held = !list(&object, "metadata.finalizers").is_empty() || update::is_held_namespace(kind, &object);
    if grace == 0 && !held {
        if options.is_dry_run(request)? {
            return Ok(Some(End::Gone(old)));
        }
        return settled(write::remove(store, kind, entry, &old).await.map(|_| End::Gone(old)), request);
    }
    let begun = begin_deletion(&mut object, grace, Timestamp::now());
    if update::is_held_namespace(kind, &object) {
        object["status"]["phase"] = "Terminating".into();
    }
    if !begun && object == old || options.is_dry_run(request)? {
        return Ok(Some(End::Begun(object)));
    }
    let written = write::replace(store, kind, entry, &old, &object).await.map(|event| {
        stored::set_revision(&mut object, event.revision());
        End::Begun(object)
    });
    settled(written, request)
}

fn settled(result: Result<End, WriteError>, request: &Request) -> Result<Option<End>, Status> {
    match result {
        Ok(end) => Ok(Some(end)),
        Err(WriteError::Conflict { .. }) => Ok(None),
        Err(error) => Err(write::refused(&error, request.subject(), request.name())),
    }
}

fn gone(request: &Request, object: &Value) -> Answer {
    let uid = text(object, "metadata.uid");
    answer::value(StatusCode::OK, &status::success(request.subject(), request.name(), uid))
}

impl Options {
    /// From the body, or from the query where there is none.
    fn of(request: &Request) -> Result<Self, Status> {
        let wrong = |error: serde_json::Error| {
            Status::bad_request(format!("the delete options cannot be read: {error}"))
        };
        if !request.body.is_empty() {
            let value = match request.content {
                Content::Yaml => body::yaml(&request.body)?,
                _ => serde_json::from_slice(&request.body).map_err(wrong)?,
            };
            return serde_json::from_value(value).map_err(wrong);
        }
        Ok(Self {
            grace_period_seconds: request.query.number("gracePeriodSeconds")?,
            propagation_policy: request.query.text("propagationPolicy").map(Into::into),
            orphan_dependents: request
                .query
                .text("orphanDependents")
                .map(|_| request.query.flag("orphanDependents")),
            ..Self::default()
        })
    }

    fn is_dry_run(&self, request: &Request) -> Result<bool, Status> {
        Ok(request.query.dry_run()? || self.dry_run.iter().any(|run| run == "All"))
    }

    fn check(&self, request: &Request, object: &Value) -> Result<(), Status> {
        let Some(preconditions) = &self.preconditions else { return Ok(()) };
        let held = [
            ("UID", "UID in object meta", &preconditions.uid, text(object, "metadata.uid")),
            (
                "ResourceVersion",
                "ResourceVersion in object meta",
                &preconditions.resource_version,
                text(object, "metadata.resourceVersion"),
            ),
        ];
        for (what, place, wanted, is) in held {
            if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != is) {
                let why = format!("Precondition failed: {what} in precondition: {wanted}, {place}: {is}");
                return Err(Status::conflict(request.subject(), request.name(), &why));
            }
        }
        Ok(())
    }

    /// Says by finalizer what becomes of the objects that this one owns: the garbage collector acts on it.
    fn propagate(&self, object: &mut Value) {
        let policy = match (self.propagation_policy.as_deref(), self.orphan_dependents) {
            (Some(policy), _) => policy,
            (None, Some(true)) => "Orphan",
            (None, Some(false)) => "Background",
            (None, None) => return,
        };
        let wanted = match policy {
            "Foreground" => Some(FOREGROUND),
            "Orphan" => Some(ORPHAN),
            _ => None,
        };
        let mut finalizers: Vec<Value> = list(object, "metadata.finalizers").to_vec();
        finalizers.retain(|finalizer| finalizer != FOREGROUND && finalizer != ORPHAN);
        finalizers.extend(wanted.map(Value::from));
        let finalizers = (!finalizers.is_empty()).then(|| Value::from(finalizers));
        api::value::replace(&mut object["metadata"], "finalizers", finalizers);
    }
}
