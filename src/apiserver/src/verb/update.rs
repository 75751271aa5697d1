//! A change of an object that is there, by whatever says what it should be next.

use api::field::Node;
use api::kinds::{Kind, Part};
use api::status::{self, Status};
use api::table::Table;
use api::value::{at, default_zero_to, int, list, text};
use http::StatusCode;
use serde_json::Value;
use store::{Entry, Store, WriteError};

use super::{body, create, write};
use crate::admit::{Attempt, Operation};
use crate::answer::{self, Answer};
use crate::object::manager::Manager;
use crate::object::stored::{self, Head};
use crate::request::{Request, Resource};
use crate::services;

/// Times a change is made anew because others were faster.
const TRIES: usize = 16;

/// Whether the fields that a change writes are already noted as its manager's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracked {
    Already,
    Not,
}

pub(crate) async fn update(store: &Store, request: &Request, part: Part) -> Result<Answer, Status> {
    let sent = body::object(request, request.kind())?;
    body::check_names(request, &sent.object)?;
    let key = stored::key(request.kind(), request.namespace(), request.name());
    if store.get(&key).is_none() {
        check_uid(request, &sent.object, "")?;
        if part == Part::Main && request.kind().strategy.create_on_update {
            match create::instead(store, request, sent.object.clone(), Tracked::Not).await {
                // Somebody was faster: then there is something to change.
                Err(status) if status.reason == "AlreadyExists" => {}
                made => {
                    let mut answer = made?;
                    write::warn(&mut answer, sent.warnings);
                    return Ok(answer);
                }
            }
        }
    }
    let changed = change(store, request, part, Tracked::Not, |_| Ok(sent.object.clone().into())).await?;
    let mut answer = changed.answer(request)?;
    write::warn(&mut answer, sent.warnings);
    Ok(answer)
}

/// An object after a change, and what the client should be warned of.
#[derive(Debug)]
pub(crate) struct Changed {
    object: Result<Entry, Value>,
    warnings: Vec<String>,
}

impl Changed {
    pub(crate) fn answer(self, request: &Request) -> Result<Answer, Status> {
        let kind = request.kind();
        let mut answer = match self.object {
            Ok(entry) => answer::entry(StatusCode::OK, request.accept, kind, &entry)?,
            Err(dry_run) => answer::object(StatusCode::OK, request.accept, kind.table, dry_run),
        };
        write::warn(&mut answer, self.warnings);
        Ok(answer)
    }

    /// The object as what a subresource shows of it.
    pub(super) fn shown(
        self,
        request: &Request,
        table: &Table,
        show: impl FnOnce(&Value) -> Value,
    ) -> Result<Answer, Status> {
        let object = self.object.map_or_else(Ok, |entry| {
            Head::of(request.kind()).decode(&entry).map_err(|error| answer::damaged(&entry, &error))
        })?;
        let mut answer = answer::object(StatusCode::OK, request.accept, table, show(&object));
        write::warn(&mut answer, self.warnings);
        Ok(answer)
    }
}

/// What an object is to be, made from what it is.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) object: Value,
    pub(crate) warnings: Vec<String>,
}

impl From<Value> for Next {
    fn from(object: Value) -> Self {
        Self { object, warnings: Vec::new() }
    }
}

/// Replaces the object by what `next` makes of it, prepared and checked by the rules of its kind.
pub(crate) async fn change(
    store: &Store,
    request: &Request,
    part: Part,
    tracked: Tracked,
    next: impl Fn(&Value) -> Result<Next, Status>,
) -> Result<Changed, Status> {
    rewrite(store, &request.resource, request.query.dry_run(), |old| {
        let new = next(old)?;
        let (object, mut warnings) = prepared(store, request, part, tracked, new.object, old)?;
        warnings.extend(new.warnings);
        Ok(Next { object, warnings })
    })
    .await
}

/// Replaces the object by what `next` makes of it, as it is.
pub(crate) async fn rewrite(
    store: &Store,
    resource: &Resource,
    dry_run: bool,
    next: impl Fn(&Value) -> Result<Next, Status>,
) -> Result<Changed, Status> {
    let (kind, name) = (resource.kind, resource.name.as_deref().unwrap_or_default());
    let subject = status::Resource { group: kind.group, name: kind.plural };
    let key = stored::key(kind, resource.namespace.as_deref(), name);
    for _ in 0..TRIES {
        let entry = store.get(&key).ok_or_else(|| Status::not_found(subject, name))?;
        let mut old = Head::of(kind).decode(&entry).map_err(|error| answer::damaged(&entry, &error))?;
        // A default that is younger than the object is nobody's change of it.
        kind.default_object(&mut old);
        let Next { object: new, warnings } = next(&old)?;
        if dry_run {
            return Ok(Changed { object: Err(new), warnings });
        }
        match commit(store, kind, &entry, &old, &new).await {
            Ok(entry) => return Ok(Changed { object: Ok(entry), warnings }),
            // One that named a revision is refused by `next` now: what is there has another.
            Err(WriteError::Conflict { .. }) => {}
            Err(WriteError::Exists { current }) if services::is_claim(current.key()) => {}
            Err(error) => return Err(write::refused(&error, subject, name)),
        }
    }
    Err(Status::modified(subject, name))
}

/// The entry as it is afterwards; as it was at the end, if the change let the object go.
async fn commit(
    store: &Store,
    kind: &Kind,
    entry: &Entry,
    old: &Value,
    new: &Value,
) -> Result<Entry, WriteError> {
    if is_free_to_go(kind, new) {
        write::remove(store, kind, entry, old).await?;
        return Ok(entry.clone());
    }
    // A change of nothing is none: no write, no event, the same revision.
    if new == old {
        return Ok(entry.clone());
    }
    let event = write::replace(store, kind, entry, old, new).await?;
    Ok(event.entry().unwrap_or(entry).clone())
}

/// Whether a deletion waited for nothing but what this object no longer says.
pub(super) fn is_free_to_go(kind: &Kind, object: &Value) -> bool {
    let deleted = !at(object, "metadata.deletionTimestamp").is_null();
    let held = !list(object, "metadata.finalizers").is_empty() || is_held_namespace(kind, object);
    deleted && !held && int(object, "metadata.deletionGracePeriodSeconds") == 0
}

/// A namespace goes when its controller has emptied it and said so.
pub(super) fn is_held_namespace(kind: &Kind, object: &Value) -> bool {
    kind.group.is_empty() && kind.kind == "Namespace" && !list(object, "spec.finalizers").is_empty()
}

fn prepared(
    store: &Store,
    request: &Request,
    part: Part,
    tracked: Tracked,
    mut new: Value,
    old: &Value,
) -> Result<(Value, Vec<String>), Status> {
    let kind = request.kind();
    check_identity(request, &new, old)?;
    // Whoever leaves it out means the one in the path.
    if let Some(namespace) = request.namespace() {
        default_zero_to(&mut new["metadata"], "namespace", namespace);
    }
    kind.default_object(&mut new);
    let admission = Attempt { store, request, operation: Operation::Update(old) };
    admission.change(&mut new)?;
    kind.prepare_update(&mut new, old, part);
    if tracked == Tracked::Not {
        Manager::of(request, part, body::schema_of(kind)?).note(Some(old), &mut new);
    }
    let errors = kind.validate_update(&new, old, part);
    if !errors.is_empty() {
        let named = status::Resource { group: kind.group, name: kind.kind };
        return Err(Status::invalid(named, request.name(), &errors));
    }
    let mut warnings = match part {
        Part::Main => kind.warnings(&new, Some(old)),
        Part::Status | Part::Sub(_) => Vec::new(),
    };
    warnings.extend(admission.judge(&new)?);
    services::hand_out(store, kind, &mut new, Some(old))?;
    // The revision is the store's to say; here it only has to be equal for what is equal.
    api::value::replace(
        &mut new["metadata"],
        "resourceVersion",
        old["metadata"].get("resourceVersion").cloned(),
    );
    Ok((new, warnings))
}

/// The object that the client means has this uid; an empty one where there is none.
fn check_uid(request: &Request, new: &Value, is: &str) -> Result<(), Status> {
    let said = text(new, "metadata.uid");
    if said.is_empty() || said == is {
        return Ok(());
    }
    let key = stored::key(request.kind(), request.namespace(), request.name());
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry{key}, ResourceVersion: 0, AdditionalErrorMsg: \
         Precondition failed: UID in precondition: {said}, UID in object meta: {is}"
    );
    Err(Status::conflict(request.subject(), request.name(), &why))
}

/// The object that the client means is the one that is there.
fn check_identity(request: &Request, new: &Value, old: &Value) -> Result<(), Status> {
    check_uid(request, new, text(old, "metadata.uid"))?;
    let (said, is) = (text(new, "metadata.resourceVersion"), text(old, "metadata.resourceVersion"));
    match said {
        "" | "0" if request.kind().strategy.unconditional_update => Ok(()),
        "" | "0" => {
            // In upstream's words, which are about a number here, and about a resource where all others are about a kind.
            let root = Node::root(new);
            let unsaid =
                root.at("metadata.resourceVersion").invalid_unshown("0x0: must be specified for an update");
            Err(Status::invalid(request.subject(), request.name(), &[unsaid]))
        }
        said if said == is => Ok(()),
        _ => Err(Status::modified(request.subject(), request.name())),
    }
}
