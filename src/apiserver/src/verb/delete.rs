//! The end of an object: at once, after a grace period, or when its finalizers let it go.

use api::field::{Errors, Node};
use api::kinds::{Dependents, Kind, Strategy};
use api::metadata::begin_deletion;
use api::status::{self, Status};
use api::value::{list, text};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Entry, Store, WriteError};

use super::list::Page;
use super::{body, update, write};
use crate::admit::{Attempt, Operation};
use crate::answer::{self, Answer};
use crate::form;
use crate::object::selected::Selected;
use crate::object::stored::{self, Head};
use crate::request::{Content, Request, options};

const TRIES: usize = 16;
const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";
const IGNORED_DAMAGE: &str = "ignoreStoreReadErrorWithClusterBreakingPotential";

/// What the client says of the end it wants.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options {
    grace_period_seconds: Option<i64>,
    propagation_policy: Option<String>,
    orphan_dependents: Option<bool>,
    preconditions: Option<Preconditions>,
    dry_run: Option<Vec<String>>,
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
    match ended(store, request, &options, &key).await?.ok_or_else(|| request.not_found())? {
        End::Gone(object) => Ok(options.warning(request, gone(request, object))),
        End::Begun(object) => {
            // As upstream, for those who asked in the old way that nothing be left behind.
            let waits = options.orphan_dependents == Some(false);
            let code = if waits { StatusCode::ACCEPTED } else { StatusCode::OK };
            Ok(options.warning(request, answer::object(code, request.accept, request.kind().table, object)))
        }
    }
}

/// Deletes what a list with the same options shows, and shows that.
pub(crate) async fn delete_collection(store: &Store, request: &Request) -> Result<Answer, Status> {
    let options = Options::of(request)?;
    let selected = Selected::new(request)?;
    let page = Page::open(store, request, &selected)?;
    for listed in page.entries() {
        if selected.matches(request.kind(), listed)? {
            // Whoever deletes one of them meanwhile does what was asked.
            ended(store, request, &options, listed.key()).await?;
        }
    }
    Ok(options.warning(request, page.answer(request.accept, selected)?))
}

/// Ends an object, whatever others make of it meanwhile; none where there is none, or none any more.
async fn ended(
    store: &Store,
    request: &Request,
    options: &Options,
    key: &str,
) -> Result<Option<End>, Status> {
    for _ in 0..TRIES {
        let Some(entry) = store.get(key) else { return Ok(None) };
        if let Some(end) = end(store, request, options, &entry).await? {
            return Ok(Some(end));
        }
    }
    Err(Status::modified(request.subject(), name(key)))
}

/// Of the object that is stored there.
fn name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or_default()
}

/// The strategy of the version that is asked.
fn asked(request: &Request) -> &'static Strategy {
    &request.view.unwrap_or(request.kind()).strategy
}

enum End {
    Gone(Value),
    /// It stays until its time is over, or its finalizers are gone.
    Begun(Value),
}

/// One attempt; none if somebody else changed or deleted the object meanwhile.
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
    options.propagate(&mut object, asked(request).dependents);
    let grace = kind.grace(&object, options.grace_period_seconds);
    let held = !list(&object, "metadata.finalizers").is_empty() || update::is_held_namespace(kind, &object);
    if grace == 0 && !held {
        if options.is_dry_run(request) {
            return Ok(Some(End::Gone(old)));
        }
        return settled(
            write::remove(store, kind, entry, &old).await.map(|_| End::Gone(old)),
            request,
            entry,
        );
    }
    let begun = begin_deletion(&mut object, grace, Timestamp::now());
    if update::is_held_namespace(kind, &object) {
        object["status"]["phase"] = "Terminating".into();
    }
    if !begun && object == old || options.is_dry_run(request) {
        return Ok(Some(End::Begun(object)));
    }
    let written = write::replace(store, kind, entry, &old, &object).await.map(|event| {
        stored::set_revision(&mut object, event.revision());
        End::Begun(object)
    });
    settled(written, request, entry)
}

fn settled(result: Result<End, WriteError>, request: &Request, entry: &Entry) -> Result<Option<End>, Status> {
    match result {
        Ok(end) => Ok(Some(end)),
        Err(WriteError::Conflict { .. } | WriteError::NotFound { .. }) => Ok(None),
        Err(error) => Err(write::refused(&error, request.subject(), name(entry.key()))),
    }
}

/// Kinds whose deletion is answered with the object as it was.
fn is_shown_when_gone(kind: &Kind) -> bool {
    match kind.group {
        "" => matches!(
            kind.plural,
            "pods"
                | "podtemplates"
                | "services"
                | "serviceaccounts"
                | "persistentvolumes"
                | "persistentvolumeclaims"
                | "resourcequotas"
        ),
        "storage.k8s.io" => {
            matches!(kind.plural, "storageclasses" | "volumeattachments" | "csinodes" | "csidrivers")
        }
        _ => false,
    }
}

fn gone(request: &Request, object: Value) -> Answer {
    if is_shown_when_gone(request.kind()) {
        return answer::object(StatusCode::OK, request.accept, request.kind().table, object);
    }
    let uid = text(&object, "metadata.uid");
    answer::value(StatusCode::OK, &status::success(request.subject(), request.name(), uid))
}

fn unreadable(error: &serde_json::Error) -> Status {
    Status::bad_request(format!("the delete options cannot be read: {error}"))
}

/// Refuses options that upstream does not have, or not together.
fn check(said: &Value) -> Result<(), Status> {
    let root = Node::root(said);
    let (policy, orphan) = (root.at("propagationPolicy"), root.at("orphanDependents"));
    let mut errors = Errors::new();
    if policy.is_set() && orphan.is_set() {
        errors.push(policy.invalid("orphanDependents and deletionPropagation cannot be both set"));
    }
    if policy.is_set() && !matches!(policy.text(), "Foreground" | "Background" | "Orphan") {
        errors.push(policy.unsupported(&["Foreground", "Background", "Orphan", "nil"]));
    }
    errors.extend(options::dry_run(&root.at("dryRun")));
    let damage = root.at(IGNORED_DAMAGE);
    if damage.is_set() && !damage.is_zero() {
        errors.push(
            damage
                .forbidden("an object that cannot be read is not deleted through the API: restore a backup"),
        );
    }
    options::refuse("DeleteOptions", &errors)
}

impl Options {
    /// From the body, or from the query where there is none.
    fn of(request: &Request) -> Result<Self, Status> {
        let said = if request.body.is_empty() { Self::in_query(request)? } else { Self::in_body(request)? };
        check(&said)?;
        let options: Option<Self> = serde_json::from_value(said).map_err(|error| unreadable(&error))?;
        // As Go reads it: null says nothing.
        Ok(options.unwrap_or_default())
    }

    fn in_body(request: &Request) -> Result<Value, Status> {
        let said = match request.content {
            Content::Yaml => body::yaml(&request.body)?,
            Content::Foreign => return Err(Content::unsupported(form::has_protobuf(request.kind()))),
            _ => serde_json::from_slice(&request.body).map_err(|error| unreadable(&error))?,
        };
        if !matches!(text(&said, "kind"), "" | "DeleteOptions") {
            return Err(Status::bad_request("decoded object cannot be converted to DeleteOptions"));
        }
        Ok(said)
    }

    fn in_query(request: &Request) -> Result<Value, Status> {
        let query = &request.query;
        let mut said = json!({});
        for name in ["orphanDependents", IGNORED_DAMAGE] {
            if query.text(name).is_some() {
                said[name] = query.flag(name).into();
            }
        }
        if let Some(seconds) = query.number("gracePeriodSeconds")? {
            said["gracePeriodSeconds"] = seconds.into();
        }
        if let Some(policy) = query.text("propagationPolicy") {
            said["propagationPolicy"] = policy.into();
        }
        said["dryRun"] = query.pairs().filter(|(name, _)| *name == "dryRun").map(|(_, run)| run).collect();
        Ok(said)
    }

    fn is_dry_run(&self, request: &Request) -> bool {
        request.query.dry_run() || self.dry_run.iter().flatten().any(|run| run == "All")
    }

    fn check(&self, request: &Request, object: &Value) -> Result<(), Status> {
        let Some(preconditions) = &self.preconditions else { return Ok(()) };
        let subject = status::Resource { group: request.kind().group, name: request.kind().kind };
        let refused = |why: String| Err(Status::conflict(subject, text(object, "metadata.name"), &why));
        let (uid, revision) = (text(object, "metadata.uid"), text(object, "metadata.resourceVersion"));
        if let Some(wanted) = preconditions.uid.as_deref().filter(|wanted| *wanted != uid) {
            return refused(format!(
                "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have \
                 been deleted and then recreated"
            ));
        }
        if let Some(wanted) = preconditions.resource_version.as_deref().filter(|wanted| *wanted != revision) {
            return refused(format!(
                "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record \
                 ({revision}). The object might have been modified"
            ));
        }
        Ok(())
    }

    /// The answer, with what a client is told that leaves it to the kind what becomes of its dependents.
    fn warning(&self, request: &Request, mut answer: Answer) -> Answer {
        let said = self.propagation_policy.is_some() || self.orphan_dependents.is_some();
        if let Dependents::StayWith(warning) = asked(request).dependents
            && !said
        {
            write::warn(&mut answer, [warning.to_owned()]);
        }
        answer
    }

    /// Says by finalizer what becomes of the objects that this one owns: the garbage collector acts on it.
    fn propagate(&self, object: &mut Value, usual: Dependents) {
        let said = |name: &str| list(object, "metadata.finalizers").iter().any(|finalizer| finalizer == name);
        let policy = match (self.propagation_policy.as_deref(), self.orphan_dependents) {
            (Some(policy), _) => policy,
            (None, Some(true)) => "Orphan",
            (None, Some(false)) => "Background",
            (None, None) if usual == Dependents::Go || said(FOREGROUND) || said(ORPHAN) => return,
            (None, None) => "Orphan",
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
