//! Whether this node takes a pod: a last look after the scheduler's, with the node's own figures.
//!
//! Two schedulers, or somebody who names a node by hand, can ask for more than there is. As upstream, such a pod fails at once.

use std::collections::BTreeMap;

use api::selector::LabelSelector;
use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec};

use crate::app_armor;
use crate::downward::Amounts;
use crate::host_ports;
use crate::resize::Delay;
use crate::resources::{Requests, requests_of_pod};
use crate::sandbox;
use crate::status::Verdict;

pub(crate) struct Room<'a> {
    pub(crate) node_name: &'a str,
    /// As the API knows it; none before it was read.
    pub(crate) node: Option<&'a Node>,
    pub(crate) allocatable: &'a Amounts,
    pub(crate) max_pods: u32,
    /// The other pods that this node has taken and that are not over.
    pub(crate) others: &'a [&'a PodSpec],
}

/// None if it is taken.
pub(crate) fn admit(pod: &Pod, room: &Room<'_>) -> Option<Verdict> {
    let spec = pod.spec.as_ref()?;
    let (reason, message) = room.refuses(spec)?;
    Some(Verdict { reason, message })
}

impl Room<'_> {
    fn refuses(&self, spec: &PodSpec) -> Option<(String, String)> {
        if spec.os.as_ref().is_some_and(|os| os.name != "linux") {
            let message = "Failed to admit pod as the OS field doesn't match node OS";
            return Some(("PodOSNotSupported".to_owned(), message.to_owned()));
        }
        if let Some(name) = sandbox::forbidden(spec) {
            return Some((
                "SysctlForbidden".to_owned(),
                format!("forbidden sysctl: \"{name}\" not allowlisted"),
            ));
        }
        if let Some(message) = app_armor::refusal(spec) {
            return Some(("AppArmor".to_owned(), message));
        }
        if let Some(full) = self.is_full(spec) {
            return Some(full);
        }
        if self.others.iter().any(|other| host_ports::conflict(spec, other)) {
            let message =
                "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports";
            return Some(("NodePorts".to_owned(), message.to_owned()));
        }
        if !self.is_chosen(spec) {
            let message = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
            return Some(("NodeAffinity".to_owned(), message.to_owned()));
        }
        None
    }

    /// What keeps a pod that runs here from being given more.
    pub(crate) fn refuses_to_grow(&self, spec: &PodSpec) -> Option<Delay> {
        let empty = Room { others: &[], ..*self };
        if let Some((name, asked, _, capacity)) = empty.short_of(spec) {
            let message =
                format!("Node didn't have enough capacity: {name}, requested: {asked}, capacity: {capacity}");
            return Some(Delay::Infeasible(message));
        }
        self.is_full(spec).map(|(_, message)| Delay::Deferred(message))
    }

    fn is_full(&self, spec: &PodSpec) -> Option<(String, String)> {
        self.short_of(spec).map(|(name, asked, used, capacity)| {
            let message = format!(
                "Node didn't have enough resource: {name}, requested: {asked}, used: {used}, capacity: {capacity}"
            );
            (format!("OutOf{name}"), message)
        })
    }

    /// The first resource of which there is not enough: its name, and what is asked for, used and there.
    fn short_of(&self, spec: &PodSpec) -> Option<(&'static str, i64, i64, i64)> {
        let asked = requests_of_pod(spec);
        let used: Vec<Requests> = self.others.iter().map(|other| requests_of_pod(other)).collect();
        let has = |name: &str| {
            let amount = self.allocatable.get(name);
            amount
                .map_or(i64::MAX, |amount| if name == "cpu" { amount.milli_value() } else { amount.value() })
        };
        let sum = |of: fn(&Requests) -> i64| used.iter().map(of).fold(0_i64, i64::saturating_add);
        let pods = i64::try_from(self.others.len()).unwrap_or(i64::MAX);
        let all: [(&'static str, i64, i64, i64); 4] = [
            ("pods", 1, pods, self.max_pods.into()),
            ("cpu", asked.cpu, sum(|used| used.cpu), has("cpu")),
            ("memory", asked.memory, sum(|used| used.memory), has("memory")),
            (
                "ephemeral-storage",
                asked.ephemeral_storage,
                sum(|used| used.ephemeral_storage),
                has("ephemeral-storage"),
            ),
        ];
        let short = |(_, asked, used, capacity): &(&str, i64, i64, i64)| {
            *asked > 0 && *asked > capacity.saturating_sub(*used)
        };
        all.into_iter().find(short)
    }

    /// Whether the node has the labels that the pod asks for.
    fn is_chosen(&self, spec: &PodSpec) -> bool {
        let Some(node) = self.node else { return true };
        let usual = BTreeMap::new();
        let labels = node.metadata.labels.as_ref().unwrap_or(&usual);
        let selected = spec.node_selector.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
        let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
        let required = affinity
            .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
        selected
            && required.is_none_or(|required| {
                required.node_selector_terms.iter().any(|term| self.meets(term, labels))
            })
    }

    fn meets(&self, term: &NodeSelectorTerm, labels: &BTreeMap<String, String>) -> bool {
        let named = |list: &Option<Vec<NodeSelectorRequirement>>| list.clone().unwrap_or_default();
        let (expressions, fields) = (named(&term.match_expressions), named(&term.match_fields));
        // A term that says nothing means no node.
        if expressions.is_empty() && fields.is_empty() {
            return false;
        }
        let name = BTreeMap::from([("metadata.name".to_owned(), self.node_name.to_owned())]);
        let holds = |list: &[NodeSelectorRequirement], labels| {
            LabelSelector::of_node(list).is_ok_and(|selector| selector.matches_labels(Some(labels)))
        };
        holds(&expressions, labels) && holds(&fields, &name)
    }
}

#[cfg(test)]
mod tests {
    use api::quantity::Quantity;
    use k8s_openapi::api::core::v1::{Container, ResourceRequirements};
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    fn spec(cpu: &str) -> PodSpec {
        let requests = Some([("cpu".to_owned(), Written(cpu.into()))].into());
        let resources = Some(ResourceRequirements { requests, ..ResourceRequirements::default() });
        PodSpec { containers: vec![Container { resources, ..Container::default() }], ..PodSpec::default() }
    }

    fn verdict(spec: PodSpec, others: &[&PodSpec]) -> Option<(String, String)> {
        let labels = Some([("disk".to_owned(), "ssd".to_owned())].into());
        let node = Node { metadata: ObjectMeta { labels, ..ObjectMeta::default() }, ..Node::default() };
        let allocatable = [("cpu".to_owned(), Quantity::whole(2))].into();
        let room = Room { node_name: "n", node: Some(&node), allocatable: &allocatable, max_pods: 2, others };
        let pod = Pod { spec: Some(spec), ..Pod::default() };
        admit(&pod, &room).map(|verdict| (verdict.reason, verdict.message))
    }

    #[test]
    fn a_full_node_takes_no_more() {
        assert_eq!(verdict(spec("2"), &[]), None);
        assert_eq!(verdict(spec("500m"), &[&spec("1500m")]), None);
        let (reason, message) = verdict(spec("501m"), &[&spec("1500m")]).unwrap();
        let expected = "Node didn't have enough resource: cpu, requested: 501, used: 1500, capacity: 2000";
        assert_eq!((reason.as_str(), message.as_str()), ("OutOfcpu", expected));
        assert_eq!(verdict(spec("0"), &[&spec("0"), &spec("0")]).unwrap().0, "OutOfpods");
    }

    #[test]
    fn what_could_never_fit_is_told_from_what_does_not_fit_now() {
        let allocatable = [("cpu".to_owned(), Quantity::whole(2))].into();
        let other = spec("1500m");
        let others = [&other];
        let room =
            Room { node_name: "n", node: None, allocatable: &allocatable, max_pods: 2, others: &others };
        assert_eq!(room.refuses_to_grow(&spec("500m")), None);
        let now = "Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000";
        assert_eq!(room.refuses_to_grow(&spec("1")), Some(Delay::Deferred(now.to_owned())));
        let ever = "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000";
        assert_eq!(room.refuses_to_grow(&spec("3")), Some(Delay::Infeasible(ever.to_owned())));
    }

    #[test]
    fn labels_are_looked_at_again() {
        let chosen = |value: &str| PodSpec {
            node_selector: Some([("disk".to_owned(), value.to_owned())].into()),
            ..spec("0")
        };
        assert_eq!(verdict(chosen("ssd"), &[]), None);
        assert_eq!(verdict(chosen("hdd"), &[]).unwrap().0, "NodeAffinity");
    }
}
