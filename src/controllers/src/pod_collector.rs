//! Pods that no kubelet will ever see to: on nodes that are gone, deleted before they had a node, or long ended.
//!
//! Upstream looks at all pods every twenty seconds. Here a pod or a node that changes says what must be looked at.

use std::sync::Arc;
use std::time::Duration;

use client::{Change, DeleteOptions, Error, Key, Patch, Preconditions, Queue};
use futures_util::future::join3;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tracing::info;

use crate::context::Context;
use crate::pod;
use crate::service_pods::node as node_of;

/// Ended pods that are kept, as upstream.
const ENDED_KEPT: usize = 12_500;
/// A node that was missing may be on its way: it is asked for again after this long.
const PATIENCE: Duration = Duration::from_secs(40);
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Work {
    /// A pod that was deleted before it had a node.
    Unplaced(Key),
    /// A node that is not there, or that will not come back.
    Node(String),
    Ended,
}

pub(crate) async fn run(context: Context) {
    let queue = Queue::default();
    let work = queue.work("pod collector", |work| reconcile(&context, work));
    join3(feed_pods(&context, &queue), feed_nodes(&context, &queue), work).await;
}

async fn feed_pods(context: &Context, queue: &Queue<Work>) {
    let (pods, nodes) = (context.caches.of::<Pod>(), context.caches.of::<Node>());
    nodes.synced().await;
    let mut changes = pods.changes();
    loop {
        let changed = match changes.next().await {
            Change::Added(pod) | Change::Modified { new: pod, .. } => vec![pod],
            Change::Deleted(_) => Vec::new(),
            Change::Resync => pods.list(),
        };
        for pod in changed {
            match node_of(&pod) {
                None if pod.metadata.deletion_timestamp.is_some() => {
                    queue.add(Work::Unplaced(Key::of(&*pod)));
                }
                Some(node) if nodes.get(&Key::new("", node)).is_none() => {
                    queue.add_after(Work::Node(node.into()), PATIENCE);
                }
                Some(node) if is_left_on(&pod, &nodes.get(&Key::new("", node))) => {
                    queue.add(Work::Node(node.into()));
                }
                _ => {}
            }
            if pod::is_finished(&pod) {
                queue.add(Work::Ended);
            }
        }
    }
}

fn is_left_on(pod: &Pod, node: &Option<Arc<Node>>) -> bool {
    pod.metadata.deletion_timestamp.is_some() && node.as_ref().is_some_and(|node| is_out_of_service(node))
}

async fn feed_nodes(context: &Context, queue: &Queue<Work>) {
    let mut changes = context.caches.of::<Node>().changes();
    loop {
        let name = |node: &Node| node.metadata.name.clone().unwrap_or_default();
        match changes.next().await {
            Change::Deleted(node) => queue.add_after(Work::Node(name(&node)), PATIENCE),
            Change::Added(node) | Change::Modified { new: node, .. } if is_out_of_service(&node) => {
                queue.add(Work::Node(name(&node)));
            }
            _ => {}
        }
    }
}

/// Somebody says that this node is off and will stay off until they say otherwise.
fn is_out_of_service(node: &Node) -> bool {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True");
    !ready && taints.into_iter().any(|taint| taint.key == OUT_OF_SERVICE)
}

async fn reconcile(context: &Context, work: Work) -> Result<Option<Duration>, Error> {
    match work {
        Work::Unplaced(key) => {
            let pod = context.caches.of::<Pod>().get(&key);
            let deleted =
                |pod: &Arc<Pod>| pod.metadata.deletion_timestamp.is_some() && node_of(pod).is_none();
            if let Some(pod) = pod.filter(deleted) {
                remove(context, &pod, None).await?;
            }
        }
        Work::Node(name) => leave_node(context, &name).await?,
        Work::Ended => forget_ended(context).await?,
    }
    Ok(None)
}

async fn leave_node(context: &Context, name: &str) -> Result<(), Error> {
    // The cache may not have heard of a node that has just come.
    let node = match context.client().get::<Node>(&Key::new("", name)).await {
        Ok(node) => Some(node),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error),
    };
    let off = node.as_ref().is_some_and(is_out_of_service);
    for pod in context.caches.of::<Pod>().list().iter().filter(|pod| node_of(pod) == Some(name)) {
        match node {
            None => remove(context, pod, Some("PodGC: node no longer exists")).await?,
            Some(_) if off && pod::is_terminating(pod) => remove(context, pod, None).await?,
            Some(_) => {}
        }
    }
    Ok(())
}

async fn forget_ended(context: &Context) -> Result<(), Error> {
    let mut ended = context.caches.of::<Pod>().list();
    ended.retain(|pod| pod::is_finished(pod) && pod.metadata.deletion_timestamp.is_none());
    let surplus = ended.len().saturating_sub(ENDED_KEPT);
    let evicted = |pod: &Pod| pod.status.as_ref().and_then(|it| it.reason.as_deref()) == Some("Evicted");
    ended.sort_by_key(|pod| (!evicted(pod), pod.metadata.creation_timestamp.as_ref().map(|time| time.0)));
    for pod in ended.iter().take(surplus) {
        remove(context, pod, None).await?;
    }
    Ok(())
}

/// Ends a pod for good, and says why if somebody may ask.
async fn remove(context: &Context, pod: &Pod, why: Option<&str>) -> Result<(), Error> {
    let key = Key::of(pod);
    if !pod::is_finished(pod) {
        match context.client().patch::<Pod>(&key, Some("status"), &failed(pod, why)).await {
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    let now = DeleteOptions {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions { uid: pod.metadata.uid.clone(), ..Preconditions::default() }),
        ..DeleteOptions::default()
    };
    match context.client().delete::<Pod>(&key, &now).await {
        Ok(()) => info!(pod = %key, node = node_of(pod), "a pod that nobody looks after is removed"),
        Err(error) if error.is_not_found() || error.is_conflict() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn failed(pod: &Pod, why: Option<&str>) -> Patch {
    let mut status = json!({"phase": "Failed"});
    if let Some(message) = why {
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "message": message,
            "lastTransitionTime": Timestamp::now().to_string(),
        });
        status["conditions"] = Value::from(vec![condition]);
    }
    Patch::Strategic(json!({"metadata": {"uid": pod.metadata.uid}, "status": status}))
}
