//! When each node was last heard of.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition};
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

/// How long a node may be silent, as upstream since 1.32; longer for one that never said how it is.
const GRACE: Duration = Duration::from_secs(50);
const GRACE_OF_NEW: Duration = Duration::from_secs(60);
/// Later than this after the moment we meant to look, it is we who were not there.
const STALL: Duration = Duration::from_secs(5);

/// The nodes that are known, and when something new was seen of each.
#[derive(Debug, Default)]
pub(super) struct Heard(HashMap<String, Last>);

#[derive(Debug)]
struct Last {
    sign: Sign,
    at: Instant,
    /// It was found silent, and nothing has been heard since.
    silent: bool,
}

/// What a living node changes all the time. Compared, never read: its clock is its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sign {
    uid: String,
    renewed: Option<Timestamp>,
    heartbeat: Option<Timestamp>,
}

/// Whether a node is heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Until then, if nothing more is heard.
    Alive {
        until: Instant,
    },
    Silent,
}

impl Heard {
    pub(super) fn judge(&mut self, node: &Node, lease: Option<&Lease>, now: Instant) -> Life {
        let name = node.metadata.name.clone().unwrap_or_default();
        let sign = sign(node, lease);
        let last = self.0.entry(name).or_insert_with(|| Last { sign: sign.clone(), at: now, silent: false });
        if last.sign != sign {
            *last = Last { sign, at: now, silent: false };
        }
        let grace = if ready(node).is_some() { GRACE } else { GRACE_OF_NEW };
        if !last.silent && now > last.at + grace + STALL {
            // We slept, were stopped, or could not get through: what came meanwhile is still to be read.
            last.at = now;
        }
        last.silent = now >= last.at + grace;
        if last.silent { Life::Silent } else { Life::Alive { until: last.at + grace } }
    }

    pub(super) fn forget(&mut self, node: &str) {
        self.0.remove(node);
    }
}

/// A write of our own is no sign of the node's: the heartbeat is the kubelet's alone.
fn sign(node: &Node, lease: Option<&Lease>) -> Sign {
    Sign {
        uid: node.metadata.uid.clone().unwrap_or_default(),
        renewed: lease.and_then(|lease| lease.spec.as_ref()?.renew_time.as_ref()).map(|time| time.0),
        heartbeat: ready(node)
            .and_then(|condition| condition.last_heartbeat_time.as_ref())
            .map(|time| time.0),
    }
}

pub(super) fn ready(node: &Node) -> Option<&NodeCondition> {
    node.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == "Ready")
}

pub(super) fn is_ready(node: &Node) -> bool {
    ready(node).is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(heartbeat: &str) -> Node {
        let ready = json!({"type": "Ready", "status": "True", "lastHeartbeatTime": heartbeat});
        serde_json::from_value(
            json!({"metadata": {"name": "n", "uid": "1"}, "status": {"conditions": [ready]}}),
        )
        .unwrap()
    }

    fn lease(renewed: &str) -> Lease {
        serde_json::from_value(json!({"metadata": {"name": "n"}, "spec": {"renewTime": renewed}})).unwrap()
    }

    const THEN: &str = "2026-01-01T00:00:00.000000Z";
    const BEFORE: &str = "1970-01-01T00:00:07.000000Z";

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_node_is_silent_when_nothing_changes_for_so_long() {
        let (mut heard, start) = (Heard::default(), Instant::now());
        let node = node("2026-01-01T00:00:00Z");
        let judge =
            |heard: &mut Heard, lease, after| heard.judge(&node, Some(&lease), start + seconds(after));
        assert_eq!(judge(&mut heard, lease(THEN), 0), Life::Alive { until: start + GRACE });
        assert_eq!(judge(&mut heard, lease(THEN), 49), Life::Alive { until: start + GRACE });
        assert_eq!(judge(&mut heard, lease(THEN), 50), Life::Silent);
        assert_eq!(judge(&mut heard, lease(THEN), 500), Life::Silent);
        let again = Life::Alive { until: start + seconds(501) + GRACE };
        assert_eq!(
            judge(&mut heard, lease(BEFORE), 501),
            again,
            "a clock that was set back is a sign of life"
        );
    }

    #[test]
    fn either_sign_will_do() {
        let (mut heard, start) = (Heard::default(), Instant::now());
        heard.judge(&node("2026-01-01T00:00:00Z"), None, start);
        let beat = heard.judge(&node("2026-01-01T00:00:10Z"), None, start + seconds(45));
        assert_eq!(beat, Life::Alive { until: start + seconds(45) + GRACE });
        let renewed = heard.judge(&node("2026-01-01T00:00:10Z"), Some(&lease(THEN)), start + seconds(90));
        assert_eq!(renewed, Life::Alive { until: start + seconds(90) + GRACE });
    }

    #[test]
    fn our_own_absence_is_not_the_node_s() {
        let (mut heard, start) = (Heard::default(), Instant::now());
        let node = node("2026-01-01T00:00:00Z");
        heard.judge(&node, None, start);
        let woken = start + seconds(3600);
        assert_eq!(heard.judge(&node, None, woken), Life::Alive { until: woken + GRACE });
        assert_eq!(heard.judge(&node, None, woken + GRACE), Life::Silent);
    }
}
