//! Where a pod's persistent volumes can be reached from.

use client::{Caches, Key};
use k8s_openapi::api::core::v1::{NodeSelector, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;

use crate::facts::NodeFacts;
use crate::node_affinity;

/// A volume that a claim of the pod is bound to.
#[derive(Debug)]
pub(crate) enum Volume {
    Anywhere,
    OnlyFrom(Box<NodeSelector>),
    /// The claim names a volume that is not there.
    Missing,
}

/// Why a node will not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreachable {
    Elsewhere,
    Missing,
}

pub(crate) fn check(volumes: &[Volume], node: &NodeFacts) -> Result<(), Unreachable> {
    volumes.iter().try_for_each(|volume| match volume {
        Volume::OnlyFrom(nodes) if !node_affinity::selects(nodes, node) => Err(Unreachable::Elsewhere),
        Volume::Missing => Err(Unreachable::Missing),
        Volume::Anywhere | Volume::OnlyFrom(_) => Ok(()),
    })
}

/// The volumes behind all claims of a pod. A claim that no node can satisfy is the error.
pub(crate) fn read(pod: &Pod, caches: &Caches) -> Result<Vec<Volume>, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let claims = volumes.filter_map(|volume| match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(claim), _) => Some((claim.claim_name.clone(), false)),
        (None, Some(_)) => {
            Some((format!("{}-{}", pod.metadata.name.as_deref().unwrap_or_default(), volume.name), true))
        }
        (None, None) => None,
    });
    claims.map(|(name, ephemeral)| behind(&Key::new(namespace, name), ephemeral, caches)).collect()
}

fn behind(key: &Key, ephemeral: bool, caches: &Caches) -> Result<Volume, String> {
    let name = &key.name;
    let claim = match caches.of::<PersistentVolumeClaim>().get(key) {
        Some(claim) => claim,
        None if ephemeral => {
            return Err(format!(
                "waiting for ephemeral volume controller to create the persistentvolumeclaim {name:?}"
            ));
        }
        None => return Err(format!("persistentvolumeclaim {name:?} not found")),
    };
    if claim.metadata.deletion_timestamp.is_some() {
        return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
    }
    let volume =
        claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).filter(|name| !name.is_empty());
    if claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Lost") {
        let volume = volume.unwrap_or_default();
        return Err(format!(
            "persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"
        ));
    }
    match volume.filter(|_| is_bound(&claim)) {
        Some(volume) => Ok(reach(caches.of::<PersistentVolume>().get(&Key::new("", volume)).as_deref())),
        None => Err(unbound(&claim, caches)),
    }
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    let annotations = claim.metadata.annotations.as_ref();
    annotations.is_some_and(|annotations| annotations.contains_key("pv.kubernetes.io/bind-completed"))
}

fn reach(volume: Option<&PersistentVolume>) -> Volume {
    let Some(volume) = volume else { return Volume::Missing };
    let required = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref()?.required.clone());
    required.map_or(Volume::Anywhere, |nodes| Volume::OnlyFrom(Box::new(nodes)))
}

fn unbound(claim: &PersistentVolumeClaim, caches: &Caches) -> String {
    let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.clone()).unwrap_or_default();
    let mode = caches.of::<StorageClass>().get(&Key::new("", class.clone()));
    if mode.and_then(|class| class.volume_binding_mode.clone()).as_deref() == Some("WaitForFirstConsumer") {
        let name = claim.metadata.name.as_deref().unwrap_or_default();
        return format!(
            "persistentvolumeclaim {name:?} is not bound, and volumes of storage class {class:?} cannot be made for a chosen node yet"
        );
    }
    "pod has unbound immediate PersistentVolumeClaims".to_string()
}
