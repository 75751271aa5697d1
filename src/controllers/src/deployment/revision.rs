//! Which ReplicaSet is the Deployment's current one, and which revision each is.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;

pub(super) const HASH_LABEL: &str = "pod-template-hash";
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MOST: &str = "deployment.kubernetes.io/max-replicas";

/// Annotations of the Deployment that its ReplicaSets do not take over.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
    REVISION,
    REVISION_HISTORY,
    DESIRED,
    MOST,
];

type Annotations = BTreeMap<String, String>;

/// The set whose template is the Deployment's; the oldest if a bug made several.
pub(super) fn find_new(deployment: &Deployment, sets: &[Arc<ReplicaSet>]) -> Option<Arc<ReplicaSet>> {
    let wanted = without_hash(&deployment.spec.template);
    let mut same =
        sets.iter().filter(|set| set.spec.template.as_ref().map(without_hash).as_ref() == Some(&wanted));
    let first = same.next()?;
    Some(same.fold(first, |oldest, set| if created(set) < created(oldest) { set } else { oldest }).clone())
}

pub(super) fn created(set: &ReplicaSet) -> impl Ord + use<> {
    (set.metadata.creation_timestamp.as_ref().map(|time| time.0), set.metadata.name.clone())
}

fn without_hash(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    if let Some(metadata) = &mut template.metadata {
        if let Some(labels) = &mut metadata.labels {
            labels.remove(HASH_LABEL);
        }
        metadata.labels.take_if(|labels| labels.is_empty());
    }
    template
}

pub(super) fn revision(annotations: Option<&Annotations>) -> i64 {
    annotation(annotations, REVISION).and_then(|text| text.parse().ok()).unwrap_or_default()
}

pub(super) fn annotation<'a>(annotations: Option<&'a Annotations>, name: &str) -> Option<&'a str> {
    annotations?.get(name).map(String::as_str)
}

/// The annotations of the current set: what it has, what the Deployment has, and its place in history.
///
/// A set that becomes current again, by a rollback, gets a new revision and remembers the old one.
pub(super) fn annotations_of_new(
    deployment: &Deployment,
    current: Option<&Annotations>,
    highest_old: i64,
    most: i32,
) -> Annotations {
    let mut annotations = current.cloned().unwrap_or_default();
    let from_deployment = deployment.metadata.annotations.iter().flatten();
    let taken_over = from_deployment.filter(|(name, _)| !OWN.contains(&name.as_str()));
    annotations.extend(taken_over.map(|(name, value)| (name.clone(), value.clone())));
    let before = revision(current);
    let next = highest_old + 1;
    if before < next {
        if before > 0 {
            let history = annotations.entry(REVISION_HISTORY.into()).or_default();
            *history = if history.is_empty() { before.to_string() } else { format!("{history},{before}") };
        }
        annotations.insert(REVISION.into(), next.to_string());
    }
    annotations.insert(DESIRED.into(), deployment.spec.replicas.unwrap_or(1).to_string());
    annotations.insert(MOST.into(), most.to_string());
    annotations
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::ReplicaSetSpec;
    use k8s_openapi::api::core::v1::{Container, PodSpec};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    fn template(image: &str, hash: Option<&str>) -> PodTemplateSpec {
        let container = Container { name: "web".into(), image: Some(image.into()), ..Container::default() };
        let labels = hash.map(|hash| [(HASH_LABEL.to_string(), hash.to_string())].into());
        PodTemplateSpec {
            metadata: Some(ObjectMeta { labels, ..ObjectMeta::default() }),
            spec: Some(PodSpec { containers: vec![container], ..PodSpec::default() }),
        }
    }

    fn deployment(image: &str) -> Deployment {
        let mut deployment = Deployment::default();
        deployment.spec.template = template(image, None);
        deployment
    }

    fn set(image: &str, hash: &str) -> Arc<ReplicaSet> {
        let spec =
            ReplicaSetSpec { template: Some(template(image, Some(hash))), ..ReplicaSetSpec::default() };
        Arc::new(ReplicaSet { spec, ..ReplicaSet::default() })
    }

    #[test]
    fn a_set_is_found_by_its_template_whatever_its_hash() {
        let sets = [set("web:1", "x"), set("web:2", "y")];
        let found = find_new(&deployment("web:2"), &sets).unwrap();
        assert!(Arc::ptr_eq(&found, &sets[1]));
        assert!(find_new(&deployment("web:3"), &sets).is_none());
    }

    #[test]
    fn a_rollback_gets_a_new_revision_and_remembers_the_old_one() {
        let mut deployment = deployment("web:1");
        deployment.metadata.annotations = Some(
            [("team".into(), "shop".into()), (OWN[0].into(), "{}".into()), (REVISION.into(), "2".into())]
                .into(),
        );
        let first = annotations_of_new(&deployment, None, 0, 4);
        assert_eq!(first[REVISION], "1");
        assert_eq!(first["team"], "shop");
        assert!(!first.contains_key(OWN[0]) && !first.contains_key(REVISION_HISTORY));
        assert_eq!(annotations_of_new(&deployment, Some(&first), 0, 4), first, "settled");
        let back = annotations_of_new(&deployment, Some(&first), 2, 4);
        assert_eq!((back[REVISION].as_str(), back[REVISION_HISTORY].as_str()), ("3", "1"));
        let again = annotations_of_new(&deployment, Some(&back), 4, 4);
        assert_eq!((again[REVISION].as_str(), again[REVISION_HISTORY].as_str()), ("5", "1,3"));
    }
}
