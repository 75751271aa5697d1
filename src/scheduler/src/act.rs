//! Carrying decisions out: binding, telling why not, evicting.

use std::sync::Arc;

use client::{Client, DeleteOptions, Error, Key, Patch, Path, Recorder, Severity};
use http::Method;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::facts::PodFacts;
use crate::preemption::Plan;

pub(crate) const SCHEDULER: &str = "default-scheduler";

/// Why a pod has no node, as its condition says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Unschedulable,
    SchedulingGated,
    SchedulerError,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::Unschedulable => "Unschedulable",
            Self::SchedulingGated => "SchedulingGated",
            Self::SchedulerError => "SchedulerError",
        }
    }
}

/// What becomes of the promise of room on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Nomination {
    Keep,
    Clear,
    Node(String),
}

pub(crate) async fn bind(
    client: &Client,
    recorder: &Recorder,
    pod: &PodFacts,
    node: &str,
) -> Result<(), Error> {
    let Key { namespace, name } = &pod.key;
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding",
        "metadata": {"namespace": namespace, "name": name, "uid": pod.uid()},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let path = Path::object::<Pod>(&pod.key).child("binding");
    client.send_json(Method::POST, path.as_str(), Some(binding.to_string().into_bytes())).await?;
    let message = format!("Successfully assigned {} to {node}", pod.key);
    recorder.event(&*pod.pod, Severity::Normal, "Scheduled", message);
    Ok(())
}

/// Tells in the pod's status why it has no node, if that is news.
pub(crate) async fn explain(
    client: &Client,
    pod: &Pod,
    reason: Reason,
    message: &str,
    nomination: &Nomination,
) -> Result<(), Error> {
    let mut status = serde_json::Map::new();
    if !says(pod, reason, message) {
        status.insert("conditions".into(), json!([condition(pod, reason, message)]));
    }
    let nominated =
        pod.status.as_ref().and_then(|status| status.nominated_node_name.as_deref()).unwrap_or_default();
    match nomination {
        Nomination::Node(node) if node != nominated => {
            status.insert("nominatedNodeName".into(), json!(node));
        }
        Nomination::Clear if !nominated.is_empty() => {
            status.insert("nominatedNodeName".into(), Value::Null);
        }
        _ => {}
    }
    if status.is_empty() { Ok(()) } else { patch_status(client, pod, &status.into()).await }
}

fn placed(pod: &Pod) -> Option<&PodCondition> {
    pod.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == "PodScheduled")
}

fn says(pod: &Pod, reason: Reason, message: &str) -> bool {
    placed(pod).is_some_and(|condition| {
        condition.status == "False"
            && condition.reason.as_deref() == Some(reason.name())
            && condition.message.as_deref() == Some(message)
    })
}

fn condition(pod: &Pod, reason: Reason, message: &str) -> Value {
    let since = placed(pod).filter(|condition| condition.status == "False");
    let since = since.and_then(|condition| condition.last_transition_time.as_ref()).map(|time| time.0);
    json!({
        "type": "PodScheduled", "status": "False", "reason": reason.name(), "message": message,
        "lastProbeTime": null, "lastTransitionTime": time(since.unwrap_or_else(Timestamp::now)),
        "observedGeneration": pod.metadata.generation,
    })
}

fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Patches the very pod that was looked at. One that is gone needs nothing.
async fn patch_status(client: &Client, pod: &Pod, status: &Value) -> Result<(), Error> {
    let patch = Patch::Strategic(json!({"metadata": {"uid": pod.metadata.uid}, "status": status}));
    match client.patch::<Pod>(&Key::of(pod), Some("status"), &patch).await {
        Err(error) if !is_gone(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Gone, or another one by the same name.
pub(crate) fn is_gone(error: &Error) -> bool {
    error.is_not_found() || error.is_conflict()
}

/// Evicts the victims of a plan; the first error, after all were tried.
pub(crate) async fn evict(
    client: &Client,
    recorder: &Recorder,
    preemptor: &PodFacts,
    plan: &Plan,
) -> Result<(), Error> {
    let mut result = Ok(());
    for victim in plan.victims.iter().filter(|victim| !victim.is_terminating()) {
        let evicted = evict_one(client, victim).await;
        if evicted.is_ok() {
            let message = format!("Preempted by pod {} on node {}", preemptor.uid(), plan.node);
            recorder.event(&*victim.pod, Severity::Normal, "Preempted", message);
        }
        result = result.and(evicted);
    }
    result
}

async fn evict_one(client: &Client, victim: &Arc<PodFacts>) -> Result<(), Error> {
    let message = format!("{SCHEDULER}: preempting to accommodate a higher priority pod");
    let condition = json!({
        "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": message,
        "lastTransitionTime": time(Timestamp::now()), "observedGeneration": victim.metadata().generation,
    });
    patch_status(client, &victim.pod, &json!({"conditions": [condition]})).await?;
    match client.delete::<Pod>(&victim.key, &DeleteOptions::of_uid(victim.uid())).await {
        Err(error) if !is_gone(&error) => Err(error),
        _ => Ok(()),
    }
}
