//! `/scale`: how many, of any workload, for those who need not know which.
//!
//! A Scale has no revision and no managed fields of its own: what is written through it is a write of `spec.replicas` of the
//! workload, by a manager that is known to write through `scale`.

use api::apply::{self, Error};
use api::kinds::{Part, SCALE_TABLE, Subresource, validate_scale};
use api::status::{Resource, Status};
use api::value::{at, replace, text};
use http::StatusCode;
use serde_json::{Value, json};
use store::Store;

use super::apply as applied;
use super::body::{self, Expected};
use super::patch::Change;
use super::update::{Next, Tracked, change};
use crate::answer::{self, Answer};
use crate::object::manager::Manager;
use crate::object::stored::{self, Head};
use crate::request::{Content, Request};

pub(crate) fn get(store: &Store, request: &Request) -> Result<Answer, Status> {
    let kind = request.kind();
    let key = stored::key(kind, request.namespace(), request.name());
    let entry = store.get(&key).ok_or_else(|| request.not_found())?;
    let object = Head::of(kind).decode(&entry).map_err(|error| answer::damaged(&entry, &error))?;
    Ok(answer::object(StatusCode::OK, request.accept, &SCALE_TABLE, kind.scale_of(&object)))
}

/// Sets the replicas to what the sent Scale, the Scale as patched, or the applied configuration asks for.
pub(crate) async fn set(
    store: &Store,
    request: &Request,
    subresource: &'static Subresource,
) -> Result<Answer, Status> {
    let kind = request.kind();
    let wanted = Wanted::of(request, subresource)?;
    let manager = Manager::of(request, Part::Sub(subresource.name), body::schema_of(kind)?);
    let changed =
        change(store, request, Part::Main, Tracked::Already, |old| wanted.laid(request, &manager, old));
    changed.await?.shown(request, &SCALE_TABLE, |workload| kind.scale_of(workload))
}

/// What the body asks for.
#[derive(Debug)]
enum Wanted {
    Scale(body::Sent),
    Patch(Change, Expected),
    /// An applied configuration, as one of the workload, and the version of the Scale.
    Config(Value, String),
}

impl Wanted {
    fn of(request: &Request, subresource: &'static Subresource) -> Result<Self, Status> {
        let expected = Expected::below(subresource)?;
        match request.content {
            Content::ApplyPatch => Ok(Self::Config(config(request, &expected)?, subresource.api_version())),
            Content::JsonPatch | Content::MergePatch | Content::StrategicPatch => {
                Ok(Self::Patch(Change::of(request)?, expected))
            }
            Content::Json | Content::Yaml | Content::Foreign => {
                let sent = body::decode(request, &expected)?;
                body::check_names(request, &sent.object)?;
                Ok(Self::Scale(sent))
            }
        }
    }

    /// The workload, with as many replicas as asked for.
    fn laid(&self, request: &Request, manager: &Manager, old: &Value) -> Result<Next, Status> {
        match self {
            Self::Scale(sent) => scaled(request, manager, old, sent),
            Self::Patch(change, expected) => {
                let scale = || request.kind().scale_of(old);
                let patched = change.apply(request, scale, expected.node(), expected)?;
                same_object(request, &patched.object, old)?;
                scaled(request, manager, old, &patched)
            }
            Self::Config(config, version) => {
                same_object(request, config, old)?;
                let laid = manager.apply(Some(old), config, request.query.flag("force"));
                let laid = laid.map_err(|error| applied::refused(&error.told_in(version)))?;
                let mut new = old.clone();
                // Who no longer states the number leaves none behind.
                request.kind().set_scale(&mut new, &laid);
                check(&laid, request.name())?;
                replace(
                    &mut new["metadata"],
                    "managedFields",
                    laid["metadata"].get("managedFields").cloned(),
                );
                Ok(new.into())
            }
        }
    }
}

fn scaled(request: &Request, manager: &Manager, old: &Value, sent: &body::Sent) -> Result<Next, Status> {
    let scale = &sent.object;
    check(scale, request.name())?;
    let mut object = old.clone();
    request.kind().set_scale(&mut object, scale);
    manager.note(Some(old), &mut object);
    for field in ["uid", "resourceVersion"] {
        // A Scale that names no revision means whatever is there.
        let said = Some(text(at(scale, "metadata"), field)).filter(|said| !said.is_empty());
        replace(&mut object["metadata"], field, said.map(Value::from));
    }
    Ok(Next { object, warnings: sent.warnings.clone() })
}

/// Whether a patch means this object. Who replaces the Scale is told as who replaces the workload.
fn same_object(request: &Request, scale: &Value, old: &Value) -> Result<(), Status> {
    let (said, is) = (text(scale, "metadata.uid"), text(old, "metadata.uid"));
    if said.is_empty() || said == is {
        return Ok(());
    }
    let resource = format!("{}/scale", request.kind().plural);
    let why = format!("Precondition failed: UID in precondition: {said}, UID in object meta: {is}");
    Err(Status::conflict(Resource { group: request.kind().group, name: &resource }, request.name(), &why))
}

fn check(scale: &Value, name: &str) -> Result<(), Status> {
    let errors = validate_scale(scale);
    if errors.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(Resource { group: "autoscaling", name: "Scale" }, name, &errors))
}

/// An applied Scale, as the configuration of the workload that says the same.
fn config(request: &Request, expected: &Expected) -> Result<Value, Status> {
    let mut scale = body::yaml(&request.body)?;
    expected.check(&mut scale)?;
    body::check_names(request, &scale)?;
    apply::check(&scale, expected.node()).map_err(|error: Error| applied::refused(&error))?;
    let kind = request.kind();
    let mut config = json!({"apiVersion": kind.api_version(), "kind": kind.kind,
        "metadata": {"name": request.name(), "namespace": request.namespace()}});
    let uid = text(&scale, "metadata.uid");
    replace(&mut config["metadata"], "uid", Some(uid.into()).filter(|_| !uid.is_empty()));
    if !at(&scale, "spec.replicas").is_null() {
        config["spec"] = json!({"replicas": at(&scale, "spec.replicas")});
    }
    Ok(config)
}
