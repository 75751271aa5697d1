//! Making room: which pods of which node must go so that a more important one fits.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use api::selector::LabelSelector;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::jiff::Timestamp;

use crate::decide::{Nominations, check};
use crate::demand::Demand;
use crate::facts::{NodeFacts, PodFacts};
use crate::filter::{Filter, Refusal};
use crate::message;
use crate::snapshot::Snapshot;

/// The room that will be, and who must go for it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) node: String,
    pub(crate) victims: Vec<Arc<PodFacts>>,
    violations: usize,
}

/// Why nobody is evicted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoPlan {
    /// The pod may not, or has others going for it already.
    NotNow(&'static str),
    /// It would not help.
    Useless(String),
}

/// How many pods of a kind may be disturbed.
#[derive(Debug)]
pub(crate) struct Budget {
    namespace: String,
    selector: LabelSelector,
    allowed: i32,
    /// Pods whose eviction is counted in `allowed` already.
    disrupted: Vec<String>,
}

impl Budget {
    pub(crate) fn of(budget: &PodDisruptionBudget) -> Self {
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let status = budget.status.as_ref();
        Self {
            namespace: budget.metadata.namespace.clone().unwrap_or_default(),
            selector: LabelSelector::of(selector).unwrap_or(LabelSelector::NOTHING),
            allowed: status.and_then(|status| status.disruptions_allowed).unwrap_or_default(),
            disrupted: status
                .iter()
                .flat_map(|status| status.disrupted_pods.iter().flatten())
                .map(|(name, _)| name.clone())
                .collect(),
        }
    }

    fn covers(&self, pod: &PodFacts) -> bool {
        self.namespace == pod.key.namespace
            && !self.disrupted.contains(&pod.key.name)
            && self.selector.matches_labels(pod.labels())
    }
}

/// The plan that hurts least.
pub(crate) fn plan(
    demand: &Demand,
    snapshot: &Snapshot,
    refusals: &BTreeMap<String, Refusal>,
    budgets: &[Budget],
    nominations: &Nominations,
) -> Result<Plan, NoPlan> {
    may_preempt(demand, snapshot, nominations)?;
    let (mut plans, mut reasons) = (Vec::new(), Vec::new());
    for (node, refusal) in refusals {
        if !refusal.would_yield {
            reasons.push(message::USELESS.to_string());
            continue;
        }
        match plan_for(demand, snapshot, node, budgets, nominations) {
            Ok(plan) => plans.push(plan),
            Err(why) => reasons.extend(why),
        }
    }
    let useless = || message::unavailable(refusals.len(), reasons.iter().map(String::as_str));
    plans.into_iter().min_by_key(Plan::harm).ok_or_else(|| NoPlan::Useless(useless()))
}

fn may_preempt(demand: &Demand, snapshot: &Snapshot, nominations: &Nominations) -> Result<(), NoPlan> {
    let pod = &demand.pod;
    if pod.pod.spec.as_ref().and_then(|spec| spec.preemption_policy.as_deref()) == Some("Never") {
        return Err(NoPlan::NotNow("not eligible due to preemptionPolicy=Never."));
    }
    // Who went for us may take a while to be gone.
    let nominated = nominations.node_of(&pod.key).and_then(|name| snapshot.node(name));
    let going = |other: &Arc<PodFacts>| other.is_terminating() && other.priority() < pod.priority();
    if nominated.is_some_and(|node| node.pods().iter().any(going)) {
        return Err(NoPlan::NotNow("not eligible due to a terminating pod on the nominated node."));
    }
    Ok(())
}

/// Takes everybody less important off the node, and lets back, the most important first, whoever is not in the way.
fn plan_for(
    demand: &Demand,
    snapshot: &Snapshot,
    node: &str,
    budgets: &[Budget],
    nominations: &Nominations,
) -> Result<Plan, Vec<String>> {
    let mut trial = snapshot.clone();
    let there = snapshot.node(node).map(NodeFacts::pods).unwrap_or_default();
    let mut candidates: Vec<_> =
        there.iter().filter(|pod| pod.priority() < demand.pod.priority()).cloned().collect();
    if candidates.is_empty() {
        return Err(vec!["No preemption victims found for incoming pod".into()]);
    }
    for pod in &candidates {
        trial.displace(node, &pod.key);
    }
    fits(demand, &trial, node, nominations).map_err(|refusal| refusal.reasons)?;
    candidates.sort_by_key(importance);
    let (protected, free) = split_by_budget(candidates, budgets);
    let mut plan = Plan { node: node.to_string(), victims: Vec::new(), violations: 0 };
    for (pod, is_protected) in
        protected.into_iter().map(|pod| (pod, true)).chain(free.into_iter().map(|pod| (pod, false)))
    {
        trial.place(node, pod.clone());
        if fits(demand, &trial, node, nominations).is_err() {
            trial.displace(node, &pod.key);
            plan.violations += usize::from(is_protected);
            plan.victims.push(pod);
        }
    }
    plan.victims.sort_by_key(importance);
    Ok(plan)
}

fn fits(demand: &Demand, trial: &Snapshot, node: &str, nominations: &Nominations) -> Result<(), Refusal> {
    let filter = Filter::new(demand, trial);
    trial.node(node).map_or(Ok(()), |node| check(&filter, demand, node, nominations))
}

/// Sorts the most important first: higher priority, then running longer.
fn importance(pod: &Arc<PodFacts>) -> (Reverse<i32>, Timestamp) {
    (Reverse(pod.priority()), started(pod))
}

fn started(pod: &PodFacts) -> Timestamp {
    pod.pod
        .status
        .as_ref()
        .and_then(|status| status.start_time.as_ref())
        .map_or(Timestamp::MAX, |time| time.0)
}

/// Those whose going would break a budget, and the others.
fn split_by_budget(pods: Vec<Arc<PodFacts>>, budgets: &[Budget]) -> (Vec<Arc<PodFacts>>, Vec<Arc<PodFacts>>) {
    let mut left: Vec<i32> = budgets.iter().map(|budget| budget.allowed).collect();
    pods.into_iter().partition(|pod| {
        let mut breaks = false;
        for (budget, left) in budgets.iter().zip(&mut left) {
            if budget.covers(pod) {
                *left -= 1;
                breaks |= *left < 0;
            }
        }
        breaks
    })
}

impl Plan {
    /// What to keep small: broken budgets, the importance of the victims, their number, and how long they have run.
    fn harm(&self) -> (usize, i32, i64, usize, Reverse<Timestamp>) {
        let highest = self.victims.iter().map(|pod| pod.priority()).max().unwrap_or(i32::MIN);
        // Counted from the lowest priority there is, so that more victims never add up to less.
        let sum = self.victims.iter().map(|pod| i64::from(pod.priority()) - i64::from(i32::MIN)).sum();
        let foremost = self.victims.iter().filter(|pod| pod.priority() == highest);
        let earliest = foremost.map(|pod| started(pod)).min().unwrap_or(Timestamp::MAX);
        (self.violations, highest, sum, self.victims.len(), Reverse(earliest))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decide::{Unfit, decide};
    use crate::fixtures::{cpu, demand, node, with_priority};

    fn cluster(pods: &[(&str, &str, i32, &str)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for name in ["a", "b"] {
            snapshot.put_node(NodeFacts::new(Arc::new(node(name, "4"))));
        }
        for (node, name, priority, amount) in pods {
            assert!(snapshot.place(node, with_priority(name, *priority, cpu(amount)).into()));
        }
        snapshot
    }

    fn try_plan(
        pod: PodFacts,
        snapshot: &Snapshot,
        budgets: &[Budget],
    ) -> Result<(String, Vec<String>), NoPlan> {
        let demand = demand(pod);
        let none = Nominations::default();
        let Err(Unfit::Nodes(refusals)) = decide(&demand, snapshot, &none, |_| 0) else { panic!("it fits") };
        let plan = plan(&demand, snapshot, &refusals, budgets, &none)?;
        Ok((plan.node, plan.victims.iter().map(|pod| pod.key.name.clone()).collect()))
    }

    #[test]
    fn as_few_and_as_unimportant_as_will_do() {
        let snapshot = cluster(&[("a", "x", 1, "2"), ("a", "y", 2, "2"), ("b", "z", 3, "4")]);
        assert_eq!(
            try_plan(with_priority("p", 9, cpu("2")), &snapshot, &[]),
            Ok(("a".into(), vec!["x".into()]))
        );
        assert_eq!(
            try_plan(with_priority("p", 9, cpu("4")), &snapshot, &[]),
            Ok(("a".into(), vec!["y".into(), "x".into()])),
            "the highest of a is lower than the one of b"
        );
        assert_eq!(
            try_plan(with_priority("p", 2, cpu("4")), &snapshot, &[]),
            Err(NoPlan::Useless("0/2 nodes are available: 1 Insufficient cpu, 1 No preemption victims found for incoming pod.".into()))
        );
        assert_eq!(
            try_plan(with_priority("p", 9, cpu("5")), &snapshot, &[]),
            Err(NoPlan::Useless(
                "0/2 nodes are available: 2 Preemption is not helpful for scheduling.".into()
            ))
        );
    }

    #[test]
    fn a_budget_protects_where_there_is_a_choice() {
        let snapshot = cluster(&[("a", "x", 1, "4"), ("b", "z", 3, "4")]);
        let guard = Budget {
            namespace: "default".into(),
            selector: LabelSelector::EVERYTHING,
            allowed: 0,
            disrupted: vec!["z".into()],
        };
        assert_eq!(
            try_plan(with_priority("p", 9, cpu("4")), &snapshot, &[guard]),
            Ok(("b".into(), vec!["z".into()]))
        );
    }

    #[test]
    fn a_pod_may_be_told_not_to_preempt() {
        let snapshot = cluster(&[("a", "x", 1, "4"), ("b", "z", 3, "4")]);
        let mut spec = cpu("4");
        spec["preemptionPolicy"] = json!("Never");
        assert_eq!(
            try_plan(with_priority("p", 9, spec), &snapshot, &[]),
            Err(NoPlan::NotNow("not eligible due to preemptionPolicy=Never."))
        );
    }
}
