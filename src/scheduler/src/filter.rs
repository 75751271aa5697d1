//! Whether a node will do for a pod, and if not, what is in the way.
//!
//! The checks run in upstream's order and the first that fails speaks for the node.

use api::taint;
use k8s_openapi::api::core::v1::Taint;

use crate::demand::Demand;
use crate::facts::{NodeFacts, PodFacts};
use crate::pod_affinity::{Conflict, Neighbours};
use crate::snapshot::Snapshot;
use crate::spreading::{Skew, Uneven};
use crate::volumes::{self, Unreachable};

/// What kept a pod from a node: decides which events make it worth another look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Blocker {
    Cordon,
    Taint,
    NodeAffinity,
    Ports,
    Resources,
    Volumes,
    Spreading,
    PodAffinity,
    /// There are no nodes.
    NoNodes,
}

/// Why a node will not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) blocker: Blocker,
    pub(crate) reasons: Vec<String>,
    /// Whether it might do if some of its pods went.
    pub(crate) would_yield: bool,
}

impl Refusal {
    fn new(blocker: Blocker, would_yield: bool, reason: impl Into<String>) -> Self {
        Self { blocker, reasons: vec![reason.into()], would_yield }
    }
}

/// The checks for one pod against one snapshot.
#[derive(Debug)]
pub(crate) struct Filter<'a> {
    demand: &'a Demand,
    skew: Skew<'a>,
    neighbours: Neighbours<'a>,
}

impl<'a> Filter<'a> {
    pub(crate) fn new(demand: &'a Demand, snapshot: &'a Snapshot) -> Self {
        Self { demand, skew: Skew::new(demand, snapshot), neighbours: Neighbours::new(&demand.pod, snapshot) }
    }

    pub(crate) fn check(&self, node: &NodeFacts) -> Result<(), Refusal> {
        let pod = &self.demand.pod;
        cordon(pod, node)?;
        taints(pod, node)?;
        if !self.demand.nodes.allows(node) {
            let reason = "node(s) didn't match Pod's node affinity/selector";
            return Err(Refusal::new(Blocker::NodeAffinity, false, reason));
        }
        ports(pod, node)?;
        resources(pod, node)?;
        self.volumes(node)?;
        self.spreading(node)?;
        self.neighbours(node)
    }

    fn volumes(&self, node: &NodeFacts) -> Result<(), Refusal> {
        volumes::check(&self.demand.volumes, node).map_err(|unreachable| {
            let reason = match unreachable {
                Unreachable::Elsewhere => "node(s) didn't match PersistentVolume's node affinity",
                Unreachable::Missing => {
                    "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
                }
            };
            Refusal::new(Blocker::Volumes, false, reason)
        })
    }

    fn spreading(&self, node: &NodeFacts) -> Result<(), Refusal> {
        self.skew.check(node).map_err(|uneven| {
            let reason = "node(s) didn't match pod topology spread constraints";
            match uneven {
                Uneven::Crowded => Refusal::new(Blocker::Spreading, true, reason),
                Uneven::Unlabelled => {
                    Refusal::new(Blocker::Spreading, false, format!("{reason} (missing required label)"))
                }
            }
        })
    }

    fn neighbours(&self, node: &NodeFacts) -> Result<(), Refusal> {
        self.neighbours.check(node).map_err(|conflict| {
            let (would_yield, reason) = match conflict {
                Conflict::Alone => (false, "node(s) didn't match pod affinity rules"),
                Conflict::TooNear => (true, "node(s) didn't match pod anti-affinity rules"),
                Conflict::Unwelcome => (true, "node(s) didn't satisfy existing pods anti-affinity rules"),
            };
            Refusal::new(Blocker::PodAffinity, would_yield, reason)
        })
    }
}

fn cordon(pod: &PodFacts, node: &NodeFacts) -> Result<(), Refusal> {
    let cordon = Taint {
        key: "node.kubernetes.io/unschedulable".into(),
        effect: taint::NO_SCHEDULE.into(),
        ..Taint::default()
    };
    if !node.is_unschedulable() || taint::is_tolerated(&cordon, pod.tolerations()) {
        return Ok(());
    }
    Err(Refusal::new(Blocker::Cordon, false, "node(s) were unschedulable"))
}

fn taints(pod: &PodFacts, node: &NodeFacts) -> Result<(), Refusal> {
    let keeps_out = |taint: &&Taint| {
        taint.effect != taint::PREFER_NO_SCHEDULE && !taint::is_tolerated(taint, pod.tolerations())
    };
    let Some(taint) = node.taints().iter().find(keeps_out) else { return Ok(()) };
    let value = taint.value.as_deref().unwrap_or_default();
    let reason = format!("node(s) had untolerated taint {{{}: {value}}}", taint.key);
    Err(Refusal::new(Blocker::Taint, false, reason))
}

fn ports(pod: &PodFacts, node: &NodeFacts) -> Result<(), Refusal> {
    let mut taken = node.pods().iter().flat_map(|other| &other.ports);
    if taken.any(|taken| pod.ports.iter().any(|port| port.conflicts_with(taken))) {
        let reason = "node(s) didn't have free ports for the requested pod ports";
        return Err(Refusal::new(Blocker::Ports, true, reason));
    }
    Ok(())
}

fn resources(pod: &PodFacts, node: &NodeFacts) -> Result<(), Refusal> {
    let (asked, all, taken) = (&pod.requests, &node.allocatable, &node.requested);
    let mut refusal = Refusal { blocker: Blocker::Resources, reasons: Vec::new(), would_yield: true };
    if node.pods().len() >= node.most_pods {
        refusal.reasons.push("Too many pods".into());
    }
    let others =
        asked.others.iter().map(|(name, asked)| (name.as_str(), *asked, all.other(name), taken.other(name)));
    let named = [
        ("cpu", asked.cpu, all.cpu, taken.cpu),
        ("memory", asked.memory, all.memory, taken.memory),
        ("ephemeral-storage", asked.storage, all.storage, taken.storage),
    ];
    for (name, asked, all, taken) in named.into_iter().chain(others) {
        if asked > 0 && asked > all - taken {
            refusal.reasons.push(format!("Insufficient {name}"));
            refusal.would_yield &= asked <= all;
        }
    }
    if refusal.reasons.is_empty() { Ok(()) } else { Err(refusal) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::api::core::v1::Node;
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::{cpu, demand, facts, node};

    fn check(spec: Value, node: Node, there: Vec<PodFacts>) -> Result<(), Refusal> {
        let mut snapshot = Snapshot::default();
        let name = node.metadata.name.clone().unwrap();
        snapshot.put_node(NodeFacts::new(Arc::new(node)));
        for pod in there {
            assert!(snapshot.place(&name, pod.into()));
        }
        let demand = demand(facts("p", spec));
        Filter::new(&demand, &snapshot).check(snapshot.node(&name).unwrap())
    }

    fn refused(spec: Value, node: Node, there: Vec<PodFacts>) -> (Vec<String>, bool) {
        let refusal = check(spec, node, there).unwrap_err();
        (refusal.reasons, refusal.would_yield)
    }

    fn tainted(spec: Value) -> Node {
        Node { spec: serde_json::from_value(spec).unwrap(), ..node("n", "4") }
    }

    #[test]
    fn taints_and_cordons_keep_out_who_does_not_tolerate_them() {
        let taint = tainted(json!({"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}));
        assert_eq!(
            refused(cpu("1"), taint.clone(), vec![]),
            (vec!["node(s) had untolerated taint {k: v}".to_string()], false)
        );
        let mut tolerant = cpu("1");
        tolerant["tolerations"] = json!([{"operator": "Exists"}]);
        assert_eq!(check(tolerant.clone(), taint, vec![]), Ok(()));
        let cordoned = tainted(json!({"unschedulable": true}));
        assert_eq!(refused(cpu("1"), cordoned.clone(), vec![]).0, ["node(s) were unschedulable"]);
        assert_eq!(check(tolerant, cordoned, vec![]), Ok(()));
        let soft = tainted(json!({"taints": [{"key": "k", "effect": "PreferNoSchedule"}]}));
        assert_eq!(check(cpu("1"), soft, vec![]), Ok(()));
    }

    #[test]
    fn resources_are_counted_with_what_is_there() {
        assert_eq!(check(cpu("4"), node("n", "4"), vec![]), Ok(()));
        let busy = || vec![facts("q", cpu("1"))];
        assert_eq!(refused(cpu("4"), node("n", "4"), busy()), (vec!["Insufficient cpu".to_string()], true));
        assert_eq!(refused(cpu("5"), node("n", "4"), busy()), (vec!["Insufficient cpu".to_string()], false));
        let gpu = json!({"containers": [{"name": "c", "resources": {"requests": {"example.com/gpu": "1", "cpu": "9"}}}]});
        assert_eq!(
            refused(gpu, node("n", "4"), vec![]).0,
            ["Insufficient cpu", "Insufficient example.com/gpu"]
        );
        assert_eq!(check(json!({"containers": [{"name": "c"}]}), node("n", "0"), vec![]), Ok(()));
    }

    #[test]
    fn a_node_holds_so_many_pods_and_each_port_once() {
        let full = (0..10).map(|number| facts(&format!("q{number}"), json!({"containers": [{"name": "c"}]})));
        assert_eq!(refused(json!({"containers": []}), node("n", "4"), full.collect()).0, ["Too many pods"]);
        let port = json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]});
        assert_eq!(
            refused(port.clone(), node("n", "4"), vec![facts("q", port)]).0,
            ["node(s) didn't have free ports for the requested pod ports"]
        );
    }
}
