//! Which nodes a pod asks for by their labels and names: `nodeSelector` and node affinity.

use api::selector::LabelSelector;
use k8s_openapi::api::core::v1::{NodeSelector, NodeSelectorTerm, Pod};

use crate::facts::NodeFacts;

/// What one pod asks of nodes.
#[derive(Debug)]
pub(crate) struct NodeAffinity {
    selector: LabelSelector,
    /// One of them must hold; none asked for is another thing than none left.
    required: Option<Vec<Term>>,
    preferred: Vec<(i64, Term)>,
}

/// Requirements that must all hold.
#[derive(Debug)]
struct Term {
    labels: LabelSelector,
    names: Vec<NameRule>,
}

/// The one field that may be selected by: `metadata.name`.
#[derive(Debug)]
enum NameRule {
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl NodeAffinity {
    pub(crate) fn of(pod: &Pod) -> Self {
        let spec = pod.spec.as_ref();
        let selector = spec.and_then(|spec| spec.node_selector.as_ref());
        let affinity = spec.and_then(|spec| spec.affinity.as_ref()?.node_affinity.as_ref());
        let required = affinity
            .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
        let preferred = affinity
            .and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_ref());
        Self {
            selector: selector.map_or(LabelSelector::EVERYTHING, |labels| {
                LabelSelector::of_labels(labels).unwrap_or(LabelSelector::NOTHING)
            }),
            required: required.map(terms),
            preferred: preferred
                .into_iter()
                .flatten()
                .filter_map(|one| Some((i64::from(one.weight), Term::of(&one.preference)?)))
                .collect(),
        }
    }

    pub(crate) fn allows(&self, node: &NodeFacts) -> bool {
        self.selector.matches_labels(node.labels())
            && self.required.as_ref().is_none_or(|terms| terms.iter().any(|term| term.matches(node)))
    }

    /// The weights of all preferences that a node meets.
    pub(crate) fn preference(&self, node: &NodeFacts) -> i64 {
        self.preferred.iter().filter(|(_, term)| term.matches(node)).map(|(weight, _)| weight).sum()
    }

    pub(crate) fn has_preferences(&self) -> bool {
        !self.preferred.is_empty()
    }
}

/// Whether a node is one that a volume can be reached from.
pub(crate) fn selects(selector: &NodeSelector, node: &NodeFacts) -> bool {
    terms(selector).iter().any(|term| term.matches(node))
}

fn terms(selector: &NodeSelector) -> Vec<Term> {
    selector.node_selector_terms.iter().filter_map(Term::of).collect()
}

impl Term {
    /// None for a term that can match nothing: one that is empty, or makes no sense.
    fn of(term: &NodeSelectorTerm) -> Option<Self> {
        let expressions = term.match_expressions.as_deref().unwrap_or_default();
        let fields = term.match_fields.as_deref().unwrap_or_default();
        if expressions.is_empty() && fields.is_empty() {
            return None;
        }
        let name_rule = |field: &k8s_openapi::api::core::v1::NodeSelectorRequirement| {
            let values = field.values.clone().unwrap_or_default();
            match (field.key.as_str(), field.operator.as_str()) {
                ("metadata.name", "In") => Some(NameRule::In(values)),
                ("metadata.name", "NotIn") => Some(NameRule::NotIn(values)),
                _ => None,
            }
        };
        let names = fields.iter().map(name_rule).collect::<Option<_>>()?;
        Some(Self { labels: LabelSelector::of_node(expressions).ok()?, names })
    }

    fn matches(&self, node: &NodeFacts) -> bool {
        let name_fits = |rule: &NameRule| match rule {
            NameRule::In(names) => names.contains(&node.name),
            NameRule::NotIn(names) => !names.contains(&node.name),
        };
        self.labels.matches_labels(node.labels()) && self.names.iter().all(name_fits)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::{labelled_node, pod};

    fn allows(spec: Value) -> bool {
        let node = labelled_node("n1", &[("zone", "a"), ("cores", "8")]);
        NodeAffinity::of(&pod("p", spec)).allows(&node)
    }

    fn required(terms: &Value) -> Value {
        json!({"containers": [], "affinity": {"nodeAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}})
    }

    #[test]
    fn terms_are_alternatives_and_requirements_add_up() {
        let zone = |value: &str| json!({"key": "zone", "operator": "In", "values": [value]});
        assert!(allows(json!({"containers": []})));
        assert!(allows(json!({"containers": [], "nodeSelector": {"zone": "a"}})));
        assert!(!allows(json!({"containers": [], "nodeSelector": {"zone": "b"}})));
        assert!(allows(required(
            &json!([{"matchExpressions": [zone("b")]}, {"matchExpressions": [zone("a")]}])
        )));
        assert!(!allows(required(
            &json!([{"matchExpressions": [zone("a"), {"key": "cores", "operator": "Gt", "values": ["8"]}]}])
        )));
        assert!(allows(required(
            &json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}])
        )));
        assert!(!allows(required(
            &json!([{"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["n1"]}]}])
        )));
        assert!(!allows(required(&json!([{}]))), "an empty term matches nothing");
    }

    #[test]
    fn preferences_add_their_weights() {
        let prefer = |weight: i32, cores: &str| {
            json!({"weight": weight, "preference":
            {"matchExpressions": [{"key": "cores", "operator": "Lt", "values": [cores]}]}})
        };
        let affinity = NodeAffinity::of(&pod(
            "p",
            json!({"containers": [], "affinity": {"nodeAffinity":
            {"preferredDuringSchedulingIgnoredDuringExecution": [prefer(5, "9"), prefer(20, "10"), prefer(50, "8")]}}}),
        ));
        assert_eq!(affinity.preference(&labelled_node("n1", &[("cores", "8")])), 25);
    }
}
