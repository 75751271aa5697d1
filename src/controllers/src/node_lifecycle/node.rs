//! Looks at a node whenever something is heard of it, and when something should have been.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::{Change, Error, Key, Patch, Queue, Severity};
use futures_util::future::join3;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;
use tracing::warn;

use super::heard::{Heard, Life, is_ready};
use super::pace::{Leave, Pace};
use super::{silence, taints};
use crate::context::Context;
use crate::feed::feed;

/// Where nodes renew their leases.
const LEASES: &str = "kube-node-lease";

pub(crate) async fn run(context: Context) {
    context.caches.of::<Lease>().synced().await;
    context.caches.of::<Pod>().synced().await;
    let queue = Queue::default();
    let leases = feed(context.caches.of::<Lease>(), queue.clone(), |lease: &Lease| {
        let name =
            lease.metadata.name.clone().filter(|_| lease.metadata.namespace.as_deref() == Some(LEASES));
        name.map(|name| Key::new("", name))
    });
    let nodes = Nodes { context: &context, state: Mutex::default() };
    join3(leases, nodes.feed(&queue), queue.work("node", |key| nodes.reconcile(key))).await;
}

struct Nodes<'a> {
    context: &'a Context,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    heard: Heard,
    pace: Pace,
    /// Silent nodes whose pods are still to be marked.
    unmarked: HashSet<String>,
}

impl Nodes<'_> {
    /// Each node that changes; all of them when one goes up or down, for it may decide over the others.
    async fn feed(&self, queue: &Queue<Key>) {
        let nodes = self.context.caches.of::<Node>();
        let mut changes = nodes.changes();
        loop {
            match changes.next().await {
                Change::Modified { old, new } if is_ready(&old) == is_ready(&new) => {
                    queue.add(Key::of(&*new));
                }
                change => {
                    self.tell(&change);
                    change.objects().for_each(|node| queue.add(Key::of(&**node)));
                    nodes.keys().into_iter().for_each(|key| queue.add(key));
                }
            }
        }
    }

    fn tell(&self, change: &Change<Node>) {
        let (node, reason, message) = match change {
            Change::Added(node) => (node, "RegisteredNode", "Registered Node {} in Controller"),
            Change::Deleted(node) => (node, "RemovingNode", "Removing Node {} from Controller"),
            Change::Modified { .. } | Change::Resync => return,
        };
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let message = format!("Node {name} event: {}", message.replace("{}", name));
        self.context.recorder.event(&**node, Severity::Normal, reason, message);
    }

    async fn reconcile(&self, key: Key) -> Result<Option<Duration>, Error> {
        let nodes = self.context.caches.of::<Node>();
        let Some(node) = nodes.get(&key) else {
            self.state().forget(&key.name);
            return Ok(None);
        };
        let lease = self.context.caches.of::<Lease>().get(&Key::new(LEASES, key.name.clone()));
        let life = self.state().heard.judge(&node, lease.as_deref(), Instant::now());
        let node = match life {
            Life::Alive { .. } => node,
            Life::Silent => self.silence(&node).await?,
        };
        let leave = self.leave(&node);
        self.taint(&node, leave == Leave::Granted).await?;
        let look_again = match (life, leave) {
            (Life::Alive { until }, Leave::Later(due)) => Some(until.min(due)),
            (Life::Alive { until }, _) => Some(until),
            (Life::Silent, Leave::Later(due)) => Some(due),
            (Life::Silent, _) => None,
        };
        Ok(look_again.map(|due| due.saturating_duration_since(Instant::now())))
    }

    /// Says that a node is not heard of, once; gives the node as it is then.
    async fn silence(&self, node: &Arc<Node>) -> Result<Arc<Node>, Error> {
        let name = node.metadata.name.clone().unwrap_or_default();
        let mut current = node.clone();
        if let Some(unknown) = silence::unknown(node, Timestamp::now()) {
            warn!(node = name, "not heard of any more");
            let written = self.context.client().update_status(&unknown).await?;
            self.context.caches.of::<Node>().seen(&written.metadata).await;
            if is_ready(node) {
                let message = format!("Node {name} status is now: NodeNotReady");
                self.context.recorder.event(&**node, Severity::Normal, "NodeNotReady", message);
            }
            self.state().unmarked.insert(name.clone());
            current = Arc::new(written);
        }
        if self.state().unmarked.contains(&name) {
            silence::mark_pods_not_ready(self.context, &name).await?;
            self.state().unmarked.remove(&name);
        }
        Ok(current)
    }

    /// Whether the pods of a node may be sent away.
    fn leave(&self, node: &Node) -> Leave {
        let mut state = self.state();
        if is_ready(node) {
            let name = node.metadata.name.as_deref().unwrap_or_default();
            state.pace.forget(name);
            state.unmarked.remove(name);
            return Leave::Refused;
        }
        let nodes = self.context.caches.of::<Node>().list();
        state.pace.ask(node, taints::is_given_up(node), &nodes, Instant::now())
    }

    async fn taint(&self, node: &Node, given_up: bool) -> Result<(), Error> {
        let Some(taints) = taints::changed(node, given_up, Timestamp::now()) else { return Ok(()) };
        let metadata = &node.metadata;
        let patch = Patch::Merge(json!({
            "metadata": {"uid": metadata.uid, "resourceVersion": metadata.resource_version},
            "spec": {"taints": taints},
        }));
        let written = self.context.client().patch::<Node>(&Key::of(node), None, &patch).await?;
        self.context.caches.of::<Node>().seen(&written.metadata).await;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self, node: &str) {
        self.heard.forget(node);
        self.pace.forget(node);
        self.unmarked.remove(node);
    }
}
