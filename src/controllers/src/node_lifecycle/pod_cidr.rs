//! Every node its own part of the pod network.
//!
//! What is assigned is written on the Node and nowhere else, so a restart knows what everybody has. One worker assigns, one
//! node after the other, and waits until its cache shows what it wrote: no part is given out twice. Parts are given out
//! in a circle, so that the part of a node that has just been deleted, whose pods may still be winding down, is the last to
//! be given away again.

use std::sync::Mutex;
use std::time::Duration;

use client::{Change, Error, Key, Patch, Queue, Severity};
use futures_util::future::join;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use k8s_openapi::api::core::v1::Node;
use serde_json::json;
use tracing::warn;

use crate::context::Context;

/// The size of a node's part, as upstream.
const PREFIX_V4: u8 = 24;
const PREFIX_V6: u8 = 64;

/// `networks` holds the pod network of each address family, the preferred one first.
pub(crate) async fn run(context: Context, networks: Vec<IpNet>) {
    let queue = Queue::default();
    let pools = Mutex::new(networks.into_iter().map(Pool::new).collect::<Vec<_>>());
    let work = queue.work("pod CIDR", |key| reconcile(&context, &pools, key));
    join(feed(&context, &queue), work).await;
}

/// A node that is new, or one that found nothing and may now that another is gone.
async fn feed(context: &Context, queue: &Queue<Key>) {
    let nodes = context.caches.of::<Node>();
    let mut changes = nodes.changes();
    loop {
        if let Change::Modified { .. } = changes.next().await {
            continue;
        }
        nodes
            .list()
            .iter()
            .filter(|node| networks_of(node).is_empty())
            .for_each(|node| queue.add(Key::of(&**node)));
    }
}

async fn reconcile(context: &Context, pools: &Mutex<Vec<Pool>>, key: Key) -> Result<Option<Duration>, Error> {
    let nodes = context.caches.of::<Node>();
    let Some(node) = nodes.get(&key).filter(|node| networks_of(node).is_empty()) else { return Ok(None) };
    let taken: Vec<IpNet> = nodes.list().iter().flat_map(|node| networks_of(node)).collect();
    let Some(parts) = assign(&mut pools.lock().unwrap_or_else(std::sync::PoisonError::into_inner), &taken)
    else {
        warn!(node = %key, "no part of the pod network is left");
        let message = format!("Node {key} status is now: CIDRNotAvailable");
        context.recorder.event(&*node, Severity::Normal, "CIDRNotAvailable", message);
        return Ok(None);
    };
    let patch = Patch::Merge(json!({
        "metadata": {"uid": node.metadata.uid},
        "spec": {"podCIDR": parts.first(), "podCIDRs": parts},
    }));
    match context.client().patch::<Node>(&key, None, &patch).await {
        Ok(written) => nodes.seen(&written.metadata).await,
        // Gone, or another by its name.
        Err(error) if error.is_not_found() || error.is_conflict() => {}
        Err(error) => return Err(error),
    }
    Ok(None)
}

/// What a node has. What is no network takes no room.
fn networks_of(node: &Node) -> Vec<IpNet> {
    let Some(spec) = &node.spec else { return Vec::new() };
    let single = spec.pod_cidr.iter().filter(|_| spec.pod_cidrs.as_ref().is_none_or(Vec::is_empty));
    let all = spec.pod_cidrs.iter().flatten().chain(single);
    all.filter_map(|network| network.parse().ok()).collect()
}

/// One part of every network; none if one of them is full.
fn assign(pools: &mut [Pool], taken: &[IpNet]) -> Option<Vec<IpNet>> {
    pools.iter_mut().map(|pool| pool.take(taken)).collect()
}

/// A network cut into parts of one size.
#[derive(Debug)]
struct Pool {
    network: IpNet,
    prefix: u8,
    /// Where the search for a free part goes on.
    next: u128,
}

impl Pool {
    fn new(network: IpNet) -> Self {
        let prefix = if network.addr().is_ipv4() { PREFIX_V4 } else { PREFIX_V6 };
        // A network smaller than a part is one part.
        Self { network: network.trunc(), prefix: prefix.max(network.prefix_len()), next: 0 }
    }

    fn take(&mut self, taken: &[IpNet]) -> Option<IpNet> {
        let count = 1_u128 << (self.prefix - self.network.prefix_len());
        let mut candidates = (0..count).map(|step| (self.next + step) % count);
        let overlaps = |part: &IpNet| taken.iter().any(|taken| taken.contains(part) || part.contains(taken));
        let (index, part) = candidates.find_map(|index| {
            let part = self.part(index)?;
            (!overlaps(&part)).then_some((index, part))
        })?;
        self.next = (index + 1) % count;
        Some(part)
    }

    fn part(&self, index: u128) -> Option<IpNet> {
        match self.network {
            IpNet::V4(network) => {
                let offset = u32::try_from(index).ok()? << (32 - u32::from(self.prefix));
                let address = u32::from(network.network()) | offset;
                Ipv4Net::new(address.into(), self.prefix).ok().map(IpNet::V4)
            }
            IpNet::V6(network) => {
                let address = u128::from(network.network()) | (index << (128 - u32::from(self.prefix)));
                Ipv6Net::new(address.into(), self.prefix).ok().map(IpNet::V6)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|network| network.parse().unwrap()).collect()
    }

    fn pools(list: &[&str]) -> Vec<Pool> {
        nets(list).into_iter().map(Pool::new).collect()
    }

    #[test]
    fn parts_are_given_out_in_a_circle_and_never_twice() {
        let mut pools = pools(&["10.42.0.0/22"]);
        let mut taken = Vec::new();
        for expected in ["10.42.0.0/24", "10.42.1.0/24", "10.42.2.0/24"] {
            let parts = assign(&mut pools, &taken).unwrap();
            assert_eq!(parts, nets(&[expected]));
            taken.extend(parts);
        }
        taken.remove(0);
        assert_eq!(
            assign(&mut pools, &taken),
            Some(nets(&["10.42.3.0/24"])),
            "the part just freed is the last choice"
        );
        taken.extend(nets(&["10.42.3.0/24"]));
        assert_eq!(assign(&mut pools, &taken), Some(nets(&["10.42.0.0/24"])));
        taken.extend(nets(&["10.42.0.0/24"]));
        assert_eq!(assign(&mut pools, &taken), None);
    }

    #[test]
    fn a_restart_goes_on_around_what_nodes_have() {
        let taken = nets(&["10.42.0.0/24", "10.42.2.0/23"]);
        assert_eq!(assign(&mut pools(&["10.42.0.0/16"]), &taken), Some(nets(&["10.42.1.0/24"])));
        let taken = nets(&["10.42.0.0/24", "10.42.1.128/25", "10.42.2.0/23"]);
        assert_eq!(assign(&mut pools(&["10.42.0.0/16"]), &taken), Some(nets(&["10.42.4.0/24"])));
    }

    #[test]
    fn every_family_has_its_part() {
        let mut both = pools(&["10.42.0.0/16", "fd00:42::/56"]);
        assert_eq!(assign(&mut both, &[]), Some(nets(&["10.42.0.0/24", "fd00:42::/64"])));
        assert_eq!(assign(&mut both, &[]), Some(nets(&["10.42.1.0/24", "fd00:42:0:1::/64"])));
        assert_eq!(assign(&mut pools(&["10.0.0.0/28"]), &[]), Some(nets(&["10.0.0.0/28"])));
    }
}
