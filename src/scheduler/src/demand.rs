//! Everything one pod asks for, worked out once per attempt.

use std::sync::Arc;

use api::selector::LabelSelector;
use client::Caches;
use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector as Written;

use crate::facts::PodFacts;
use crate::node_affinity::NodeAffinity;
use crate::spreading::Spreading;
use crate::volumes::{self, Volume};

#[derive(Debug)]
pub(crate) struct Demand {
    pub(crate) pod: Arc<PodFacts>,
    pub(crate) nodes: NodeAffinity,
    pub(crate) spreading: Spreading,
    pub(crate) volumes: Vec<Volume>,
}

impl Demand {
    /// Reads what the pod refers to. A volume that cannot be used on any node is the error.
    pub(crate) fn read(pod: Arc<PodFacts>, caches: &Caches) -> Result<Self, String> {
        let volumes = volumes::read(&pod.pod, caches)?;
        Ok(Self {
            nodes: NodeAffinity::of(&pod.pod),
            spreading: Spreading::of(&pod.pod, alike(&pod.pod, caches)),
            volumes,
            pod,
        })
    }
}

/// Selects the pods that do the same work: those of the same Services and of the same owner.
fn alike(pod: &Pod, caches: &Caches) -> Option<LabelSelector> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut merged = owner_selector(pod, caches).unwrap_or_default();
    for service in caches.of::<Service>().list_in(namespace) {
        let Some(selector) = service.spec.as_ref().and_then(|spec| spec.selector.as_ref()) else { continue };
        let selects = LabelSelector::of_labels(selector);
        if !selector.is_empty()
            && selects.is_ok_and(|selects| selects.matches_labels(pod.metadata.labels.as_ref()))
        {
            merged.match_labels.get_or_insert_default().extend(selector.clone());
        }
    }
    LabelSelector::of(Some(&merged)).ok().filter(|selector| !selector.is_everything())
}

fn owner_selector(pod: &Pod, caches: &Caches) -> Option<Written> {
    let owner =
        pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))?;
    let key = client::Key::new(pod.metadata.namespace.clone().unwrap_or_default(), owner.name.clone());
    match (owner.api_version.as_str(), owner.kind.as_str()) {
        ("apps/v1", "ReplicaSet") => Some(caches.of::<ReplicaSet>().get(&key)?.spec.selector.clone()),
        ("apps/v1", "StatefulSet") => Some(caches.of::<StatefulSet>().get(&key)?.spec.selector.clone()),
        _ => None,
    }
}
