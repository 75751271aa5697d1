//! Namespaces: nothing is created in one that is not there or on its way out, and some never go.

use api::status::{Cause, Resource, Status};
use api::value::text;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Attempt, Operation, Warnings};

/// The cluster lives in these.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Whether it is on its way out: every create asks.
#[derive(Deserialize)]
struct Namespace {
    metadata: Deletion,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Deletion {
    deletion_timestamp: Option<IgnoredAny>,
}

/// Changes nothing, but comes before all that looks for something in the namespace.
pub(super) fn change(attempt: &Attempt<'_>, object: &mut Value) -> Result<(), Status> {
    takes(attempt, object)
}

pub(super) fn judge(attempt: &Attempt<'_>, object: &Value) -> Result<Warnings, Status> {
    let deletes = matches!(attempt.operation, Operation::Delete) && attempt.is_of("", "Namespace");
    if deletes && IMMORTAL.contains(&text(object, "metadata.name")) {
        return Err(attempt.forbidden(object, "this namespace may not be deleted"));
    }
    Ok(Warnings::new())
}

pub(super) fn takes(attempt: &Attempt<'_>, object: &Value) -> Result<(), Status> {
    if !attempt.kind().namespaced || !matches!(attempt.operation, Operation::Create) {
        return Ok(());
    }
    let namespace = attempt.namespace();
    let missing = || Status::not_found(Resource { group: "", name: "namespaces" }, namespace);
    let entry = attempt.store.get(&format!("/namespaces/{namespace}")).ok_or_else(missing)?;
    let parsed: Namespace = serde_json::from_slice(entry.value()).map_err(|error| {
        Status::internal(&format!("the stored namespace {namespace} cannot be read: {error}"))
    })?;
    if parsed.metadata.deletion_timestamp.is_none() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let mut status = attempt.forbidden(object, &why);
    status.details.causes.push(Cause {
        reason: "NamespaceTerminating".into(),
        message: format!("namespace {namespace} is being terminated"),
        field: "metadata.namespace".into(),
    });
    Err(status)
}
