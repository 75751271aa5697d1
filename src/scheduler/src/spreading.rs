//! Spreading pods evenly over zones, nodes or whatever label nodes are grouped by.

use std::collections::{BTreeMap, BTreeSet};

use api::selector::LabelSelector;
use api::taint;
use k8s_openapi::api::core::v1::{Pod, TopologySpreadConstraint};

use crate::demand::Demand;
use crate::facts::NodeFacts;
use crate::snapshot::Snapshot;

const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// What one pod asks for.
#[derive(Debug, Default)]
pub(crate) struct Spreading {
    /// Must hold.
    hard: Vec<Constraint>,
    /// Should hold.
    soft: Vec<Constraint>,
    /// The pod said nothing itself: nodes without a zone still count as hosts.
    by_default: bool,
}

#[derive(Debug)]
struct Constraint {
    topology_key: String,
    max_skew: i64,
    min_domains: usize,
    selector: LabelSelector,
    honour_affinity: bool,
    honour_taints: bool,
}

/// Why a node will not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uneven {
    /// The node is in no group.
    Unlabelled,
    /// Its group has too many already.
    Crowded,
}

impl Spreading {
    /// `alike` selects the pods of the same service or owner, over which a pod that says nothing is spread.
    pub(crate) fn of(pod: &Pod, alike: Option<LabelSelector>) -> Self {
        let written = pod.spec.as_ref().and_then(|spec| spec.topology_spread_constraints.as_deref());
        match (written.unwrap_or_default(), alike) {
            ([], Some(alike)) => Self::by_default(&alike),
            ([], None) => Self::default(),
            (written, _) => {
                let (hard, soft): (Vec<_>, Vec<_>) =
                    written.iter().partition(|one| one.when_unsatisfiable == "DoNotSchedule");
                let parse =
                    |list: Vec<&TopologySpreadConstraint>| list.into_iter().map(Constraint::of).collect();
                Self { hard: parse(hard), soft: parse(soft), by_default: false }
            }
        }
    }

    fn by_default(alike: &LabelSelector) -> Self {
        let soft = |key: &str, max_skew| Constraint {
            topology_key: key.to_string(),
            max_skew,
            min_domains: 1,
            selector: alike.clone(),
            honour_affinity: true,
            honour_taints: false,
        };
        Self { hard: Vec::new(), soft: vec![soft(HOSTNAME, 3), soft(ZONE, 5)], by_default: true }
    }
}

impl Constraint {
    /// The labels that `matchLabelKeys` stands for are part of the selector of every pod that was made.
    fn of(written: &TopologySpreadConstraint) -> Self {
        Self {
            topology_key: written.topology_key.clone(),
            max_skew: written.max_skew.into(),
            min_domains: written.min_domains.and_then(|least| usize::try_from(least).ok()).unwrap_or(1),
            selector: LabelSelector::of(written.label_selector.as_ref()).unwrap_or(LabelSelector::NOTHING),
            honour_affinity: written.node_affinity_policy.as_deref() != Some("Ignore"),
            honour_taints: written.node_taints_policy.as_deref() == Some("Honor"),
        }
    }

    /// Whether a node is one of those over which is spread.
    fn includes(&self, node: &NodeFacts, demand: &Demand) -> bool {
        let keeps_out = |taint: &k8s_openapi::api::core::v1::Taint| {
            taint.effect != taint::PREFER_NO_SCHEDULE && !taint::is_tolerated(taint, demand.pod.tolerations())
        };
        (!self.honour_affinity || demand.nodes.allows(node))
            && (!self.honour_taints || !node.taints().iter().any(keeps_out))
    }

    fn selects_own(&self, demand: &Demand) -> bool {
        self.selector.matches_labels(demand.pod.labels())
    }

    /// How many pods of a node count.
    fn count(&self, node: &NodeFacts, demand: &Demand) -> i64 {
        if self.selector.is_everything() {
            return 0;
        }
        let counts = |pod: &&std::sync::Arc<crate::facts::PodFacts>| {
            pod.key.namespace == demand.pod.key.namespace
                && !pod.is_terminating()
                && self.selector.matches_labels(pod.labels())
        };
        i64::try_from(node.pods().iter().filter(counts).count()).unwrap_or(i64::MAX)
    }
}

fn has_all_labels(node: &NodeFacts, constraints: &[Constraint]) -> bool {
    constraints.iter().all(|one| node.label(&one.topology_key).is_some())
}

/// How the pods of a snapshot are spread, for one pod's hard constraints.
#[derive(Debug)]
pub(crate) struct Skew<'a> {
    demand: &'a Demand,
    /// Per constraint: pods by the value of its label.
    domains: Vec<BTreeMap<&'a str, i64>>,
}

impl<'a> Skew<'a> {
    pub(crate) fn new(demand: &'a Demand, snapshot: &'a Snapshot) -> Self {
        let constraints = &demand.spreading.hard;
        let mut domains = vec![BTreeMap::new(); constraints.len()];
        for node in snapshot.nodes().filter(|node| has_all_labels(node, constraints)) {
            for (constraint, domains) in constraints.iter().zip(&mut domains) {
                if let Some(value) = node.label(&constraint.topology_key)
                    && constraint.includes(node, demand)
                {
                    *domains.entry(value).or_default() += constraint.count(node, demand);
                }
            }
        }
        Self { demand, domains }
    }

    pub(crate) fn check(&self, node: &NodeFacts) -> Result<(), Uneven> {
        for (constraint, domains) in self.demand.spreading.hard.iter().zip(&self.domains) {
            let value = node.label(&constraint.topology_key).ok_or(Uneven::Unlabelled)?;
            let enough_domains = domains.len() >= constraint.min_domains;
            let least = if enough_domains { domains.values().min().copied().unwrap_or_default() } else { 0 };
            let here = domains.get(value).copied().unwrap_or_default();
            let own = i64::from(constraint.selects_own(self.demand));
            if here + own - least > constraint.max_skew {
                return Err(Uneven::Crowded);
            }
        }
        Ok(())
    }
}

/// How well each of `nodes` keeps the soft constraints, between 0 and 100; none if there are none.
pub(crate) fn preferences(demand: &Demand, snapshot: &Snapshot, nodes: &[&NodeFacts]) -> Option<Vec<i64>> {
    let Spreading { soft, by_default, .. } = &demand.spreading;
    if soft.is_empty() {
        return None;
    }
    let counted = |node: &&NodeFacts| *by_default || has_all_labels(node, soft);
    let crowding = Crowding::new(demand, snapshot, nodes, &counted);
    let counts: Vec<Option<i64>> =
        nodes.iter().map(|node| counted(node).then(|| crowding.of(node))).collect();
    let most = counts.iter().flatten().max().copied().unwrap_or_default();
    let least = counts.iter().flatten().min().copied().unwrap_or_default();
    let score = |count: &Option<i64>| match count {
        None => 0,
        Some(_) if most == 0 => 100,
        Some(count) => 100 * (most + least - count) / most,
    };
    Some(counts.iter().map(score).collect())
}

/// How many pods alike are around each node, groups of different kinds made comparable.
struct Crowding<'a> {
    demand: &'a Demand,
    /// Per soft constraint: its weight, and its pods by the value of its label.
    groups: Vec<(f64, BTreeMap<&'a str, i64>)>,
}

impl<'a> Crowding<'a> {
    fn new(
        demand: &'a Demand,
        snapshot: &'a Snapshot,
        nodes: &[&'a NodeFacts],
        counted: &impl Fn(&&NodeFacts) -> bool,
    ) -> Self {
        let group = |constraint: &Constraint| {
            let candidates: BTreeSet<&str> = nodes
                .iter()
                .filter(|node| counted(node))
                .filter_map(|node| node.label(&constraint.topology_key))
                .collect();
            let mut pods: BTreeMap<&str, i64> = candidates.into_iter().map(|value| (value, 0)).collect();
            for node in snapshot.nodes().filter(|node| counted(node) && constraint.includes(node, demand)) {
                let here = node.label(&constraint.topology_key).and_then(|value| pods.get_mut(value));
                if let Some(here) = here {
                    *here += constraint.count(node, demand);
                }
            }
            // Few large groups should not drown many small ones.
            let weight = f64::from(u32::try_from(pods.len()).unwrap_or(u32::MAX)) + 2.0;
            (weight.ln(), pods)
        };
        Self { demand, groups: demand.spreading.soft.iter().map(group).collect() }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a count of pods is exact"
    )]
    fn of(&self, node: &NodeFacts) -> i64 {
        let constraints = self.demand.spreading.soft.iter().zip(&self.groups);
        let crowding = constraints.filter_map(|(constraint, (weight, pods))| {
            let here = pods.get(node.label(&constraint.topology_key)?).copied().unwrap_or_default();
            // What the skew allows anyway makes differences between groups count less.
            Some(here as f64 * weight + (constraint.max_skew - 1) as f64)
        });
        crowding.sum::<f64>().round() as i64
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::{demand, labelled_node, with_labels};

    fn snapshot(counts: &[(&str, &str, usize)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (node, zone, pods) in counts {
            let labels: &[(&str, &str)] =
                if zone.is_empty() { &[(HOSTNAME, node)] } else { &[(HOSTNAME, node), (ZONE, zone)] };
            snapshot.put_node(labelled_node(node, labels));
            for number in 0..*pods {
                let pod =
                    with_labels(&format!("{node}-{number}"), &[("app", "web")], json!({"containers": []}));
                assert!(snapshot.place(node, pod.into()));
            }
        }
        snapshot
    }

    fn web(constraint: Value) -> Demand {
        let mut constraint = constraint;
        constraint["labelSelector"] = json!({"matchLabels": {"app": "web"}});
        demand(with_labels(
            "p",
            &[("app", "web")],
            json!({"containers": [], "topologySpreadConstraints": [constraint]}),
        ))
    }

    fn check(demand: &Demand, snapshot: &Snapshot) -> Vec<Result<(), Uneven>> {
        let skew = Skew::new(demand, snapshot);
        snapshot.nodes().map(|node| skew.check(node)).collect()
    }

    #[test]
    fn a_group_may_be_ahead_by_the_skew() {
        let demand = web(json!({"topologyKey": ZONE, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}));
        let uneven = snapshot(&[("a", "1", 1), ("b", "1", 1), ("c", "2", 1), ("d", "", 0)]);
        assert_eq!(
            check(&demand, &uneven),
            [Err(Uneven::Crowded), Err(Uneven::Crowded), Ok(()), Err(Uneven::Unlabelled)]
        );
        assert_eq!(check(&demand, &snapshot(&[("a", "1", 1), ("c", "2", 1)])), [Ok(()), Ok(())]);
    }

    #[test]
    fn too_few_groups_count_as_an_empty_one() {
        let demand = web(
            json!({"topologyKey": ZONE, "maxSkew": 1, "minDomains": 3, "whenUnsatisfiable": "DoNotSchedule"}),
        );
        assert_eq!(
            check(&demand, &snapshot(&[("a", "1", 1), ("c", "2", 0)])),
            [Err(Uneven::Crowded), Ok(())]
        );
    }

    #[test]
    fn nodes_behind_a_taint_do_not_count_where_taints_are_honoured() {
        let constraint = |policy: &str| {
            web(json!({"topologyKey": HOSTNAME, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
            "nodeTaintsPolicy": policy}))
        };
        let mut snapshot = snapshot(&[("a", "1", 1)]);
        let tainted = labelled_node("z", &[(HOSTNAME, "z")]);
        let mut node = (*tainted.node).clone();
        node.spec =
            serde_json::from_value(json!({"taints": [{"key": "k", "effect": "NoSchedule"}]})).unwrap();
        snapshot.put_node(NodeFacts::new(node.into()));
        assert_eq!(check(&constraint("Ignore"), &snapshot)[0], Err(Uneven::Crowded));
        assert_eq!(check(&constraint("Honor"), &snapshot)[0], Ok(()));
    }

    #[test]
    fn the_emptier_group_scores_higher() {
        let soft = web(json!({"topologyKey": HOSTNAME, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}));
        let snapshot = snapshot(&[("a", "1", 4), ("b", "1", 0), ("c", "2", 2)]);
        let nodes: Vec<_> = snapshot.nodes().collect();
        let scores = preferences(&soft, &snapshot, &nodes).unwrap();
        assert!(scores[1] > scores[2] && scores[2] > scores[0], "{scores:?}");
    }

    #[test]
    fn by_default_pods_of_one_owner_are_spread_over_nodes_without_zones_too() {
        let alike = LabelSelector::of_labels(&[("app".to_string(), "web".to_string())].into()).unwrap();
        let pod = with_labels("p", &[("app", "web")], json!({"containers": []}));
        let spreading = Spreading::of(&pod.pod, Some(alike));
        let demand = Demand { spreading, ..demand(pod) };
        let snapshot = snapshot(&[("a", "", 5), ("b", "", 0)]);
        let nodes: Vec<_> = snapshot.nodes().collect();
        let scores = preferences(&demand, &snapshot, &nodes).unwrap();
        assert!(scores[1] > scores[0], "{scores:?}");
    }
}
