//! The decision about one pod: a node, or why there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat_n;
use std::sync::Arc;

use client::Key;

use crate::demand::Demand;
use crate::facts::{NodeFacts, PodFacts};
use crate::filter::{Blocker, Filter, Refusal};
use crate::message;
use crate::score::scores;
use crate::snapshot::Snapshot;

/// Pods that others were evicted for: room on a node that must not go to anybody less important.
#[derive(Debug, Default)]
pub(crate) struct Nominations(BTreeMap<Key, (String, Arc<PodFacts>)>);

impl Nominations {
    pub(crate) fn add(&mut self, node: &str, pod: Arc<PodFacts>) {
        self.0.insert(pod.key.clone(), (node.to_string(), pod));
    }

    pub(crate) fn remove(&mut self, key: &Key) {
        self.0.remove(key);
    }

    pub(crate) fn node_of(&self, key: &Key) -> Option<&str> {
        self.0.get(key).map(|(node, _)| node.as_str())
    }

    /// The node as it will be for `pod` when those have come who are at least as important; none if that is as it is.
    fn with_expected(&self, pod: &PodFacts, node: &NodeFacts) -> Option<NodeFacts> {
        let expected = self.0.values().filter(|(name, other)| {
            *name == node.name && other.key != pod.key && other.priority() >= pod.priority()
        });
        let mut expected = expected.peekable();
        expected.peek()?;
        let mut filled = node.clone();
        expected.for_each(|(_, other)| filled.put(other.clone()));
        Some(filled)
    }
}

/// Why a pod fits nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Whatever the node: there is none, or something of the pod itself is missing.
    Anywhere { blocker: Blocker, reason: String, nodes: usize },
    /// Each node has its reasons.
    Nodes(BTreeMap<String, Refusal>),
}

impl Unfit {
    pub(crate) fn blockers(&self) -> BTreeSet<Blocker> {
        match self {
            Self::Anywhere { blocker, .. } => [*blocker].into(),
            Self::Nodes(refusals) => refusals.values().map(|refusal| refusal.blocker).collect(),
        }
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::Anywhere { blocker: Blocker::NoNodes, reason, .. } => reason.clone(),
            Self::Anywhere { reason, nodes, .. } => {
                let useless = message::unavailable(*nodes, repeat_n(message::USELESS, *nodes));
                format!("0/{nodes} nodes are available: {reason}. preemption: {useless}")
            }
            Self::Nodes(refusals) => {
                let reasons = refusals.values().flat_map(|refusal| &refusal.reasons);
                message::unavailable(refusals.len(), reasons.map(String::as_str))
            }
        }
    }
}

/// The best node for a pod. `choose` picks one of so many that are equally good.
pub(crate) fn decide(
    demand: &Demand,
    snapshot: &Snapshot,
    nominations: &Nominations,
    choose: impl FnOnce(usize) -> usize,
) -> Result<String, Unfit> {
    if snapshot.nodes().len() == 0 {
        let reason = "no nodes available to schedule pods".to_string();
        return Err(Unfit::Anywhere { blocker: Blocker::NoNodes, reason, nodes: 0 });
    }
    let filter = Filter::new(demand, snapshot);
    if let Some(node) = nominations.node_of(&demand.pod.key).and_then(|name| snapshot.node(name))
        && check(&filter, demand, node, nominations).is_ok()
    {
        return Ok(node.name.clone());
    }
    let (mut feasible, mut refusals) = (Vec::new(), BTreeMap::new());
    for node in snapshot.nodes() {
        match check(&filter, demand, node, nominations) {
            Ok(()) => feasible.push(node),
            Err(refusal) => _ = refusals.insert(node.name.clone(), refusal),
        }
    }
    best(demand, snapshot, &feasible, choose).ok_or(Unfit::Nodes(refusals))
}

/// A pod must fit with and without those who are expected: they may never come.
pub(crate) fn check(
    filter: &Filter<'_>,
    demand: &Demand,
    node: &NodeFacts,
    nominations: &Nominations,
) -> Result<(), Refusal> {
    if let Some(filled) = nominations.with_expected(&demand.pod, node) {
        filter.check(&filled)?;
    }
    filter.check(node)
}

fn best(
    demand: &Demand,
    snapshot: &Snapshot,
    feasible: &[&NodeFacts],
    choose: impl FnOnce(usize) -> usize,
) -> Option<String> {
    if let [only] = feasible {
        return Some(only.name.clone());
    }
    let scores = scores(demand, snapshot, feasible);
    let most = scores.iter().max()?;
    let best: Vec<_> = feasible.iter().zip(&scores).filter(|(_, score)| *score == most).collect();
    best.get(choose(best.len())).map(|(node, _)| node.name.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::{cpu, demand, facts, node, with_priority};

    fn cluster(nodes: &[(&str, &str)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (name, cpu) in nodes {
            snapshot.put_node(NodeFacts::new(Arc::new(node(name, cpu))));
        }
        snapshot
    }

    #[test]
    fn ties_go_to_whom_chance_chooses() {
        let snapshot = cluster(&[("a", "4"), ("b", "4"), ("c", "4"), ("small", "1")]);
        let demand = demand(facts("p", cpu("1")));
        for (choice, node) in [(0, "a"), (1, "b"), (2, "c")] {
            let choose = |count| {
                assert_eq!(count, 3);
                choice
            };
            assert_eq!(decide(&demand, &snapshot, &Nominations::default(), choose).as_deref(), Ok(node));
        }
    }

    #[test]
    fn every_node_says_why_not() {
        let mut snapshot = cluster(&[("a", "1"), ("b", "8")]);
        let mut tainted = node("b", "8");
        tainted.spec = serde_json::from_value(
            json!({"taints": [{"key": "key", "value": "value", "effect": "NoSchedule"}]}),
        )
        .unwrap();
        snapshot.put_node(NodeFacts::new(Arc::new(tainted)));
        let unfit =
            decide(&demand(facts("p", cpu("2"))), &snapshot, &Nominations::default(), |_| 0).unwrap_err();
        assert_eq!(
            unfit.message(),
            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {key: value}."
        );
        assert_eq!(unfit.blockers(), [Blocker::Taint, Blocker::Resources].into());
        let none =
            decide(&demand(facts("p", cpu("2"))), &Snapshot::default(), &Nominations::default(), |_| 0);
        assert_eq!(none.unwrap_err().message(), "no nodes available to schedule pods");
    }

    #[test]
    fn room_made_for_one_goes_to_nobody_less_important() {
        let snapshot = cluster(&[("a", "4")]);
        let mut nominations = Nominations::default();
        let important = Arc::new(with_priority("vip", 10, cpu("3")));
        nominations.add("a", important.clone());
        let ask = |pod| decide(&demand(pod), &snapshot, &nominations, |_| 0);
        assert!(ask(with_priority("p", 5, cpu("2"))).is_err());
        assert!(ask(with_priority("p", 5, cpu("1"))).is_ok());
        assert!(ask(with_priority("p", 20, cpu("2"))).is_ok());
        assert!(ask(with_priority("vip", 10, cpu("3"))).is_ok());
    }
}
