//! Claims and volumes that were deleted and may go: nobody uses them any more.
//!
//! The other end of what admission put there: a finalizer on every PersistentVolumeClaim and PersistentVolume.

use std::time::Duration;

use client::{Error, Key, Object, Patch, Queue, Scoped};
use futures_util::future::{join, join3};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use crate::context::Context;
use crate::feed::feed;
use crate::pod::is_finished;
use crate::service_pods::node;

const CLAIMS: &str = "kubernetes.io/pvc-protection";
const VOLUMES: &str = "kubernetes.io/pv-protection";

pub(crate) async fn claims(context: Context) {
    let queue = Queue::default();
    let own =
        feed(context.caches.of::<PersistentVolumeClaim>(), queue.clone(), |claim: &PersistentVolumeClaim| {
            waits(&claim.metadata, CLAIMS).then(|| Key::of(claim))
        });
    let pods = feed(context.caches.of::<Pod>(), queue.clone(), claims_of);
    join3(own, pods, queue.work("claims in use", |key| reconcile_claim(&context, key))).await;
}

pub(crate) async fn volumes(context: Context) {
    let queue = Queue::default();
    let own = feed(context.caches.of::<PersistentVolume>(), queue.clone(), |volume: &PersistentVolume| {
        waits(&volume.metadata, VOLUMES).then(|| Key::of(volume))
    });
    join(own, queue.work("volumes in use", |key| reconcile_volume(&context, key))).await;
}

fn waits(metadata: &ObjectMeta, finalizer: &str) -> bool {
    metadata.deletion_timestamp.is_some()
        && metadata.finalizers.iter().flatten().any(|name| name == finalizer)
}

/// A pod keeps its claims until it is gone itself; one that is on no node will find none that is deleted.
async fn reconcile_claim(context: &Context, key: Key) -> Result<Option<Duration>, Error> {
    let (claims, pods) = (context.caches.of::<PersistentVolumeClaim>(), context.caches.of::<Pod>());
    pods.synced().await;
    let Some(claim) = claims.get(&key).filter(|claim| waits(&claim.metadata, CLAIMS)) else {
        return Ok(None);
    };
    let uses = |pod: &Pod| node(pod).is_some() && claims_of(pod).contains(&key);
    if !pods.list_in(&key.namespace).iter().any(|pod| uses(pod)) {
        release(context, &*claim, CLAIMS).await?;
    }
    Ok(None)
}

async fn reconcile_volume(context: &Context, key: Key) -> Result<Option<Duration>, Error> {
    let volume = context.caches.of::<PersistentVolume>().get(&key);
    let Some(volume) = volume.filter(|volume| waits(&volume.metadata, VOLUMES)) else { return Ok(None) };
    let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
    if phase != Some("Bound") {
        release(context, &*volume, VOLUMES).await?;
    }
    Ok(None)
}

/// The claims that a pod names, and those made for it alone, which end with its run.
fn claims_of(pod: &Pod) -> Vec<Key> {
    let name = |volume: &Volume| match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(claim), _) => Some(claim.claim_name.clone()),
        (None, Some(_)) if !is_finished(pod) => {
            Some(format!("{}-{}", pod.metadata.name.as_deref()?, volume.name))
        }
        _ => None,
    };
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(name).map(|name| Key::new(namespace, name)).collect()
}

async fn release<K: Object>(context: &Context, object: &K, finalizer: &str) -> Result<(), Error>
where
    K::Scope: Scoped,
{
    let metadata = object.metadata();
    let left: Vec<&String> = metadata.finalizers.iter().flatten().filter(|name| *name != finalizer).collect();
    let patch = json!({"metadata": {"resourceVersion": metadata.resource_version, "finalizers": left}});
    match context.client().patch::<K>(&Key::of(object), None, &Patch::Merge(patch)).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
