//! Patience with nodes on which a DaemonSet's pod keeps failing: a kubelet that refuses a pod must not be sent a thousand.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use client::Key;
use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(15 * 60);

/// The failures of late, by DaemonSet and node.
#[derive(Debug, Default)]
pub(super) struct Setbacks(Mutex<HashMap<Key, HashMap<String, Setback>>>);

#[derive(Clone, Copy, Debug)]
struct Setback {
    at: Instant,
    wait: Duration,
}

impl Setbacks {
    /// Notes a failure that may be made good now, or says how long that has to wait.
    pub(super) fn allow(&self, set: &Key, node: &str, now: Instant) -> Result<(), Duration> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let nodes = all.entry(set.clone()).or_default();
        // What went well for that long is forgotten.
        nodes.retain(|_, setback| now.duration_since(setback.at) < LAST * 2);
        let next = match nodes.get(node) {
            None => FIRST,
            Some(last) => match last.wait.checked_sub(now.duration_since(last.at)) {
                Some(left) if !left.is_zero() => return Err(left),
                _ => (last.wait * 2).min(LAST),
            },
        };
        nodes.insert(node.to_string(), Setback { at: now, wait: next });
        Ok(())
    }

    pub(super) fn forget(&self, set: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_tried_less_and_less_often() {
        let (setbacks, set, start) = (Setbacks::default(), Key::new("shop", "agent"), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(setbacks.allow(&set, "n1", at(0)), Ok(()));
        assert_eq!(setbacks.allow(&set, "n1", at(0)), Err(Duration::from_secs(1)));
        assert_eq!(setbacks.allow(&set, "n2", at(0)), Ok(()), "another node has its own");
        assert_eq!(setbacks.allow(&set, "n1", at(1)), Ok(()));
        assert_eq!(setbacks.allow(&set, "n1", at(2)), Err(Duration::from_secs(1)), "two seconds now");
        assert_eq!(setbacks.allow(&set, "n1", at(2000)), Ok(()));
        assert_eq!(setbacks.allow(&set, "n1", at(2001)), Ok(()), "an old failure is forgotten");
    }
}
