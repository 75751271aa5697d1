//! The volume claims of the pods: made before the pod, kept after it, unless the set says that they go too.

use client::{Error, Key, Patch, Severity};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::json;

use super::identity;
use crate::context::Context;
use crate::owner;

/// Makes the claims of a pod that are missing.
pub(super) async fn make(context: &Context, set: &StatefulSet, ordinal: i32) -> Result<(), Error> {
    let cache = context.caches.of::<PersistentVolumeClaim>();
    cache.synced().await;
    for mut claim in identity::claims(set, ordinal) {
        let key = Key::of(&claim);
        if cache.get(&key).is_some() {
            continue;
        }
        claim.metadata.owner_references = wanted(set, None).map(|owner| vec![owner]);
        let (pod, set_name) = (format!("{}-{ordinal}", name(set)), name(set));
        match context.client().create(&claim).await {
            Ok(made) => {
                cache.seen(&made.metadata).await;
                let message =
                    format!("create Claim {} Pod {pod} in StatefulSet {set_name} success", key.name);
                context.recorder.event(set, Severity::Normal, "SuccessfulCreate", message);
            }
            Err(error) if error.is_already_exists() => {}
            Err(error) => {
                let message = format!(
                    "create Claim {} for Pod {pod} in StatefulSet {set_name} failed error: {error}",
                    key.name
                );
                context.recorder.event(set, Severity::Warning, "FailedCreate", message);
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Lets the claims of a pod be owned by whom the set says they go with. `condemned` is the pod, if it goes for good.
pub(super) async fn settle(
    context: &Context,
    set: &StatefulSet,
    ordinal: i32,
    condemned: Option<&Pod>,
) -> Result<(), Error> {
    let cache = context.caches.of::<PersistentVolumeClaim>();
    cache.synced().await;
    let wanted = wanted(set, condemned);
    for claim in identity::claims(set, ordinal) {
        let Some(claim) = cache.get(&Key::of(&claim)) else { continue };
        let before = claim.metadata.owner_references.clone().unwrap_or_default();
        let pod = format!("{}-{ordinal}", name(set));
        let ours = |it: &OwnerReference| {
            Some(&it.uid) == set.metadata.uid.as_ref() || it.kind == "Pod" && it.name == pod
        };
        let mut owners: Vec<_> = before.iter().filter(|it| !ours(it)).cloned().collect();
        owners.extend(wanted.clone());
        if owners == before {
            continue;
        }
        let patch = Patch::Merge(json!({"metadata": {
            "uid": claim.metadata.uid, "resourceVersion": claim.metadata.resource_version,
            "ownerReferences": (!owners.is_empty()).then_some(owners),
        }}));
        let written =
            context.client().patch::<PersistentVolumeClaim>(&Key::of(&*claim), None, &patch).await?;
        cache.seen(&written.metadata).await;
    }
    Ok(())
}

fn name(set: &StatefulSet) -> &str {
    set.metadata.name.as_deref().unwrap_or_default()
}

fn wanted(set: &StatefulSet, condemned: Option<&Pod>) -> Option<OwnerReference> {
    let policy = set.spec.persistent_volume_claim_retention_policy.as_ref();
    let deletes = |choice: Option<&String>| choice.is_some_and(|choice| choice == "Delete");
    let when_scaled = deletes(policy.and_then(|policy| policy.when_scaled.as_ref()));
    let when_deleted = deletes(policy.and_then(|policy| policy.when_deleted.as_ref()));
    match condemned {
        Some(pod) if when_scaled => Some(owner::reference(pod)),
        _ => when_deleted.then(|| owner::reference(set)),
    }
}
