//! Storage is not deleted while pods use it: a finalizer holds it until its controller sees that none does.

use api::status::Status;
use api::value::{list, object};
use serde_json::Value;

use super::{Attempt, Operation};

pub(super) fn change(attempt: &Attempt<'_>, storage: &mut Value) -> Result<(), Status> {
    let kind = attempt.kind();
    let finalizer = match (kind.group, kind.kind) {
        ("", "PersistentVolumeClaim") => "kubernetes.io/pvc-protection",
        ("", "PersistentVolume") => "kubernetes.io/pv-protection",
        ("storage.k8s.io", "VolumeAttributesClass") => "kubernetes.io/vac-protection",
        _ => return Ok(()),
    };
    let held = list(storage, "metadata.finalizers").iter().any(|known| known == finalizer);
    if !matches!(attempt.operation, Operation::Create) || held {
        return Ok(());
    }
    let mut finalizers = list(storage, "metadata.finalizers").to_vec();
    finalizers.push(finalizer.into());
    if let Some(metadata) = object(storage, "metadata") {
        metadata.insert("finalizers".into(), finalizers.into());
    }
    Ok(())
}
