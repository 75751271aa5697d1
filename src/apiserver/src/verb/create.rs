//! A new object.

use api::kinds::Part;
use api::metadata::Birth;
use api::status::Status;
use api::value::{at, text};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::Value;
use store::{Entry, Store, WriteError};

use super::update::Tracked;
use super::{body, write};
use crate::admit::{Attempt, Operation};
use crate::answer::{self, Answer};
use crate::object::manager::Manager;
use crate::object::stored;
use crate::request::Request;
use crate::{authorize, random, services};

/// Generated names that are tried before the client is asked to.
const TRIES: usize = 8;

pub(crate) async fn create(store: &Store, request: &Request) -> Result<Answer, Status> {
    let kind = request.kind();
    if kind.namespaced && request.namespace().is_none() {
        return Err(Status::bad_request("an empty namespace may not be set during creation"));
    }
    let sent = body::object(request, kind)?;
    body::check_names(request, &sent.object)?;
    let revision: Option<u64> = text(&sent.object, "metadata.resourceVersion").parse().ok();
    if revision.is_some_and(|revision| revision > 0) && !request.query.dry_run() {
        return Err(Status::unforeseen("resourceVersion should not be set on objects to be created"));
    }
    let mut answer = store_new(store, request, sent.object, Tracked::Not).await?;
    write::warn(&mut answer, sent.warnings);
    Ok(answer)
}

/// Stores an object that is not there yet, for a request that would change it if it were: whoever asks must also be
/// allowed to create it.
pub(super) async fn instead(
    store: &Store,
    request: &Request,
    object: Value,
    tracked: Tracked,
) -> Result<Answer, Status> {
    let attempt = authorize::Attempt::Resource(request.resource.access("create"));
    if !request.rights.allows(&request.user, &attempt) {
        return Err(Status::forbidden(request.subject(), request.name(), &attempt.refusal(&request.user)));
    }
    store_new(store, request, object, tracked).await
}

/// Stores an object that is not there yet, under a name of its own if it has none.
async fn store_new(
    store: &Store,
    request: &Request,
    object: Value,
    tracked: Tracked,
) -> Result<Answer, Status> {
    let kind = request.kind();
    let generated = text(&object, "metadata.name").is_empty();
    let dry_run = request.query.dry_run();
    for _ in 0..TRIES {
        let (object, warnings) = prepared(store, request, object.clone(), tracked)?;
        let name = text(&object, "metadata.name").to_string();
        let mut answer = if dry_run {
            answer::object(StatusCode::CREATED, request.accept, kind.table, object)
        } else {
            let key = stored::key(kind, request.namespace(), &name);
            match write::insert(store, kind, key, &object).await {
                Ok(event) => {
                    let entry =
                        event.entry().ok_or_else(|| Status::internal("a create left nothing behind"))?;
                    answer::entry(StatusCode::CREATED, request.accept, kind, entry)?
                }
                // Somebody else was faster with a name or an address that was drawn: draw again.
                Err(WriteError::Exists { current }) if generated || services::is_claim(current.key()) => {
                    continue;
                }
                Err(WriteError::Exists { current }) => return Err(taken(request, &name, &current)),
                Err(error) => return Err(write::refused(&error, request.subject(), &name)),
            }
        };
        write::warn(&mut answer, warnings);
        return Ok(answer);
    }
    Err(Status::generate_name_conflict(request.subject(), text(&object, "metadata.generateName")))
}

/// The object as it will be stored, and what to warn of; or why it will not.
fn prepared(
    store: &Store,
    request: &Request,
    mut object: Value,
    tracked: Tracked,
) -> Result<(Value, Vec<String>), Status> {
    let kind = request.kind();
    let generated = text(&object, "metadata.name").is_empty();
    let (uid, suffix) = (write::uid(), random::suffix());
    let namespace = request.namespace().filter(|_| kind.namespaced);
    kind.default_object(&mut object);
    let admission = Attempt { store, request, operation: Operation::Create };
    admission.change(&mut object)?;
    kind.prepare_create(&mut object, &Birth { namespace, uid: &uid, now: Timestamp::now(), suffix: &suffix });
    if tracked == Tracked::Not {
        Manager::of(request, Part::Main, body::schema_of(kind)?).note(None, &mut object);
    }
    let errors = kind.validate_create(&object);
    if !errors.is_empty() {
        let named = api::status::Resource { group: kind.group, name: kind.kind };
        return Err(Status::invalid(named, text(&object, "metadata.name"), &errors));
    }
    let mut warnings = kind.warnings(&object, None);
    warnings.extend(admission.judge(&object)?);
    // Before anything is handed out: one that is there holds what this one names.
    let name = text(&object, "metadata.name");
    if !generated && let Some(holder) = store.get(&stored::key(kind, request.namespace(), name)) {
        return Err(taken(request, name, &holder));
    }
    services::hand_out(store, kind, &mut object, None)?;
    Ok((object, warnings))
}

/// The refusal of a name that another object has. One that is about to go is said to be: it is worth to come back.
fn taken(request: &Request, name: &str, holder: &Entry) -> Status {
    let mut status = Status::already_exists(request.subject(), name);
    let holder = serde_json::from_slice::<Value>(holder.value()).unwrap_or_default();
    if !at(&holder, "metadata.deletionTimestamp").is_null() {
        status.message.insert_str(0, "object is being deleted: ");
    }
    status
}
