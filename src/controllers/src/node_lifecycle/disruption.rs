//! Whether nodes fail, or the way to them.
//!
//! When most of what we know is silent at once, it is likelier that we are cut off than that everything broke; and where
//! nothing is left that could take the pods, moving them helps nobody. Nothing is evicted then.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

use super::heard::is_ready;

const REGION: &str = "topology.kubernetes.io/region";
const ZONE: &str = "topology.kubernetes.io/zone";
const EXCLUDED: &str = "node.kubernetes.io/exclude-disruption";
/// A zone where so many in a hundred are down, and more than two, is itself in trouble.
const TROUBLE_PERCENT: usize = 55;

/// Region and zone; nodes that name none are in one together.
pub(super) type Zone = (String, String);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    ready: usize,
    down: usize,
}

impl Count {
    fn is_lost(self) -> bool {
        self.ready == 0 && self.down > 0
    }

    fn is_in_trouble(self) -> bool {
        self.ready > 0 && self.down > 2 && self.down * 100 >= (self.ready + self.down) * TROUBLE_PERCENT
    }
}

pub(super) fn zone(node: &Node) -> Zone {
    let label = |key: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(key)).cloned();
    (label(REGION).unwrap_or_default(), label(ZONE).unwrap_or_default())
}

/// Whether pods of nodes that are down may be moved out of a zone. One zone that is lost while others live is moved.
pub(super) fn may_evict(nodes: &[Arc<Node>], from: &Zone) -> bool {
    let counts = count(nodes);
    let all_lost = counts.values().all(|count| count.is_lost());
    let here = counts.get(from).copied().unwrap_or_default();
    !all_lost && !here.is_in_trouble()
}

fn count(nodes: &[Arc<Node>]) -> BTreeMap<Zone, Count> {
    let mut counts: BTreeMap<Zone, Count> = BTreeMap::new();
    for node in nodes.iter().filter(|node| !is_excluded(node)) {
        let count = counts.entry(zone(node)).or_default();
        if is_ready(node) { count.ready += 1 } else { count.down += 1 }
    }
    counts
}

fn is_excluded(node: &Node) -> bool {
    node.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(EXCLUDED))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Nodes by zone: how many are ready, how many down.
    fn nodes(zones: &[(&str, usize, usize)]) -> Vec<Arc<Node>> {
        let node = |zone: &str, status: &str| {
            Arc::new(
                serde_json::from_value(json!({
                    "metadata": {"labels": {ZONE: zone}},
                    "status": {"conditions": [{"type": "Ready", "status": status}]},
                }))
                .unwrap(),
            )
        };
        let all = zones.iter().flat_map(|(zone, ready, down)| {
            let ready = (0..*ready).map(move |_| node(zone, "True"));
            ready.chain((0..*down).map(move |_| node(zone, "Unknown")))
        });
        all.collect()
    }

    fn allowed(zones: &[(&str, usize, usize)]) -> bool {
        may_evict(&nodes(zones), &(String::new(), zones[0].0.to_string()))
    }

    #[test]
    fn nothing_moves_when_all_is_lost_or_most_of_a_zone() {
        assert!(allowed(&[("a", 1, 1)]));
        assert!(allowed(&[("a", 1, 2)]), "two of three may well break");
        assert!(!allowed(&[("a", 0, 1)]));
        assert!(!allowed(&[("a", 0, 2), ("b", 0, 1)]));
        assert!(!allowed(&[("a", 2, 3)]));
        assert!(allowed(&[("a", 3, 3)]));
        assert!(allowed(&[("a", 0, 5), ("b", 1, 0)]), "the zone is gone, another one lives");
    }
}
