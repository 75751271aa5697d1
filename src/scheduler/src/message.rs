//! Why a pod is not placed, in the words of kube-scheduler.

use std::collections::BTreeMap;

/// Of a node that would not do even without its pods.
pub(crate) const USELESS: &str = "Preemption is not helpful for scheduling";

/// `0/3 nodes are available: 1 Insufficient cpu, 2 Too many pods.`
pub(crate) fn unavailable<'a>(nodes: usize, reasons: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    reasons.for_each(|reason| *counts.entry(reason).or_default() += 1);
    let mut parts: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort();
    format!("0/{nodes} nodes are available: {}.", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted() {
        assert_eq!(
            unavailable(3, ["Too many pods", "Insufficient cpu", "Too many pods"].into_iter()),
            "0/3 nodes are available: 1 Insufficient cpu, 2 Too many pods."
        );
    }
}
