//! Which of the nodes that will do is best.
//!
//! Every criterion gives each node 0 to 100 points; the weights are those of kube-scheduler's default profile.

use std::collections::HashMap;

use api::taint;

use crate::demand::Demand;
use crate::facts::{NodeFacts, PodFacts};
use crate::snapshot::Snapshot;
use crate::{pod_affinity, spreading};

const MOST: i64 = 100;
/// An image smaller than this is pulled in no time; per container, one larger than the other counts as that.
const SMALL_IMAGE: i64 = 23 << 20;
const LARGE_IMAGE: i64 = 1000 << 20;

/// The points of each of `nodes`, in their order.
pub(crate) fn scores(demand: &Demand, snapshot: &Snapshot, nodes: &[&NodeFacts]) -> Vec<i64> {
    let pod = &demand.pod;
    let affinity = demand
        .nodes
        .has_preferences()
        .then(|| scaled(&nodes.iter().map(|node| demand.nodes.preference(node)).collect::<Vec<_>>()));
    let balance = (!pod.requests.is_zero()).then(|| nodes.iter().map(|node| balanced(pod, node)).collect());
    let criteria = [
        (3, Some(few_taints(pod, nodes))),
        (2, affinity),
        (2, spreading::preferences(demand, snapshot, nodes)),
        (2, pod_affinity::preferences(pod, snapshot, nodes)),
        (1, Some(nodes.iter().map(|node| least_allocated(pod, node)).collect())),
        (1, balance),
        (1, Some(image_locality(pod, snapshot, nodes))),
    ];
    let mut totals = vec![0; nodes.len()];
    for (weight, points) in criteria {
        for (total, points) in totals.iter_mut().zip(points.into_iter().flatten()) {
            *total += weight * points;
        }
    }
    totals
}

/// The best is given all points, the others in proportion.
fn scaled(amounts: &[i64]) -> Vec<i64> {
    let most = amounts.iter().max().copied().unwrap_or_default();
    amounts.iter().map(|amount| if most == 0 { 0 } else { MOST * amount / most }).collect()
}

fn few_taints(pod: &PodFacts, nodes: &[&NodeFacts]) -> Vec<i64> {
    let disliked = |node: &&NodeFacts| {
        let disliked = node.taints().iter().filter(|taint| {
            taint.effect == taint::PREFER_NO_SCHEDULE && !taint::is_tolerated(taint, pod.tolerations())
        });
        i64::try_from(disliked.count()).unwrap_or(i64::MAX / MOST)
    };
    let taints: Vec<i64> = nodes.iter().map(disliked).collect();
    scaled(&taints).into_iter().map(|points| MOST - points).collect()
}

/// How much of CPU and memory would be left.
fn least_allocated(pod: &PodFacts, node: &NodeFacts) -> i64 {
    let (asked, all, taken) = (&pod.assumed_requests, &node.allocatable, &node.assumed_requested);
    let pairs = [(taken.cpu + asked.cpu, all.cpu), (taken.memory + asked.memory, all.memory)];
    let left = pairs.into_iter().filter(|(_, all)| *all > 0).map(|(taken, all)| {
        let left = (all - taken).max(0);
        i64::try_from(i128::from(left) * i128::from(MOST) / i128::from(all)).unwrap_or_default()
    });
    let (sum, count) = left.fold((0, 0), |(sum, count), left| (sum + left, count + 1));
    if count == 0 { 0 } else { sum / count }
}

/// How evenly CPU and memory would be used: one that is full while the other lies idle is wasted.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a fraction is enough")]
fn balanced(pod: &PodFacts, node: &NodeFacts) -> i64 {
    let (asked, all, taken) = (&pod.requests, &node.allocatable, &node.requested);
    let used =
        |taken: i64, all: i64| if all <= 0 { None } else { Some((taken as f64 / all as f64).min(1.0)) };
    let uneven = match (used(taken.cpu + asked.cpu, all.cpu), used(taken.memory + asked.memory, all.memory)) {
        (Some(cpu), Some(memory)) => (cpu - memory).abs() / 2.0,
        _ => 0.0,
    };
    ((1.0 - uneven) * MOST as f64) as i64
}

/// How much of what the pod runs is there already. What few nodes have counts less, or they would draw everything.
fn image_locality(pod: &PodFacts, snapshot: &Snapshot, nodes: &[&NodeFacts]) -> Vec<i64> {
    let images: Vec<String> =
        pod.containers().filter_map(|container| container.image.as_deref()).map(tagged).collect();
    let mut holders: HashMap<&str, i64> = HashMap::new();
    for node in snapshot.nodes() {
        for image in images.iter().filter(|image| size(node, image).is_some()) {
            *holders.entry(image).or_default() += 1;
        }
    }
    let all = i64::try_from(snapshot.nodes().len()).unwrap_or(i64::MAX).max(1);
    let weighed = |node: &&NodeFacts| -> i64 {
        let present = images.iter().filter_map(|image| Some((image, size(node, image)?)));
        present
            .map(|(image, size)| size / all * holders.get(image.as_str()).copied().unwrap_or_default())
            .sum()
    };
    let large = LARGE_IMAGE.saturating_mul(i64::try_from(images.len().max(1)).unwrap_or(i64::MAX));
    let points =
        |node| MOST * (weighed(node).clamp(SMALL_IMAGE, large) - SMALL_IMAGE) / (large - SMALL_IMAGE);
    nodes.iter().map(points).collect()
}

fn size(node: &NodeFacts, image: &str) -> Option<i64> {
    let mut images = node.node.status.iter().flat_map(|status| status.images.iter().flatten());
    images.find(|one| one.names.iter().flatten().any(|name| name == image))?.size_bytes
}

/// A name as nodes list it: one without a tag means the latest.
fn tagged(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) { image.to_string() } else { format!("{image}:latest") }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::{demand, facts, node};

    fn cpu(amount: &str) -> Value {
        json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": amount, "memory": "1Gi"}}}]})
    }

    fn two(change: impl Fn(&mut k8s_openapi::api::core::v1::Node)) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let mut first = node("a", "4");
        change(&mut first);
        snapshot.put_node(NodeFacts::new(Arc::new(first)));
        snapshot.put_node(NodeFacts::new(Arc::new(node("b", "4"))));
        snapshot
    }

    fn better(spec: Value, snapshot: &Snapshot) -> std::cmp::Ordering {
        let nodes: Vec<_> = snapshot.nodes().collect();
        let scores = scores(&demand(facts("p", spec)), snapshot, &nodes);
        scores[0].cmp(&scores[1])
    }

    #[test]
    fn the_emptier_node_is_better() {
        let mut snapshot = two(|_| ());
        assert_eq!(better(cpu("1"), &snapshot), std::cmp::Ordering::Equal);
        assert!(snapshot.place("a", facts("q", cpu("1")).into()));
        assert_eq!(better(cpu("1"), &snapshot), std::cmp::Ordering::Less);
        let idle = json!({"containers": [{"name": "c"}]});
        let mut snapshot = two(|_| ());
        assert!(snapshot.place("a", facts("q", idle.clone()).into()));
        assert_eq!(better(idle, &snapshot), std::cmp::Ordering::Less, "pods that ask for nothing spread too");
    }

    #[test]
    fn a_node_with_a_soft_taint_is_worse() {
        let taint = json!({"taints": [{"key": "k", "effect": "PreferNoSchedule"}]});
        let snapshot = two(|node| node.spec = serde_json::from_value(taint.clone()).unwrap());
        assert_eq!(better(cpu("1"), &snapshot), std::cmp::Ordering::Less);
    }

    #[test]
    fn a_node_that_has_the_image_is_better() {
        let image = json!([{"names": ["shop/web:latest"], "sizeBytes": 900 << 20}]);
        let snapshot = two(|node| {
            node.status.as_mut().unwrap().images = serde_json::from_value(image.clone()).unwrap();
        });
        let mut spec = cpu("1");
        spec["containers"][0]["image"] = json!("shop/web");
        assert_eq!(better(spec, &snapshot), std::cmp::Ordering::Greater);
    }
}
