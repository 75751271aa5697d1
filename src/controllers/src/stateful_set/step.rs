//! What a StatefulSet does next: one pod after the other, each waited for, unless it may be done all at once.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;

use super::identity::{self, Ranks};
use crate::pod::{self, Age, Availability};
use crate::rounding::{Round, resolve};

/// So many pods are made in one go; the others follow when these are there.
const MOST_AT_ONCE: usize = 500;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Makes the pod of an ordinal, of the template of now or of the one before.
    Create { ordinal: i32, before: bool },
    /// Deletes a pod that has ended, to make it anew.
    Replace(Arc<Pod>),
    /// Deletes a pod that is no longer asked for.
    Condemn { ordinal: i32, pod: Arc<Pod> },
    /// Deletes a pod of an older template.
    Update(Arc<Pod>),
}

/// What is asked for.
#[derive(Clone)]
pub(super) struct Goal<'a> {
    first: i32,
    /// Whether one pod waits for the other.
    ordered: bool,
    rolling: bool,
    /// So many, from the first on, stay with the template before.
    partition: i32,
    /// So many pods may be missing while others are updated.
    max_unavailable: usize,
    min_ready_seconds: i32,
    update_revision: String,
    age: Age<'a>,
}

impl<'a> Goal<'a> {
    pub(super) fn of(set: &StatefulSet, update_revision: &str, age: Age<'a>) -> Self {
        let strategy = set.spec.update_strategy.as_ref();
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let max_unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
        let max_unavailable =
            max_unavailable.map(|amount| resolve(amount, identity::replicas(set), Round::Down));
        Self {
            first: identity::first(set),
            ordered: set.spec.pod_management_policy.as_deref() != Some("Parallel"),
            rolling: strategy.and_then(|strategy| strategy.type_.as_deref()) != Some("OnDelete"),
            partition: rolling.and_then(|rolling| rolling.partition).unwrap_or_default(),
            max_unavailable: max_unavailable
                .and_then(|amount| usize::try_from(amount).ok())
                .unwrap_or(1)
                .max(1),
            min_ready_seconds: set.spec.min_ready_seconds.unwrap_or_default(),
            update_revision: update_revision.into(),
            age,
        }
    }

    /// The first ordinal that an update reaches.
    fn partitioned(&self) -> i32 {
        self.first.saturating_add(self.partition)
    }

    pub(super) fn is_available(&self, pod: &Pod) -> bool {
        is_running_and_ready(pod)
            && pod::availability(pod, self.min_ready_seconds, self.age) == Availability::Available
    }

    /// Works, and will go on.
    fn is_healthy(&self, pod: &Pod) -> bool {
        self.is_available(pod) && pod.metadata.deletion_timestamp.is_none()
    }

    fn is_old(&self, pod: &Pod) -> bool {
        identity::revision(pod) != Some(&self.update_revision)
    }
}

pub(super) fn is_running_and_ready(pod: &Pod) -> bool {
    pod::phase(pod) == "Running" && pod::is_ready(pod)
}

/// The next actions, to be taken together; none while something must be waited for.
pub(super) fn next(goal: &Goal<'_>, ranks: &Ranks) -> Vec<Action> {
    let mut actions = Vec::new();
    if fill(goal, ranks, &mut actions) || shrink(goal, ranks, &mut actions) {
        return actions;
    }
    if actions.is_empty() && goal.rolling {
        return update(goal, ranks);
    }
    actions
}

/// Makes what is missing, from the lowest on; true if that has to be waited for.
fn fill(goal: &Goal<'_>, ranks: &Ranks, actions: &mut Vec<Action>) -> bool {
    for ordinal in goal.first..goal.first.saturating_add(ranks.wanted) {
        let is_going = |pod: &Pod| pod.metadata.deletion_timestamp.is_some();
        let settled = match ranks.staying.get(&ordinal) {
            None => {
                let before = goal.rolling && ordinal < goal.partitioned();
                actions.push(Action::Create { ordinal, before });
                false
            }
            Some(pod) if pod::is_finished(pod) => {
                if !is_going(pod) {
                    actions.push(Action::Replace(pod.clone()));
                }
                false
            }
            Some(pod) => !is_going(pod) && goal.is_available(pod),
        };
        if (goal.ordered && !settled) || actions.len() == MOST_AT_ONCE {
            return true;
        }
    }
    false
}

/// Deletes what is too many, from the highest on; true if that has to be waited for.
fn shrink(goal: &Goal<'_>, ranks: &Ranks, actions: &mut Vec<Action>) -> bool {
    let unhealthy = |pod: &&Arc<Pod>| !goal.is_healthy(pod);
    let staying = ranks.staying.values();
    // Only the first one that does not work may be deleted although it does not.
    let first_unhealthy =
        staying.chain(ranks.condemned.iter().rev().map(|(_, pod)| pod)).find(unhealthy).map(Arc::as_ptr);
    for (ordinal, pod) in &ranks.condemned {
        let going = pod.metadata.deletion_timestamp.is_some();
        let broken = !goal.is_available(pod) && first_unhealthy != Some(Arc::as_ptr(pod));
        let blocked = going || goal.ordered && broken;
        if !blocked {
            actions.push(Action::Condemn { ordinal: *ordinal, pod: pod.clone() });
        }
        if goal.ordered {
            return true;
        }
    }
    false
}

/// Deletes pods of older templates, from the highest on, as long as enough others work. A broken pod of an older template is
/// not waited for: it is the update that may heal it.
fn update(goal: &Goal<'_>, ranks: &Ranks) -> Vec<Action> {
    let is_target = |pod: &&Arc<Pod>| goal.is_old(pod) && pod.metadata.deletion_timestamp.is_none();
    let fine = ranks.staying.values().filter(|pod| goal.is_healthy(pod) || is_target(pod)).count();
    let unavailable = usize::try_from(ranks.wanted).unwrap_or_default().saturating_sub(fine);
    let budget = goal.max_unavailable.saturating_sub(unavailable);
    let candidates = ranks.staying.range(goal.partitioned()..).rev().map(|(_, pod)| pod);
    candidates.filter(is_target).take(budget).cloned().map(Action::Update).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pod::tests::pod;

    fn goal() -> Goal<'static> {
        Goal {
            first: 0,
            ordered: true,
            rolling: true,
            partition: 0,
            max_unavailable: 1,
            min_ready_seconds: 0,
            update_revision: "new".into(),
            age: &|_, _| Duration::ZERO,
        }
    }

    fn of(name: &str, revision: &str, ready: bool) -> Arc<Pod> {
        let mut pod = Pod::clone(&pod(name, "n", ready.then_some(0)));
        pod.metadata.labels = Some([(identity::REVISION.to_string(), revision.to_string())].into());
        Arc::new(pod)
    }

    fn slot(name: &str, revision: &str, ready: bool) -> Option<Arc<Pod>> {
        Some(of(name, revision, ready))
    }

    fn next(goal: &Goal<'_>, slots: &[Option<Arc<Pod>>], condemned: &[(i32, Arc<Pod>)]) -> Vec<Action> {
        let wanted = i32::try_from(slots.len()).unwrap();
        let staying = (goal.first..).zip(slots).filter_map(|(ordinal, pod)| Some((ordinal, pod.clone()?)));
        super::next(goal, &Ranks { wanted, staying: staying.collect(), condemned: condemned.to_vec() })
    }

    #[test]
    fn any_number_may_be_asked_for() {
        let ranks = Ranks { wanted: i32::MAX, ..Ranks::default() };
        let goal = Goal { first: 7, ordered: false, ..goal() };
        assert_eq!(super::next(&goal, &ranks).len(), MOST_AT_ONCE);
    }

    #[test]
    fn pods_come_one_after_the_other_unless_all_may_come_at_once() {
        let create = |ordinal| Action::Create { ordinal, before: false };
        assert_eq!(next(&goal(), &[None, None, None], &[]), [create(0)]);
        let first = [slot("a-0", "new", false), None];
        assert_eq!(next(&goal(), &first, &[]), [], "the first one is waited for");
        assert_eq!(next(&goal(), &[slot("a-0", "new", true), None], &[]), [create(1)]);
        let parallel = Goal { ordered: false, ..goal() };
        assert_eq!(next(&parallel, &[None, slot("a-1", "new", false), None], &[]), [create(0), create(2)]);
    }

    #[test]
    fn pods_go_from_the_highest_on() {
        let condemned = [(2, of("a-2", "new", true)), (1, of("a-1", "new", true))];
        let slots = [slot("a-0", "new", true)];
        let only = |actions: Vec<Action>| match &actions[..] {
            [Action::Condemn { ordinal, .. }] => Some(*ordinal),
            _ => None,
        };
        assert_eq!(only(next(&goal(), &slots, &condemned)), Some(2));
        let broken = [(2, of("a-2", "new", false)), (1, of("a-1", "new", false))];
        assert_eq!(next(&goal(), &slots, &broken), [], "a-1 broke first: a-2 is not known to be superfluous");
    }

    #[test]
    fn an_update_goes_down_to_the_partition_and_waits_for_each() {
        let slots = [slot("a-0", "old", true), slot("a-1", "old", true), slot("a-2", "old", true)];
        let names = |actions: Vec<Action>| -> Vec<String> {
            let name = |action: Action| match action {
                Action::Update(pod) => pod.metadata.name.clone().unwrap(),
                other => panic!("{other:?}"),
            };
            actions.into_iter().map(name).collect()
        };
        assert_eq!(names(next(&goal(), &slots, &[])), ["a-2"]);
        let done = [slots[0].clone(), slots[1].clone(), slot("a-2", "new", true)];
        assert_eq!(names(next(&goal(), &done, &[])), ["a-1"]);
        let partition = Goal { partition: 2, ..goal() };
        assert_eq!(next(&partition, &done, &[]), []);
        let several = Goal { max_unavailable: 2, ..goal() };
        assert_eq!(names(next(&several, &slots, &[])), ["a-2", "a-1"]);
        let broken = [slots[0].clone(), slot("a-1", "old", false), slot("a-2", "old", false)];
        let parallel = Goal { ordered: false, ..goal() };
        assert_eq!(names(next(&parallel, &broken, &[])), ["a-2"], "what is broken already is not waited for");
        let begun = [slots[0].clone(), slot("a-1", "old", false), slot("a-2", "new", false)];
        assert_eq!(next(&parallel, &begun, &[]), [], "what was updated is");
        let manual = Goal { rolling: false, ..goal() };
        assert_eq!(next(&manual, &slots, &[]), []);
    }
}
