//! Deletes pods from nodes whose NoExecute taints they do not tolerate, or no longer.
//!
//! A pod that tolerates its node's taints for a while is given that while from the moment it is seen here: taints carry the
//! time of whoever set them, which may be any.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use api::taint::{self, NO_EXECUTE};
use client::{Change, DeleteOptions, Error, Key, Patch, Queue, Severity};
use futures_util::future::join3;
use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use super::silence::pods_of;
use super::taints;
use crate::context::Context;

pub(crate) async fn run(context: Context) {
    context.caches.of::<Node>().synced().await;
    let queue = Queue::default();
    let evictions = Evictions { context: &context, waiting: Mutex::default() };
    let work = queue.work("eviction", |key| evictions.reconcile(key));
    join3(evictions.feed_nodes(&queue), evictions.feed_pods(&queue), work).await;
}

struct Evictions<'a> {
    context: &'a Context,
    /// Since when pods wait for their end, by name and uid.
    waiting: Mutex<HashMap<(Key, String), Instant>>,
}

/// How long a pod may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    Forever,
    For(Duration),
}

fn stay(pod: &Pod, taints: &[Taint]) -> Stay {
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    let executed = taints.iter().filter(|taint| taint.effect == NO_EXECUTE);
    let times = executed.map(|taint| time_for(taint, tolerations));
    times.fold(Stay::Forever, Stay::shorter)
}

/// The shortest of all tolerations that match, as upstream; nothing at all where none does.
fn time_for(taint: &Taint, tolerations: &[Toleration]) -> Stay {
    let matching = tolerations.iter().filter(|toleration| taint::tolerates(toleration, taint));
    let times = matching.map(|toleration| match toleration.toleration_seconds {
        None => Stay::Forever,
        Some(seconds) => Stay::For(Duration::from_secs(seconds.try_into().unwrap_or_default())),
    });
    times.reduce(Stay::shorter).unwrap_or(Stay::For(Duration::ZERO))
}

impl Stay {
    fn shorter(self, other: Self) -> Self {
        match (self, other) {
            (Self::For(one), Self::For(two)) => Self::For(one.min(two)),
            (Self::Forever, other) | (other, Self::Forever) => other,
        }
    }
}

fn executes(node: &Node) -> Vec<&Taint> {
    taints::of(node).iter().filter(|taint| taint.effect == NO_EXECUTE).collect()
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

impl Evictions<'_> {
    /// The pods of a node whose NoExecute taints change.
    async fn feed_nodes(&self, queue: &Queue<Key>) {
        let mut changes = self.context.caches.of::<Node>().changes();
        loop {
            let changed = match changes.next().await {
                Change::Modified { old, new } if executes(&old) != executes(&new) => new,
                Change::Added(node) if !executes(&node).is_empty() => node,
                _ => continue,
            };
            let pods = pods_of(self.context, changed.metadata.name.as_deref().unwrap_or_default());
            pods.iter().for_each(|pod| queue.add(Key::of(&**pod)));
        }
    }

    /// Pods that come to a tainted node, or tolerate something else than before, or go.
    async fn feed_pods(&self, queue: &Queue<Key>) {
        let pods = self.context.caches.of::<Pod>();
        let mut changes = pods.changes();
        loop {
            match changes.next().await {
                Change::Resync => pods
                    .list()
                    .iter()
                    .filter(|pod| self.concerns(pod))
                    .for_each(|pod| queue.add(Key::of(&**pod))),
                Change::Added(pod) | Change::Deleted(pod) | Change::Modified { new: pod, .. } => {
                    if self.concerns(&pod) {
                        queue.add(Key::of(&*pod));
                    }
                }
            }
        }
    }

    fn concerns(&self, pod: &Pod) -> bool {
        self.waits(pod) || !self.taints_for(pod).is_empty()
    }

    /// The NoExecute taints of a pod's node.
    fn taints_for(&self, pod: &Pod) -> Vec<Taint> {
        let node = node_of(pod).and_then(|node| self.context.caches.of::<Node>().get(&Key::new("", node)));
        node.map(|node| executes(&node).into_iter().cloned().collect()).unwrap_or_default()
    }

    async fn reconcile(&self, key: Key) -> Result<Option<Duration>, Error> {
        let Some(pod) = self.context.caches.of::<Pod>().get(&key) else {
            self.waiting().retain(|(waiting, _), _| *waiting != key);
            return Ok(None);
        };
        if pod.metadata.deletion_timestamp.is_some() {
            self.stop_waiting(&pod);
            return Ok(None);
        }
        match stay(&pod, &self.taints_for(&pod)) {
            Stay::Forever => {
                if self.stop_waiting(&pod) {
                    let message = format!("Cancelling deletion of Pod {key}");
                    self.context.recorder.event(&*pod, Severity::Normal, "TaintManagerEviction", message);
                }
                Ok(None)
            }
            Stay::For(time) => {
                let left = time.saturating_sub(self.wait(&pod).elapsed());
                if !left.is_zero() {
                    return Ok(Some(left));
                }
                self.evict(&pod).await?;
                self.stop_waiting(&pod);
                Ok(None)
            }
        }
    }

    async fn evict(&self, pod: &Pod) -> Result<(), Error> {
        let key = Key::of(pod);
        let message = format!("Marking for deletion Pod {key}");
        self.context.recorder.event(pod, Severity::Normal, "TaintManagerEviction", message);
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": Time(Timestamp::now()), "observedGeneration": pod.metadata.generation,
        });
        let patch = Patch::Strategic(json!({
            "metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]},
        }));
        let options = DeleteOptions::of_uid(pod.metadata.uid.clone().unwrap_or_default());
        let marked = self.context.client().patch::<Pod>(&key, Some("status"), &patch).await.map(drop);
        let deleted = match marked {
            Ok(()) => self.context.client().delete::<Pod>(&key, &options).await,
            Err(error) => Err(error),
        };
        match deleted {
            // Gone, or another by its name.
            Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
            _ => Ok(()),
        }
    }

    fn waits(&self, pod: &Pod) -> bool {
        self.waiting().contains_key(&identity(pod))
    }

    /// Since when a pod waits: from now on, if it does not yet.
    fn wait(&self, pod: &Pod) -> Instant {
        *self.waiting().entry(identity(pod)).or_insert_with(Instant::now)
    }

    fn stop_waiting(&self, pod: &Pod) -> bool {
        self.waiting().remove(&identity(pod)).is_some()
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<(Key, String), Instant>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn identity(pod: &Pod) -> (Key, String) {
    (Key::of(pod), pod.metadata.uid.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn stays(tolerations: &Value, taints: Value) -> Stay {
        let pod: Pod = serde_json::from_value(
            json!({"metadata": {}, "spec": {"containers": [], "tolerations": tolerations}}),
        )
        .unwrap();
        stay(&pod, &serde_json::from_value::<Vec<Taint>>(taints).unwrap())
    }

    #[test]
    fn a_pod_stays_as_long_as_it_tolerates_every_taint() {
        let taints = json!([{"key": "a", "effect": "NoExecute"}, {"key": "b", "effect": "NoExecute"}, {"key": "c", "effect": "NoSchedule"}]);
        let tolerate = |key: &str, seconds: Option<i64>| json!({"key": key, "operator": "Exists", "tolerationSeconds": seconds});
        let seconds = |seconds| Stay::For(Duration::from_secs(seconds));
        assert_eq!(stays(&json!([]), json!([{"key": "c", "effect": "NoSchedule"}])), Stay::Forever);
        assert_eq!(stays(&json!([]), taints.clone()), seconds(0));
        assert_eq!(stays(&json!([tolerate("a", None)]), taints.clone()), seconds(0));
        assert_eq!(stays(&json!([tolerate("a", None), tolerate("b", None)]), taints.clone()), Stay::Forever);
        assert_eq!(
            stays(&json!([tolerate("a", Some(300)), tolerate("b", Some(60))]), taints.clone()),
            seconds(60)
        );
        assert_eq!(stays(&json!([tolerate("", None), tolerate("b", Some(-5))]), taints), seconds(0));
    }
}
