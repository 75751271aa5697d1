//! Pods that nobody will count any more: our finalizer must not keep them for ever.

use std::sync::Arc;
use std::time::Duration;

use client::{Change, Error, Key, Patch, Queue};
use futures_util::future::join3;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::rules;
use crate::context::Context;
use crate::feed::feed;
use crate::owner;

pub(super) async fn run(context: &Context) {
    let queue = Queue::default();
    let pods = feed(context.caches.of::<Pod>(), queue.clone(), |pod: &Pod| {
        rules::is_tracked(pod).then(|| Key::of(pod))
    });
    join3(pods, feed_jobs(context, &queue), queue.work("pods of ended Jobs", |key| reconcile(context, key)))
        .await;
}

/// A Job that ended or went has its pods looked at.
async fn feed_jobs(context: &Context, queue: &Queue<Key>) {
    let mut changes = context.caches.of::<Job>().changes();
    loop {
        let job = match changes.next().await {
            Change::Deleted(job) => job,
            Change::Modified { new, .. } if rules::is_finished(&new) => new,
            Change::Modified { .. } | Change::Added(_) | Change::Resync => continue,
        };
        let pods = context.caches.of::<Pod>().list_in(job.metadata.namespace.as_deref().unwrap_or_default());
        let ours = |pod: &&Arc<Pod>| owner::is_controlled_by(&pod.metadata, &job.metadata);
        pods.iter().filter(ours).for_each(|pod| queue.add(Key::of(&**pod)));
    }
}

async fn reconcile(context: &Context, key: Key) -> Result<Option<Duration>, Error> {
    let (jobs, pods) = (context.caches.of::<Job>(), context.caches.of::<Pod>());
    jobs.synced().await;
    let Some(pod) = pods.get(&key).filter(|pod| rules::is_tracked(pod)) else { return Ok(None) };
    if owner::controller(&pod.metadata).is_some() {
        let Some(job) = owner::controller_key::<Job>(&pod.metadata) else { return Ok(None) };
        let job = jobs.get(&job).filter(|job| owner::is_controlled_by(&pod.metadata, &job.metadata));
        if job.is_some_and(|job| rules::is_foreign(&job) || !rules::is_finished(&job)) {
            return Ok(None);
        }
    }
    free(context, &pod).await?;
    Ok(None)
}

/// Removes the finalizer of a pod, and waits until the cache shows it.
pub(super) async fn free(context: &Context, pod: &Pod) -> Result<(), Error> {
    let left: Vec<_> =
        pod.metadata.finalizers.iter().flatten().filter(|finalizer| *finalizer != rules::FINALIZER).collect();
    if pod.metadata.finalizers.as_ref().is_none_or(|all| all.len() == left.len()) {
        return Ok(());
    }
    // The revision makes sure that no finalizer of somebody else is lost.
    let patch = Patch::Merge(json!({"metadata": {
        "uid": pod.metadata.uid, "resourceVersion": pod.metadata.resource_version, "finalizers": left,
    }}));
    let key = Key::of(pod);
    match context.client().patch::<Pod>(&key, None, &patch).await {
        Ok(_) => {}
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    let is_free = |shown: Option<&Pod>| {
        shown.is_none_or(|shown| shown.metadata.uid != pod.metadata.uid || !rules::is_tracked(shown))
    };
    context.caches.of::<Pod>().shows(&key, is_free).await;
    Ok(())
}
