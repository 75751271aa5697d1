//! On which nodes a DaemonSet's pod belongs, and how the pod is bound to its node.
//!
//! The scheduler places these pods too: each is made for one node, by a node affinity to its name.

use api::selector::LabelSelector;
use api::taint;
use k8s_openapi::api::core::v1::{
    Affinity, Node, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec,
    Taint, Toleration,
};

const NAME: &str = "metadata.name";

/// Whether the pod may be made on a node, and whether one that is there may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Run,
    /// Not to be made there, but not to be sent away either.
    Stay,
    Leave,
}

/// `spec` is what the pod will be: with the tolerations that every daemon has.
pub(super) fn fit(spec: &PodSpec, node: &Node) -> Fit {
    let wanted = spec.node_name.as_deref().unwrap_or_default();
    let named = wanted.is_empty() || node.metadata.name.as_deref() == Some(wanted);
    if !named || !is_selected(spec, node) {
        return Fit::Leave;
    }
    match (is_tolerated(spec, node, taint::NO_SCHEDULE), is_tolerated(spec, node, taint::NO_EXECUTE)) {
        (true, true) => Fit::Run,
        (false, true) => Fit::Stay,
        (_, false) => Fit::Leave,
    }
}

fn is_tolerated(spec: &PodSpec, node: &Node, effect: &str) -> bool {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let bears = |one: &Taint| one.effect != effect || taint::is_tolerated(one, tolerations);
    taints.into_iter().all(bears)
}

fn is_selected(spec: &PodSpec, node: &Node) -> bool {
    let labels = node.metadata.labels.as_ref();
    let by_labels = spec.node_selector.as_ref().is_none_or(|selector| {
        LabelSelector::of_labels(selector).is_ok_and(|selector| selector.matches_labels(labels))
    });
    let required = spec.affinity.as_ref().and_then(|affinity| {
        affinity.node_affinity.as_ref()?.required_during_scheduling_ignored_during_execution.as_ref()
    });
    by_labels && required.is_none_or(|it| it.node_selector_terms.iter().any(|term| term_matches(term, node)))
}

/// An empty term matches nothing.
fn term_matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let by_labels = LabelSelector::of_node(expressions)
        .is_ok_and(|selector| selector.matches_labels(node.metadata.labels.as_ref()));
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let by_fields = fields.iter().all(|field| field_matches(field, name));
    !(expressions.is_empty() && fields.is_empty()) && by_labels && by_fields
}

fn field_matches(field: &NodeSelectorRequirement, name: &str) -> bool {
    let named = field.values.iter().flatten().any(|value| value == name);
    match (field.key.as_str(), field.operator.as_str()) {
        (NAME, "In") => named,
        (NAME, "NotIn") => !named,
        _ => false,
    }
}

/// Daemons bear what keeps others away: a node in trouble needs them most.
pub(super) fn with_tolerations(mut spec: PodSpec) -> PodSpec {
    let key = |name: &str| format!("node.kubernetes.io/{name}");
    let mut wanted = vec![
        (key("not-ready"), taint::NO_EXECUTE),
        (key("unreachable"), taint::NO_EXECUTE),
        (key("disk-pressure"), taint::NO_SCHEDULE),
        (key("memory-pressure"), taint::NO_SCHEDULE),
        (key("pid-pressure"), taint::NO_SCHEDULE),
        (key("unschedulable"), taint::NO_SCHEDULE),
    ];
    if spec.host_network == Some(true) {
        wanted.push((key("network-unavailable"), taint::NO_SCHEDULE));
    }
    let tolerations = spec.tolerations.get_or_insert_default();
    for (key, effect) in wanted {
        let toleration = Toleration {
            key: Some(key),
            operator: Some("Exists".into()),
            effect: Some(effect.into()),
            ..Toleration::default()
        };
        if !tolerations.contains(&toleration) {
            tolerations.push(toleration);
        }
    }
    spec
}

/// The spec of the pod for one node. What else it asks of nodes has been looked at already.
pub(super) fn bound_to(mut spec: PodSpec, node: &str) -> PodSpec {
    let name = NodeSelectorRequirement {
        key: NAME.into(),
        operator: "In".into(),
        values: Some(vec![node.to_string()]),
    };
    let term = NodeSelectorTerm { match_expressions: None, match_fields: Some(vec![name]) };
    let affinity = spec.affinity.get_or_insert_with(Affinity::default);
    let affinity = affinity.node_affinity.get_or_insert_with(NodeAffinity::default);
    affinity.required_during_scheduling_ignored_during_execution =
        Some(NodeSelector { node_selector_terms: vec![term] });
    spec
}

/// The node a pod is on, or was made for.
pub(super) fn node_of(pod: &Pod) -> Option<&str> {
    let spec = pod.spec.as_ref()?;
    if let Some(node) = spec.node_name.as_deref().filter(|node| !node.is_empty()) {
        return Some(node);
    }
    let affinity = spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    let fields = required.node_selector_terms.iter().flat_map(|term| term.match_fields.iter().flatten());
    let mut names = fields.filter(|field| field.key == NAME && field.operator == "In");
    names.find_map(|field| match field.values.as_deref().unwrap_or_default() {
        [only] => Some(only.as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::NodeSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    fn node(taint: Option<(&str, &str)>) -> Node {
        let taint =
            taint.map(|(key, effect)| Taint { key: key.into(), effect: effect.into(), ..Taint::default() });
        Node {
            metadata: ObjectMeta {
                name: Some("n1".into()),
                labels: Some([("disk".to_string(), "ssd".to_string())].into()),
                ..ObjectMeta::default()
            },
            spec: Some(NodeSpec { taints: taint.map(|taint| vec![taint]), ..NodeSpec::default() }),
            status: None,
        }
    }

    #[test]
    fn taints_keep_away_or_send_away() {
        let plain = with_tolerations(PodSpec::default());
        assert_eq!(fit(&plain, &node(None)), Fit::Run);
        assert_eq!(fit(&plain, &node(Some(("mine", "NoSchedule")))), Fit::Stay);
        assert_eq!(fit(&plain, &node(Some(("mine", "NoExecute")))), Fit::Leave);
        assert_eq!(fit(&plain, &node(Some(("mine", "PreferNoSchedule")))), Fit::Run);
        assert_eq!(fit(&plain, &node(Some(("node.kubernetes.io/unreachable", "NoExecute")))), Fit::Run);
    }

    #[test]
    fn a_pod_is_made_for_one_node() {
        let spec = bound_to(with_tolerations(PodSpec::default()), "n1");
        let pod = Pod { spec: Some(spec.clone()), ..Pod::default() };
        assert_eq!(node_of(&pod), Some("n1"));
        assert_eq!(fit(&spec, &node(None)), Fit::Run);
        assert_eq!(fit(&bound_to(spec, "n2"), &node(None)), Fit::Leave);
        let selecting = |value: &str| PodSpec {
            node_selector: Some([("disk".to_string(), value.to_string())].into()),
            ..PodSpec::default()
        };
        assert_eq!(fit(&selecting("ssd"), &node(None)), Fit::Run);
        assert_eq!(fit(&selecting("hdd"), &node(None)), Fit::Leave);
    }
}
