//! A claim grows only if its class says that its volumes can.

use api::quantity::Quantity;
use api::status::Status;
use api::value::{flag, text};
use serde_json::Value;

use super::{Attempt, Operation, Warnings, annotation, built_in};

pub(super) fn judge(attempt: &Attempt<'_>, claim: &Value) -> Result<Warnings, Status> {
    let Operation::Update(old) = attempt.operation else { return Ok(Warnings::new()) };
    if !attempt.is_of("", "PersistentVolumeClaim")
        || asked(claim) <= asked(old)
        || may_grow(attempt, claim, old)?
    {
        return Ok(Warnings::new());
    }
    let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support \
               resize";
    Err(attempt.forbidden(claim, why))
}

fn asked(claim: &Value) -> Option<Quantity> {
    text(claim, "spec.resources.requests.storage").parse().ok()
}

fn may_grow(attempt: &Attempt<'_>, claim: &Value, old: &Value) -> Result<bool, Status> {
    let name = class(claim);
    if name.is_empty() || name != class(old) {
        return Ok(false);
    }
    let found = attempt.find(built_in("storage.k8s.io", "storageclasses")?, None, name);
    Ok(found.is_some_and(|class| flag(&class, "allowVolumeExpansion")))
}

/// The annotation is the older way to name it, and goes before.
fn class(claim: &Value) -> &str {
    match annotation(claim, "volume.beta.kubernetes.io/storage-class") {
        "" => text(claim, "spec.storageClassName"),
        annotated => annotated,
    }
}
