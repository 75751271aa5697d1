//! EndpointSlice: the addresses and ports behind each Service that selects pods.
//!
//! ```text
//! run ─▶ reconcile ─▶ groups by family and ports (desired) ─▶ pack into slices that are there (pure) ─▶ write
//! ```
//!
//! Slices that need no change are not touched: a change of one pod rewrites one slice of at most a hundred, however many
//! pods the Service has.

mod desired;
pub(crate) mod mirror;
mod pack;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use client::{DeleteOptions, Error, Key, Object, Queue, Severity};
use futures_util::future::join4;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;

use self::pack::Changes;
use crate::context::Context;
use crate::feed::feed;
use crate::service_pods;
use crate::work::side_by_side;

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const OURS: &str = "endpointslice-controller.k8s.io";

pub(crate) async fn run(context: Context) {
    let queue = Queue::default();
    let services = context.caches.of::<Service>();
    let own = feed(services.clone(), queue.clone(), |service: &Service| [Key::of(service)]);
    let pods = feed(context.caches.of::<Pod>(), queue.clone(), move |pod: &Pod| {
        service_pods::selecting(&services, pod)
    });
    let slices = feed(context.caches.of::<EndpointSlice>(), queue.clone(), |slice: &EndpointSlice| {
        service_of(&slice.metadata, OURS)
    });
    join4(own, pods, slices, side_by_side(&queue, "EndpointSlice", |key| reconcile(&context, key))).await;
}

/// The Service whose slice this is, if it is one of this manager's.
fn service_of(slice: &ObjectMeta, manager: &str) -> Option<Key> {
    let labels = slice.labels.as_ref()?;
    let service =
        labels.get(SERVICE_NAME).filter(|_| labels.get(MANAGED_BY).is_some_and(|by| by == manager))?;
    Some(Key::new(slice.namespace.clone().unwrap_or_default(), service.clone()))
}

async fn reconcile(context: &Context, key: Key) -> Result<Option<Duration>, Failure> {
    let (services, pods) = (context.caches.of::<Service>(), context.caches.of::<Pod>());
    let (slices, nodes) = (context.caches.of::<EndpointSlice>(), context.caches.of::<Node>());
    pods.synced().await;
    slices.synced().await;
    nodes.synced().await;
    let Some(service) = services.get(&key) else { return Ok(None) };
    let Some(pods) = service_pods::selected(&service, &pods) else { return Ok(None) };
    let mut existing = slices.list_in(&key.namespace);
    existing.retain(|slice| {
        service_of(&slice.metadata, OURS).as_ref() == Some(&key)
            && slice.metadata.deletion_timestamp.is_none()
    });
    let desired = desired::desired(&service, &pods, |name| nodes.get(&Key::new("", name)));
    let mut changes = pack::plan(&service, &desired.families, &existing);
    if service.metadata.deletion_timestamp.is_some() {
        changes.create.clear();
    }
    let written = write(context, changes, trigger_time(&service, &pods, &existing)).await;
    written.inspect_err(|error| tell_failure(context, &*service, error))?;
    // The pod comes in when its node does, or goes: either way somebody must look again.
    desired.without_node.map_or(Ok(None), |pod| Err(Failure::NodeNotFound { pod, service: key }))
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("skipping Pod {pod} for Service {service}: its Node is not found")]
    NodeNotFound { pod: String, service: Key },
    #[error(transparent)]
    Write(#[from] Error),
}

fn trigger_time(service: &Service, pods: &[Arc<Pod>], existing: &[Arc<EndpointSlice>]) -> Option<Timestamp> {
    let endpoints = existing.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let was: HashMap<&str, bool> = endpoints
        .filter_map(|endpoint| {
            let uid = endpoint.target_ref.as_ref()?.uid.as_deref()?;
            Some((uid, endpoint.conditions.as_ref()?.serving == Some(true)))
        })
        .collect();
    service_pods::trigger_time(service, pods, existing.is_empty(), |uid| was.get(uid).copied())
}

async fn write(context: &Context, changes: Changes, trigger: Option<Timestamp>) -> Result<(), Error> {
    let (client, slices) = (context.client(), context.caches.of::<EndpointSlice>());
    for slice in changes.create {
        match client.create(&triggered(slice, trigger)).await {
            Ok(written) => slices.seen(&written.metadata).await,
            Err(error) if error.is_namespace_terminating() => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    for slice in changes.update {
        let written = client.update(&triggered(slice, trigger)).await?;
        slices.seen(&written.metadata).await;
    }
    for slice in changes.delete {
        let options = DeleteOptions::of_uid(slice.metadata.uid.clone().unwrap_or_default());
        match client.delete::<EndpointSlice>(&Key::of(&*slice), &options).await {
            Err(error) if !error.is_not_found() && !error.is_conflict() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn triggered(mut slice: EndpointSlice, trigger: Option<Timestamp>) -> EndpointSlice {
    let mut annotations: BTreeMap<_, _> = slice.metadata.annotations.take().unwrap_or_default();
    annotations.remove(service_pods::TRIGGER_TIME);
    annotations.extend(trigger.map(|time| (service_pods::TRIGGER_TIME.to_string(), time.to_string())));
    slice.metadata.annotations = (!annotations.is_empty()).then_some(annotations);
    slice
}

fn tell_failure<K: Object>(context: &Context, about: &K, error: &Error) {
    // Who else wrote is read again and all is well: nothing to tell.
    if error.is_conflict() {
        return;
    }
    let message = format!("Error updating Endpoint Slices for {} {}: {error}", K::KIND, Key::of(about));
    context.recorder.event(about, Severity::Warning, "FailedToUpdateEndpointSlices", message);
}
