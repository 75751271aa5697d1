//! Which pods a pod wants near, or must not have near, and what the pods that are there think of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use api::selector::LabelSelector;
use k8s_openapi::api::core::v1::{Pod, PodAffinityTerm, WeightedPodAffinityTerm};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector as Written;

use crate::facts::{NodeFacts, PodFacts};
use crate::snapshot::{Namespaces, Snapshot};

/// A pod that must have others near counts as one that likes them near, by this weight, for those others.
const WEIGHT_OF_REQUIRED: i64 = 1;

/// What one pod says about others.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    near: Vec<Term>,
    apart: Vec<Term>,
    preferred_near: Vec<(i64, Term)>,
    preferred_apart: Vec<(i64, Term)>,
}

/// Pods by labels and namespace, and what near means.
#[derive(Debug)]
struct Term {
    selector: LabelSelector,
    namespaces: BTreeSet<String>,
    namespace_selector: LabelSelector,
    topology_key: String,
}

/// A label that nodes share: near each other.
type Place = (String, String);

impl Terms {
    /// None for a pod that says nothing about others.
    pub(crate) fn of(pod: &Pod) -> Option<Self> {
        let affinity = pod.spec.as_ref()?.affinity.as_ref()?;
        let (near, apart) = (affinity.pod_affinity.as_ref(), affinity.pod_anti_affinity.as_ref());
        if near.is_none() && apart.is_none() {
            return None;
        }
        Some(Self {
            near: required(
                pod,
                near.and_then(|near| near.required_during_scheduling_ignored_during_execution.as_deref()),
            ),
            apart: required(
                pod,
                apart.and_then(|apart| apart.required_during_scheduling_ignored_during_execution.as_deref()),
            ),
            preferred_near: preferred(
                pod,
                near.and_then(|near| near.preferred_during_scheduling_ignored_during_execution.as_deref()),
            ),
            preferred_apart: preferred(
                pod,
                apart.and_then(|apart| apart.preferred_during_scheduling_ignored_during_execution.as_deref()),
            ),
        })
    }
}

fn required(pod: &Pod, terms: Option<&[PodAffinityTerm]>) -> Vec<Term> {
    terms.unwrap_or_default().iter().map(|term| Term::of(pod, term)).collect()
}

fn preferred(pod: &Pod, terms: Option<&[WeightedPodAffinityTerm]>) -> Vec<(i64, Term)> {
    let weighted =
        |one: &WeightedPodAffinityTerm| (i64::from(one.weight), Term::of(pod, &one.pod_affinity_term));
    terms.unwrap_or_default().iter().map(weighted).collect()
}

impl Term {
    fn of(pod: &Pod, term: &PodAffinityTerm) -> Self {
        let mut namespaces: BTreeSet<String> = term.namespaces.iter().flatten().cloned().collect();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.extend(pod.metadata.namespace.clone());
        }
        let usable =
            |selector: Option<&Written>| LabelSelector::of(selector).unwrap_or(LabelSelector::NOTHING);
        Self {
            // The labels that `matchLabelKeys` stands for are part of the selector of every pod that was made.
            selector: usable(term.label_selector.as_ref()),
            namespaces,
            namespace_selector: usable(term.namespace_selector.as_ref()),
            topology_key: term.topology_key.clone(),
        }
    }

    fn matches(&self, pod: &PodFacts, namespaces: &Namespaces) -> bool {
        let namespace = &pod.key.namespace;
        let in_namespace = self.namespaces.contains(namespace)
            || self.namespace_selector.matches_labels(namespaces.get(namespace).and_then(Option::as_ref));
        in_namespace && self.selector.matches_labels(pod.labels())
    }

    /// Where a node is in the sense of this term; none if the node does not say.
    fn place(&self, node: &NodeFacts) -> Option<Place> {
        Some((self.topology_key.clone(), node.label(&self.topology_key)?.to_string()))
    }
}

/// What the pods of a snapshot mean for one pod that is to be placed.
#[derive(Debug)]
pub(crate) struct Neighbours<'a> {
    pod: &'a PodFacts,
    namespaces: &'a Namespaces,
    /// Where all terms of `near` are met.
    wanted: HashSet<Place>,
    /// Where somebody is whom the pod must not be near.
    avoided: HashSet<Place>,
    /// Where somebody is who must not have the pod near.
    forbidden: HashSet<Place>,
}

/// Why a node will not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// No pod that is wanted near is near.
    Alone,
    /// A pod is near that the pod must not be near.
    TooNear,
    /// A pod is near that must not have the pod near.
    Unwelcome,
}

impl<'a> Neighbours<'a> {
    pub(crate) fn new(pod: &'a PodFacts, snapshot: &'a Snapshot) -> Self {
        let namespaces = snapshot.namespaces();
        let (mut wanted, mut avoided, mut forbidden) = (HashSet::new(), HashSet::new(), HashSet::new());
        for node in snapshot.nodes() {
            for other in node.pods() {
                if let Some(terms) = &pod.terms {
                    if !terms.near.is_empty() && terms.near.iter().all(|term| term.matches(other, namespaces))
                    {
                        wanted.extend(terms.near.iter().filter_map(|term| term.place(node)));
                    }
                    let apart = terms.apart.iter().filter(|term| term.matches(other, namespaces));
                    avoided.extend(apart.filter_map(|term| term.place(node)));
                }
                let apart = other.terms.iter().flat_map(|terms| &terms.apart);
                forbidden.extend(
                    apart.filter(|term| term.matches(pod, namespaces)).filter_map(|term| term.place(node)),
                );
            }
        }
        Self { pod, namespaces, wanted, avoided, forbidden }
    }

    pub(crate) fn check(&self, node: &NodeFacts) -> Result<(), Conflict> {
        let is_in =
            |places: &HashSet<Place>| places.iter().any(|(key, value)| node.label(key) == Some(value));
        if let Some(terms) = &self.pod.terms
            && !self.has_company(&terms.near, node)
        {
            return Err(Conflict::Alone);
        }
        if is_in(&self.avoided) {
            return Err(Conflict::TooNear);
        }
        if is_in(&self.forbidden) {
            return Err(Conflict::Unwelcome);
        }
        Ok(())
    }

    /// Whether those wanted are near. The first of a group that wants to be together may go anywhere that has a place.
    fn has_company(&self, near: &[Term], node: &NodeFacts) -> bool {
        let places: Option<Vec<Place>> = near.iter().map(|term| term.place(node)).collect();
        let Some(places) = places else { return false };
        places.iter().all(|place| self.wanted.contains(place))
            || (self.wanted.is_empty() && near.iter().all(|term| term.matches(self.pod, self.namespaces)))
    }
}

/// How much the pods of a snapshot speak for each of `nodes`, between 0 and 100; none if nobody cares.
pub(crate) fn preferences(pod: &PodFacts, snapshot: &Snapshot, nodes: &[&NodeFacts]) -> Option<Vec<i64>> {
    let places = weights(pod, snapshot);
    if places.is_empty() {
        return None;
    }
    let weight = |node: &&NodeFacts| -> i64 {
        places
            .iter()
            .filter(|((key, value), _)| node.label(key) == Some(value))
            .map(|(_, weight)| weight)
            .sum()
    };
    let weights: Vec<i64> = nodes.iter().map(weight).collect();
    let (least, most) = (weights.iter().min().copied()?, weights.iter().max().copied()?);
    let spread = (most - least).max(1);
    Some(weights.iter().map(|weight| 100 * (weight - least) / spread).collect())
}

fn weights(pod: &PodFacts, snapshot: &Snapshot) -> BTreeMap<Place, i64> {
    let namespaces = snapshot.namespaces();
    let mut places: HashMap<Place, i64> = HashMap::new();
    for node in snapshot.nodes() {
        let mut count = |term: &Term, about: &PodFacts, weight: i64| {
            if term.matches(about, namespaces)
                && let Some(place) = term.place(node)
            {
                *places.entry(place).or_default() += weight;
            }
        };
        for other in node.pods() {
            if let Some(ours) = &pod.terms {
                ours.preferred_near.iter().for_each(|(weight, term)| count(term, other, *weight));
                ours.preferred_apart.iter().for_each(|(weight, term)| count(term, other, -weight));
            }
            if let Some(theirs) = &other.terms {
                theirs.near.iter().for_each(|term| count(term, pod, WEIGHT_OF_REQUIRED));
                theirs.preferred_near.iter().for_each(|(weight, term)| count(term, pod, *weight));
                theirs.preferred_apart.iter().for_each(|(weight, term)| count(term, pod, -weight));
            }
        }
    }
    places.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::{facts, labelled_node, with_labels};

    fn term(app: &str, key: &str) -> Value {
        json!({"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key})
    }

    fn wants(kind: &str, term: &Value) -> Value {
        json!({"containers": [], "affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}})
    }

    /// Nodes a and b in one zone, c in another, with `pods` on them.
    fn snapshot(pods: Vec<(&str, PodFacts)>) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (name, zone) in [("a", "1"), ("b", "1"), ("c", "2")] {
            snapshot.put_node(labelled_node(name, &[("host", name), ("zone", zone)]));
        }
        for (node, pod) in pods {
            assert!(snapshot.place(node, pod.into()));
        }
        snapshot
    }

    fn check(pod: &PodFacts, snapshot: &Snapshot) -> Vec<Result<(), Conflict>> {
        let neighbours = Neighbours::new(pod, snapshot);
        snapshot.nodes().map(|node| neighbours.check(node)).collect()
    }

    #[test]
    fn affinity_needs_one_in_the_same_place_or_to_be_the_first() {
        let pod = with_labels("p", &[("app", "web")], wants("podAffinity", &term("db", "zone")));
        let with_db = snapshot(vec![("a", with_labels("db", &[("app", "db")], json!({"containers": []})))]);
        assert_eq!(check(&pod, &with_db), [Ok(()), Ok(()), Err(Conflict::Alone)]);
        assert_eq!(check(&pod, &snapshot(vec![])), [Err(Conflict::Alone); 3]);
        let first = with_labels("p", &[("app", "web")], wants("podAffinity", &term("web", "zone")));
        assert_eq!(check(&first, &snapshot(vec![])), [Ok(()); 3]);
        let nowhere = with_labels("p", &[("app", "web")], wants("podAffinity", &term("web", "rack")));
        assert_eq!(
            check(&nowhere, &snapshot(vec![])),
            [Err(Conflict::Alone); 3],
            "no node says which rack it is in"
        );
    }

    #[test]
    fn anti_affinity_holds_in_both_directions() {
        let alone = wants("podAntiAffinity", &term("web", "host"));
        let pod = with_labels("p", &[("app", "web")], alone.clone());
        let web = with_labels("q", &[("app", "web")], json!({"containers": []}));
        assert_eq!(check(&pod, &snapshot(vec![("b", web)])), [Ok(()), Err(Conflict::TooNear), Ok(())]);
        let plain = with_labels("p", &[("app", "web")], json!({"containers": []}));
        let strict = with_labels("q", &[("app", "db")], alone);
        assert_eq!(check(&plain, &snapshot(vec![("c", strict)])), [Ok(()), Ok(()), Err(Conflict::Unwelcome)]);
    }

    #[test]
    fn terms_reach_into_the_namespaces_they_name_or_select() {
        let foreign = |namespace: Value| {
            let mut term = term("web", "host");
            for (name, value) in namespace.as_object().unwrap() {
                term[name] = value.clone();
            }
            with_labels("p", &[], wants("podAntiAffinity", &term))
        };
        let mut snapshot = snapshot(vec![]);
        let mut other = with_labels("q", &[("app", "web")], json!({"containers": []}));
        other.key.namespace = "shop".into();
        assert!(snapshot.place("a", other.into()));
        snapshot.set_namespaces(
            [("shop".to_string(), Some([("team".to_string(), "x".to_string())].into()))].into(),
        );
        for (namespace, conflict) in [
            (json!({}), Ok(())),
            (json!({"namespaces": ["shop"]}), Err(Conflict::TooNear)),
            (json!({"namespaceSelector": {}}), Err(Conflict::TooNear)),
            (json!({"namespaceSelector": {"matchLabels": {"team": "x"}}}), Err(Conflict::TooNear)),
            (json!({"namespaceSelector": {"matchLabels": {"team": "y"}}}), Ok(())),
        ] {
            assert_eq!(check(&foreign(namespace.clone()), &snapshot)[0], conflict, "{namespace}");
        }
    }

    #[test]
    fn preferences_pull_and_push() {
        let prefer = |kind: &str, app: &str| {
            json!({"containers": [], "affinity": {kind:
            {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 10, "podAffinityTerm": term(app, "zone")}]}}})
        };
        let db = || with_labels("db", &[("app", "db")], json!({"containers": []}));
        let score = |pod: &PodFacts, snapshot: &Snapshot| {
            let nodes: Vec<_> = snapshot.nodes().collect();
            preferences(pod, snapshot, &nodes)
        };
        assert_eq!(
            score(&facts("p", prefer("podAffinity", "db")), &snapshot(vec![("a", db())])),
            Some(vec![100, 100, 0])
        );
        assert_eq!(
            score(&facts("p", prefer("podAntiAffinity", "db")), &snapshot(vec![("a", db())])),
            Some(vec![0, 0, 100])
        );
        assert_eq!(score(&facts("p", json!({"containers": []})), &snapshot(vec![("a", db())])), None);
        let shy = with_labels("s", &[], prefer("podAntiAffinity", "web"));
        let web = with_labels("p", &[("app", "web")], json!({"containers": []}));
        assert_eq!(score(&web, &snapshot(vec![("c", shy)])), Some(vec![100, 100, 0]));
    }
}
