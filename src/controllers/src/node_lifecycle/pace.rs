//! How fast nodes are given up.
//!
//! One node of a zone every ten seconds, as upstream, and none that has been down for less: what is cut off together is found
//! silent one after the other, within the time between two renewals of a lease. By then it shows whether one node is lost, or we are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use tokio::time::Instant;

use super::disruption::{self, Zone};

const STEP: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Pace {
    zones: HashMap<Zone, ZonePace>,
    down_since: HashMap<String, Instant>,
}

#[derive(Debug)]
struct ZonePace {
    /// Since when nodes may be given up; none while they may not.
    open_since: Option<Instant>,
    last: Option<Instant>,
}

/// Whether the pods of a node that is down may be sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Granted,
    /// Ask again then.
    Later(Instant),
    /// Something else must change first.
    Refused,
}

impl Pace {
    /// `given_up` says that the node was given up before.
    pub(super) fn ask(&mut self, node: &Node, given_up: bool, nodes: &[Arc<Node>], now: Instant) -> Leave {
        let name = node.metadata.name.clone().unwrap_or_default();
        let down_since = *self.down_since.entry(name).or_insert(now);
        let zone = disruption::zone(node);
        let open = disruption::may_evict(nodes, &zone);
        let pace = self.zones.entry(zone).or_insert(ZonePace { open_since: Some(now), last: None });
        pace.open_since = open.then(|| pace.open_since.unwrap_or(now));
        let Some(open_since) = pace.open_since else { return Leave::Refused };
        if given_up {
            return Leave::Granted;
        }
        let due = down_since.max(open_since).max(pace.last.unwrap_or(down_since)) + STEP;
        if now < due {
            return Leave::Later(due);
        }
        pace.last = Some(now);
        Leave::Granted
    }

    /// A node that is up, or gone.
    pub(super) fn forget(&mut self, node: &str) {
        self.down_since.remove(node);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, status: &str) -> Arc<Node> {
        Arc::new(serde_json::from_value(json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": status}]}})).unwrap())
    }

    #[test]
    fn one_node_at_a_time() {
        let nodes = [node("a", "Unknown"), node("b", "Unknown"), node("c", "True"), node("d", "True")];
        let (mut pace, start) = (Pace::default(), Instant::now());
        let mut ask = |index: usize, seconds| {
            pace.ask(&nodes[index], false, &nodes, start + Duration::from_secs(seconds))
        };
        let later = |seconds| Leave::Later(start + Duration::from_secs(seconds));
        assert_eq!((ask(0, 0), ask(1, 1)), (later(10), later(11)));
        assert_eq!(ask(0, 10), Leave::Granted);
        assert_eq!(ask(1, 11), later(20));
        assert_eq!(ask(1, 20), Leave::Granted);
    }

    #[test]
    fn nobody_while_all_are_down_and_not_at_once_when_the_first_is_back() {
        let down = [node("a", "Unknown"), node("b", "Unknown")];
        let half = [node("a", "Unknown"), node("b", "True")];
        let (mut pace, start) = (Pace::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(pace.ask(&down[0], false, &half, at(0)), Leave::Later(at(10)));
        assert_eq!(pace.ask(&down[0], false, &half, at(10)), Leave::Granted);
        assert_eq!(pace.ask(&down[0], true, &down, at(15)), Leave::Refused, "taken back");
        assert_eq!(pace.ask(&down[0], false, &half, at(100)), Leave::Later(at(110)));
        pace.forget("a");
        assert_eq!(pace.ask(&down[0], false, &half, at(200)), Leave::Later(at(210)));
    }
}
