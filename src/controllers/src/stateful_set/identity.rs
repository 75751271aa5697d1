//! Who the pods of a StatefulSet are: their names, labels and claims stay when they themselves come and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume,
};

use crate::make_pods;

pub(super) const REVISION: &str = "controller-revision-hash";
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

fn name(set: &StatefulSet) -> &str {
    set.metadata.name.as_deref().unwrap_or_default()
}

/// The number at the end of a pod's name, if the rest is the name of the set.
pub(super) fn ordinal(set: &StatefulSet, pod: &Pod) -> Option<i32> {
    let (parent, ordinal) = pod.metadata.name.as_deref()?.rsplit_once('-')?;
    ordinal.parse().ok().filter(|_| parent == name(set))
}

/// The revision a pod was made of.
pub(super) fn revision(pod: &Pod) -> Option<&str> {
    pod.metadata.labels.as_ref()?.get(REVISION).map(String::as_str)
}

pub(super) fn pod(set: &StatefulSet, template: &PodTemplateSpec, revision: &str, ordinal: i32) -> Pod {
    let mut pod = make_pods::of_template(set, template);
    let own_name = format!("{}-{ordinal}", name(set));
    pod.metadata.generate_name = None;
    pod.metadata.name = Some(own_name.clone());
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(REVISION.into(), revision.into());
    labels.insert(POD_NAME.into(), own_name.clone());
    labels.insert(POD_INDEX.into(), ordinal.to_string());
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = Some(own_name);
    spec.subdomain = set.spec.service_name.clone().filter(|service| !service.is_empty());
    let claims: Vec<_> = templates(set).map(|claim| claim_volume(set, claim, ordinal)).collect();
    let volumes = spec.volumes.get_or_insert_default();
    volumes.retain(|volume| claims.iter().all(|claim| claim.name != volume.name));
    volumes.extend(claims);
    spec.volumes.take_if(|volumes| volumes.is_empty());
    pod
}

fn templates(set: &StatefulSet) -> impl Iterator<Item = &PersistentVolumeClaim> {
    set.spec.volume_claim_templates.iter().flatten()
}

fn claim_name(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i32) -> String {
    format!("{}-{}-{ordinal}", template.metadata.name.as_deref().unwrap_or_default(), name(set))
}

fn claim_volume(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i32) -> Volume {
    let claim =
        PersistentVolumeClaimVolumeSource { claim_name: claim_name(set, template, ordinal), read_only: None };
    Volume {
        name: template.metadata.name.clone().unwrap_or_default(),
        persistent_volume_claim: Some(claim),
        ..Volume::default()
    }
}

/// The claims of one pod, as they are made.
pub(super) fn claims(set: &StatefulSet, ordinal: i32) -> Vec<PersistentVolumeClaim> {
    let claim = |template: &PersistentVolumeClaim| {
        let mut claim = PersistentVolumeClaim { status: None, ..template.clone() };
        claim.metadata.name = Some(claim_name(set, template, ordinal));
        claim.metadata.namespace.clone_from(&set.metadata.namespace);
        let selected = set.spec.selector.match_labels.clone().unwrap_or_default();
        claim.metadata.labels.get_or_insert_default().extend(selected);
        claim
    };
    templates(set).map(claim).collect()
}

/// The pods of a set, by whether they are asked for.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    /// How many there should be, from the first ordinal on. Anybody may ask for two thousand million: there is no list of them.
    pub(super) wanted: i32,
    /// Those of them that are there.
    pub(super) staying: BTreeMap<i32, Arc<Pod>>,
    /// Those that should not be, with their ordinals, the highest first.
    pub(super) condemned: Vec<(i32, Arc<Pod>)>,
}

impl Ranks {
    pub(super) fn of(set: &StatefulSet, pods: &[Arc<Pod>]) -> Self {
        let mut ranks = Self { wanted: replicas(set), ..Self::default() };
        let wanted = first(set)..first(set).saturating_add(ranks.wanted);
        for pod in pods {
            let Some(ordinal) = ordinal(set, pod) else { continue };
            if wanted.contains(&ordinal) {
                ranks.staying.insert(ordinal, pod.clone());
            } else {
                ranks.condemned.push((ordinal, pod.clone()));
            }
        }
        ranks.condemned.sort_by_key(|(ordinal, _)| std::cmp::Reverse(*ordinal));
        ranks
    }
}

pub(super) fn replicas(set: &StatefulSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

/// The ordinal of the first pod.
pub(super) fn first(set: &StatefulSet) -> i32 {
    set.spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or_default()
}
