//! Admission: rules that need to know more than the object.

use api::status::{Cause, Resource, Status};
use api::value::text;
use serde_json::Value;
use store::Store;

use crate::request::Request;

/// May this object come into being, here and now?
pub(crate) fn create(store: &Store, request: &Request, object: &mut Value) -> Result<(), Status> {
    namespace_takes(store, request, text(object, "metadata.name"))
}

/// Nothing is created in a namespace that is not there, or on its way out.
fn namespace_takes(store: &Store, request: &Request, name: &str) -> Result<(), Status> {
    let Some(namespace) = request.namespace().filter(|_| request.kind().namespaced) else { return Ok(()) };
    let missing = || Status::not_found(Resource { group: "", name: "namespaces" }, namespace);
    let entry = store.get(&format!("/namespaces/{namespace}")).ok_or_else(missing)?;
    let parsed: Value = serde_json::from_slice(entry.value()).map_err(|error| {
        Status::internal(&format!("the stored namespace {namespace} cannot be read: {error}"))
    })?;
    if parsed["metadata"]["deletionTimestamp"].is_null() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let mut status = Status::forbidden(request.subject(), name, &why);
    status.details.causes.push(Cause {
        reason: "NamespaceTerminating".into(),
        message: format!("namespace {namespace} is being terminated"),
        field: "metadata.namespace".into(),
    });
    Err(status)
}
