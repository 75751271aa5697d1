//! Claims, volumes and volume attribute classes that were deleted and may go: nobody uses them any more.
//!
//! The other end of what admission put there: a finalizer on every one of them.

use std::time::Duration;

use client::{Error, Key, Object, Patch, Queue, Scoped};
use futures_util::future::{join, join3, join4};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, Volume};
use k8s_openapi::api::storage::v1::VolumeAttributesClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use crate::context::Context;
use crate::feed::feed;
use crate::pod::is_finished;
use crate::service_pods::node;

const CLAIMS: &str = "kubernetes.io/pvc-protection";
const VOLUMES: &str = "kubernetes.io/pv-protection";
const CLASSES: &str = "kubernetes.io/vac-protection";

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

/// A claim or a volume may stop using a class by a change: the classes that are named are not those to look at, all that
/// were deleted are.
pub(crate) async fn attribute_classes(context: Context) {
    let queue = Queue::default();
    let classes = context.caches.of::<VolumeAttributesClass>();
    let deleted = move || {
        let all = classes.list();
        let deleted = all.iter().filter(|class| waits(&class.metadata, CLASSES));
        deleted.map(|class| Key::of(&**class)).collect::<Vec<_>>()
    };
    let own =
        feed(context.caches.of::<VolumeAttributesClass>(), queue.clone(), |class: &VolumeAttributesClass| {
            waits(&class.metadata, CLASSES).then(|| Key::of(class))
        });
    let of_claims = deleted.clone();
    let claims = feed(context.caches.of(), queue.clone(), move |_: &PersistentVolumeClaim| of_claims());
    let volumes = feed(context.caches.of(), queue.clone(), move |_: &PersistentVolume| deleted());
    let work = queue.work("attribute classes in use", |key| reconcile_class(&context, key));
    join4(own, claims, volumes, work).await;
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

async fn reconcile_class(context: &Context, key: Key) -> Result<Option<Duration>, Error> {
    let (claims, volumes) =
        (context.caches.of::<PersistentVolumeClaim>(), context.caches.of::<PersistentVolume>());
    claims.synced().await;
    volumes.synced().await;
    let class = context.caches.of::<VolumeAttributesClass>().get(&key);
    let Some(class) = class.filter(|class| waits(&class.metadata, CLASSES)) else { return Ok(None) };
    let named = |name: &str| name == key.name;
    let claimed = claims.list().iter().any(|claim| classes_of_claim(claim).any(named));
    if !claimed && !volumes.list().iter().any(|volume| class_of_volume(volume).is_some_and(named)) {
        release(context, &*class, CLASSES).await?;
    }
    Ok(None)
}

/// The class that is wanted, the one that there is, and the one on the way.
fn classes_of_claim(claim: &PersistentVolumeClaim) -> impl Iterator<Item = &str> {
    let wanted = claim.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.as_deref());
    let status = claim.status.as_ref();
    let current = status.and_then(|status| status.current_volume_attributes_class_name.as_deref());
    let target = status.and_then(|status| {
        status.modify_volume_status.as_ref()?.target_volume_attributes_class_name.as_deref()
    });
    [wanted, current, target].into_iter().flatten()
}

fn class_of_volume(volume: &PersistentVolume) -> Option<&str> {
    volume.spec.as_ref()?.volume_attributes_class_name.as_deref()
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
