//! This machine in the API: its Node and its Lease.
//!
//! The Node is written when it changed, and every five minutes so that people see that somebody looks after it; the Lease every
//! ten seconds, which is what others judge by.

mod disk;
mod facts;
mod lease;
mod object;

use std::sync::Arc;
use std::time::Duration;

use client::{Change, Changes, Error, Key, Patch};
use k8s_openapi::api::core::v1::{ContainerImage, Node, NodeStatus};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use task::{Backoff, Shutdown, causes};
use tokio::time::{Instant, sleep_until};

use crate::context::Context;

use self::facts::{Disk, available_memory};
use self::object::Health;

pub(crate) use facts::Machine;

const REPORT: Duration = Duration::from_secs(300);
/// Below so much the node takes no more pods: the memory upstream keeps back, and the disk k3s does.
const LEAST_MEMORY: i64 = 100 << 20;
const LEAST_DISK_PERCENT: i64 = 5;
/// As many images as upstream shows.
const IMAGES: usize = 50;

/// Keeps the Node and the Lease until the shutdown.
pub(crate) async fn run(context: Arc<Context>, machine: Machine, shutdown: Shutdown) {
    let registration = Registration { context, machine, told: Value::Null };
    shutdown.or_requested(Box::pin(registration.keep())).await;
}

struct Registration {
    context: Arc<Context>,
    machine: Machine,
    /// What was written last, without the times of the looks.
    told: Value,
}

impl Registration {
    async fn keep(mut self) {
        let node = self.register().await;
        let context = Arc::clone(&self.context);
        let lease = lease::keep(&context, node.metadata.uid.clone().unwrap_or_default());
        futures_util::future::join(lease, self.keep_status(node.status.unwrap_or_default())).await;
    }

    async fn register(&self) -> Node {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(7));
        loop {
            match self.try_register().await {
                Ok(node) => return node,
                Err(error) => {
                    tracing::warn!(error = %causes(&error), "cannot register the node, trying again");
                }
            }
            backoff.wait().await;
        }
    }

    async fn try_register(&self) -> Result<Node, Error> {
        let config = &self.context.config;
        let key = Key::new("", &config.node_name);
        let client = self.context.client();
        let labels = object::labels(config);
        match client.get::<Node>(&key).await {
            Ok(node) => {
                let has = |(name, value): (&String, &String)| {
                    node.metadata.labels.as_ref().and_then(|labels| labels.get(name)) == Some(value)
                };
                if labels.iter().all(has) {
                    return Ok(node);
                }
                client.patch(&key, None, &Patch::Merge(json!({"metadata": {"labels": labels}}))).await
            }
            Err(error) if error.is_not_found() => {
                let node = object::node(config, &self.machine, &self.health(), Timestamp::now());
                client.create(&node).await
            }
            Err(error) => Err(error),
        }
    }

    async fn keep_status(&mut self, mut status: NodeStatus) {
        let mut network = self.context.network.clone();
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        let mut nodes = self.context.caches.of::<Node>().changes();
        let mut report = Instant::now();
        let mut seen = disk::Seen::default();
        loop {
            disk::relieve(&self.context, &mut seen).await;
            let new = object::status(
                &self.context.config,
                &self.machine,
                &self.health(),
                Some(&status),
                Timestamp::now(),
            );
            let due = report <= Instant::now();
            let next = match self.write(&new, due).await {
                Ok(written) => {
                    backoff.reset();
                    if ready(&new) == Some("True") && ready(&status) != Some("True") {
                        tracing::info!(name = self.context.config.node_name, "the node is Ready");
                    }
                    status = new;
                    if written {
                        report = Instant::now() + REPORT;
                    }
                    report
                }
                Err(error) => {
                    tracing::warn!(error = %causes(&error), "the node's status is not written, trying again");
                    Instant::now() + backoff.next_delay()
                }
            };
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.context.node_changed.notified() => {}
                // While nobody heard of us, somebody else has spoken for us.
                () = contradicted(&mut nodes, &self.context, &status) => self.told = Value::Null,
                // An error says that it stays as it is.
                Ok(()) = network.changed() => {}
            }
        }
    }

    /// Whether it was written: it had changed or was due.
    async fn write(&mut self, status: &NodeStatus, due: bool) -> Result<bool, Error> {
        let node = Node { status: Some(status.clone()), ..Node::default() };
        let Some(new) = encoded(&node) else { return Ok(false) };
        let lasting = without_heartbeats(new.clone());
        if !due && lasting == self.told {
            return Ok(false);
        }
        let mut patch = new;
        // Merged by type otherwise: an address that is no longer there would stay.
        if let Some(addresses) = patch["addresses"].as_array_mut() {
            addresses.insert(0, json!({"$patch": "replace"}));
        }
        let key = Key::new("", &self.context.config.node_name);
        let patch = Patch::Strategic(json!({"status": patch}));
        self.context.client().patch::<Node>(&key, Some("status"), &patch).await?;
        self.told = lasting;
        Ok(true)
    }

    fn health(&self) -> Health {
        let disk = Disk::of(&self.context.config.pods_dir);
        let free = disk.map_or(100, |disk| 100 - disk.used_percent());
        let mut images = self.context.images.list();
        images.sort_by_key(|image| std::cmp::Reverse(image.size));
        let images = images.iter().take(IMAGES).map(|image| ContainerImage {
            names: Some(image.digests.iter().chain(&image.tags).cloned().collect()),
            size_bytes: i64::try_from(image.size).ok(),
        });
        Health {
            memory_pressure: available_memory() < LEAST_MEMORY,
            disk_pressure: free < LEAST_DISK_PERCENT,
            network: self.context.network.borrow().is_some(),
            images: images.collect(),
        }
    }
}

fn encoded(node: &Node) -> Option<Value> {
    let encoded = api::codec::Typed::encode(node).ok()?;
    let mut value: Value = serde_json::from_slice(&encoded).ok()?;
    Some(value["status"].take())
}

fn without_heartbeats(mut status: Value) -> Value {
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        condition["lastHeartbeatTime"] = Value::Null;
    }
    status
}

fn ready(status: &NodeStatus) -> Option<&str> {
    let mut conditions = status.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == "Ready").map(|condition| condition.status.as_str())
}

/// Waits until the API says otherwise than `status` whether this node is ready.
async fn contradicted(nodes: &mut Changes<Node>, context: &Context, status: &NodeStatus) {
    let key = Key::new("", &context.config.node_name);
    let kept = || context.caches.of::<Node>().get(&key);
    loop {
        let change = nodes.next().await;
        if said(&change, &key, kept).is_some_and(|node| contradicts(&node, status)) {
            return;
        }
    }
}

/// What the API says of this node, if it may be something new.
fn said(change: &Change<Node>, key: &Key, kept: impl FnOnce() -> Option<Arc<Node>>) -> Option<Arc<Node>> {
    match change {
        Change::Modified { new, .. } => Some(new.clone()).filter(|node| Key::of(&**node) == *key),
        // Changes were missed, this node's perhaps among them.
        Change::Resync => kept(),
        Change::Added(_) | Change::Deleted(_) => None,
    }
}

fn contradicts(node: &Node, status: &NodeStatus) -> bool {
    node.status.as_ref().is_some_and(|said| ready(said) != ready(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, is_ready: &str) -> Arc<Node> {
        let conditions = json!([{"type": "Ready", "status": is_ready}]);
        Arc::new(
            serde_json::from_value(json!({"metadata": {"name": name}, "status": {"conditions": conditions}}))
                .unwrap(),
        )
    }

    #[test]
    fn a_contradiction_is_heard_of_also_by_who_missed_it() {
        let status = node("board", "True").status.clone().unwrap();
        let hears = |change: &Change<Node>, kept: &str| {
            let said = said(change, &Key::new("", "board"), || Some(node("board", kept)));
            said.is_some_and(|node| contradicts(&node, &status))
        };
        let change = |name, old, new| Change::Modified { old: node(name, old), new: node(name, new) };
        assert!(hears(&change("board", "True", "Unknown"), "True"));
        assert!(!hears(&change("other", "True", "Unknown"), "True"));
        assert!(hears(&Change::Resync, "Unknown"));
        assert!(!hears(&Change::Resync, "True"));
    }
}
