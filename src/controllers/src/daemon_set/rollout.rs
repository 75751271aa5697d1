//! Which pods a DaemonSet makes and deletes next: first so that every node has the pod it should, then, when that is so, to
//! bring old pods up to date.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::HASH_LABEL;
use super::placement::Fit;
use crate::history;
use crate::pod::{self, Age, Availability};
use crate::rounding::{Round, resolve};

/// A node, if it is there, with the DaemonSet's pods that are on it or made for it.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// None for a node that is gone.
    pub(super) fit: Option<Fit>,
    /// Oldest first.
    pub(super) pods: Vec<Arc<Pod>>,
}

pub(super) type Places = BTreeMap<String, Place>;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Nodes that get a pod.
    pub(super) create: Vec<String>,
    pub(super) delete: Vec<Arc<Pod>>,
    /// Pods that ended, though they should not have.
    pub(super) ended: Vec<Arc<Pod>>,
}

/// The pod of the current template and that of an older one, on one node.
struct Pair<'a> {
    new: Option<&'a Arc<Pod>>,
    old: Option<&'a Arc<Pod>>,
}

/// What is asked of a rolling update.
#[derive(Clone, Copy)]
pub(super) struct Goal<'a> {
    pub(super) hash: &'a str,
    pub(super) min_ready_seconds: i32,
    pub(super) max_unavailable: usize,
    pub(super) max_surge: usize,
    pub(super) age: Age<'a>,
}

impl<'a> Goal<'a> {
    pub(super) fn of(set: &DaemonSet, hash: &'a str, places: &Places, age: Age<'a>) -> Self {
        let desired = desired(places);
        let rolling = set.spec.update_strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        let count = |amount: &IntOrString| {
            let count = resolve(amount, i32::try_from(desired).unwrap_or(i32::MAX), Round::Up);
            usize::try_from(count).unwrap_or_default()
        };
        let max_surge = rolling.and_then(|rolling| rolling.max_surge.as_ref()).map_or(0, count);
        let max_unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref()).map_or(1, count);
        // Neither more nor fewer would never get anywhere.
        let max_unavailable = if max_surge == 0 && max_unavailable == 0 { 1 } else { max_unavailable };
        let min_ready_seconds = set.spec.min_ready_seconds.unwrap_or_default();
        Self { hash, min_ready_seconds, max_unavailable, max_surge, age }
    }

    pub(super) fn is_available(&self, pod: &Pod) -> bool {
        pod::availability(pod, self.min_ready_seconds, self.age) == Availability::Available
    }

    pub(super) fn is_current(&self, pod: &Pod) -> bool {
        history::hash(&pod.metadata, HASH_LABEL) == Some(self.hash)
    }
}

/// The nodes that should have a pod.
pub(super) fn desired(places: &Places) -> usize {
    places.values().filter(|place| place.fit == Some(Fit::Run)).count()
}

impl Place {
    fn staying(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none())
    }

    /// None if there are several pods of a sort.
    fn pair(&self, goal: &Goal<'_>) -> Option<Pair<'_>> {
        let (new, old): (Vec<_>, Vec<_>) = self.staying().partition(|pod| goal.is_current(pod));
        (new.len() <= 1 && old.len() <= 1)
            .then(|| Pair { new: new.first().copied(), old: old.first().copied() })
    }
}

/// Gives every node the pod it should have, and takes from it what it should not.
pub(super) fn manage(places: &Places, goal: &Goal<'_>) -> Plan {
    let mut plan = Plan::default();
    for (node, place) in places {
        match place.fit {
            Some(Fit::Run) if place.pods.is_empty() => plan.create.push(node.clone()),
            Some(Fit::Run | Fit::Stay) => prune(place, goal, &mut plan),
            Some(Fit::Leave) => plan.delete.extend(place.staying().cloned()),
            // A pod on a node that is gone is the pod collector's; one that never got there is ours.
            None => plan.delete.extend(place.staying().filter(|pod| !is_assigned(pod)).cloned()),
        }
    }
    plan
}

fn is_assigned(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).is_some_and(|node| !node.is_empty())
}

/// One pod to a node; two while the newer one takes over from the older.
fn prune(place: &Place, goal: &Goal<'_>, plan: &mut Plan) {
    let (ended, running): (Vec<_>, Vec<_>) = place.staying().cloned().partition(|pod| pod::is_finished(pod));
    plan.ended.extend(ended);
    if goal.max_surge == 0 {
        plan.delete.extend(running.into_iter().skip(1));
        return;
    }
    if running.len() <= 1 {
        return;
    }
    let (new, old): (Vec<_>, Vec<_>) = running.into_iter().partition(|pod| goal.is_current(pod));
    if let (Some(new), Some(old)) = (new.first(), old.first())
        && (!pod::is_ready(old) || goal.is_available(new))
    {
        plan.delete.push(old.clone());
    }
    plan.delete.extend(new.into_iter().skip(1));
    plan.delete.extend(old.into_iter().skip(1));
}

/// The next step of a rolling update.
pub(super) fn update(places: &Places, goal: &Goal<'_>) -> Plan {
    if goal.max_surge == 0 { replace(places, goal) } else { surge(places, goal) }
}

/// The nodes that count, those that should have a pod or have one.
fn counted(places: &Places) -> impl Iterator<Item = (&String, &Place)> {
    places.iter().filter(|(_, place)| place.fit == Some(Fit::Run) || !place.pods.is_empty())
}

/// Old pods are deleted, those that do not work first, as long as enough others work.
fn replace(places: &Places, goal: &Goal<'_>) -> Plan {
    let mut unavailable = 0_usize;
    let (mut delete, mut candidates) = (Vec::new(), Vec::new());
    for (_, place) in counted(places) {
        match place.pair(goal) {
            Some(Pair { new: None, old: Some(old) }) if goal.is_available(old) => {
                candidates.push(old.clone());
            }
            Some(Pair { new: None, old: Some(old) }) => {
                delete.push(old.clone());
                unavailable += 1;
            }
            Some(Pair { new: Some(new), old: None }) if goal.is_available(new) => {}
            _ => unavailable += 1,
        }
    }
    delete.extend(candidates.into_iter().take(goal.max_unavailable.saturating_sub(unavailable)));
    Plan { delete, ..Plan::default() }
}

/// New pods are made beside old ones, and old ones deleted when theirs works.
fn surge(places: &Places, goal: &Goal<'_>) -> Plan {
    let mut plan = Plan::default();
    let (mut surging, mut available) = (0_usize, 0_usize);
    let (mut candidates, mut misplaced) = (Vec::new(), Vec::new());
    for (node, place) in counted(places) {
        let Some(Pair { new, old }) = place.pair(goal) else {
            surging += 1;
            continue;
        };
        available += usize::from(new.into_iter().chain(old).any(|pod| goal.is_available(pod)));
        match (new, old) {
            (_, None) => {}
            (None, Some(old)) if !goal.is_available(old) => plan.create.push(node.clone()),
            (None, Some(old)) if place.fit != Some(Fit::Run) => misplaced.push(old.clone()),
            (None, Some(_)) => candidates.push(node.clone()),
            (Some(new), Some(old)) if goal.is_available(new) => plan.delete.push(old.clone()),
            (Some(_), Some(_)) => surging += 1,
        }
    }
    // What is where it should not be goes when as many work elsewhere.
    plan.delete.extend(misplaced.into_iter().take(available.saturating_sub(desired(places))));
    plan.create.extend(candidates.into_iter().take(goal.max_surge.saturating_sub(surging)));
    plan
}

/// Oldest first; those that run before those that do not yet.
pub(super) fn sort(pods: &mut [Arc<Pod>]) {
    pods.sort_by_key(|pod| {
        let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, Reverse(pod::phase(pod) == "Running"), pod.metadata.name.clone())
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pod::tests::pod;

    const GOAL: Goal<'_> = Goal {
        hash: "new",
        min_ready_seconds: 0,
        max_unavailable: 1,
        max_surge: 0,
        age: &|_, _| Duration::ZERO,
    };

    fn labelled(name: &str, hash: &str, ready: bool) -> Arc<Pod> {
        let mut pod = Pod::clone(&pod(name, "n", ready.then_some(0)));
        pod.metadata.labels = Some([(HASH_LABEL.to_string(), hash.to_string())].into());
        Arc::new(pod)
    }

    fn places(all: Vec<(&str, Fit, Vec<Arc<Pod>>)>) -> Places {
        all.into_iter().map(|(node, fit, pods)| (node.to_string(), Place { fit: Some(fit), pods })).collect()
    }

    fn deleted(plan: &Plan) -> Vec<&str> {
        plan.delete.iter().map(|pod| pod.metadata.name.as_deref().unwrap()).collect()
    }

    #[test]
    fn every_node_gets_one_pod_and_keeps_one() {
        let mut failed = Pod::clone(&labelled("failed", "new", false));
        failed.status.as_mut().unwrap().phase = Some("Failed".into());
        let places = places(vec![
            ("empty", Fit::Run, vec![]),
            ("full", Fit::Run, vec![labelled("a", "new", true), labelled("b", "new", true)]),
            ("tainted", Fit::Stay, vec![labelled("c", "new", true)]),
            ("tainted-empty", Fit::Stay, vec![]),
            ("wrong", Fit::Leave, vec![labelled("d", "new", true)]),
            ("broken", Fit::Run, vec![Arc::new(failed)]),
        ]);
        let plan = manage(&places, &GOAL);
        assert_eq!(plan.create, ["empty"]);
        assert_eq!(deleted(&plan), ["b", "d"]);
        assert_eq!(plan.ended.len(), 1);
    }

    #[test]
    fn old_pods_go_one_after_the_other_and_broken_ones_at_once() {
        let old = |name: &str, ready| vec![labelled(name, "old", ready)];
        let all = |b_ready| {
            places(vec![
                ("1", Fit::Run, old("a", true)),
                ("2", Fit::Run, old("b", b_ready)),
                ("3", Fit::Run, old("c", true)),
            ])
        };
        assert_eq!(deleted(&update(&all(true), &GOAL)), ["a"]);
        assert_eq!(deleted(&update(&all(false), &GOAL)), ["b"], "it is the one that may be unavailable");
        let two = Goal { max_unavailable: 2, ..GOAL };
        assert_eq!(deleted(&update(&all(false), &two)), ["b", "a"]);
        let mut waiting = all(true);
        waiting.get_mut("1").unwrap().pods = vec![labelled("new", "new", false)];
        assert_eq!(update(&waiting, &GOAL), Plan::default());
    }

    #[test]
    fn a_surge_makes_the_new_pod_before_it_deletes_the_old() {
        let surge = Goal { max_unavailable: 0, max_surge: 1, ..GOAL };
        let old = |name: &str| labelled(name, "old", true);
        let mut all = places(vec![("1", Fit::Run, vec![old("a")]), ("2", Fit::Run, vec![old("b")])]);
        assert_eq!(update(&all, &surge).create, ["1"]);
        all.get_mut("1").unwrap().pods.push(labelled("a2", "new", false));
        assert_eq!(update(&all, &surge), Plan::default());
        assert_eq!(manage(&all, &surge), Plan::default(), "two are right while one takes over");
        all.get_mut("1").unwrap().pods[1] = labelled("a2", "new", true);
        assert_eq!(deleted(&manage(&all, &surge)), ["a"]);
    }
}
