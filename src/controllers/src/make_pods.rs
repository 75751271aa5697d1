//! Creating and deleting the pods of an owner, and telling people about it.

use std::sync::Arc;

use client::Object;
use client::{DeleteOptions, Error, Key, Severity};
use futures_util::future::join_all;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::context::Context;
use crate::{owner, pod};

/// Longest name prefix that leaves room for the suffix the API server adds.
const LONGEST_PREFIX: usize = 58;

/// A pod of `owner` as its template says, to be named by the API server.
pub(crate) fn of_template<Owner: Object>(owner: &Owner, template: &PodTemplateSpec) -> Pod {
    let from = template.metadata.clone().unwrap_or_default();
    let name = owner.metadata().name.as_deref().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(prefix(name)),
            namespace: owner.metadata().namespace.clone(),
            labels: from.labels,
            annotations: from.annotations,
            finalizers: from.finalizers,
            owner_references: Some(vec![owner::reference(owner)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

pub(crate) fn prefix(owner: &str) -> String {
    let cut: String = owner.chars().take(LONGEST_PREFIX - 1).collect();
    format!("{cut}-")
}

/// Creates pods, in rounds of 1, 2, 4, … at once: what is wrong with one is wrong with all, and a quota that is
/// full should not be asked five hundred times. Ends with the first round in which one fails.
///
/// Returns the pods that were created, and why there are not more; a namespace on its way out takes none, which is no failure.
pub(crate) async fn create<Owner: Object>(
    context: &Context,
    owner: &Owner,
    pods: impl Iterator<Item = Pod>,
) -> (Vec<Pod>, Result<(), Error>) {
    let (mut created, mut pods) = (Vec::new(), pods.peekable());
    let mut round = 1;
    while pods.peek().is_some() {
        let batch: Vec<Pod> = pods.by_ref().take(round).collect();
        let attempts = batch.iter().map(|pod| create_one(context, owner, pod));
        let (made, errors) = split(join_all(attempts).await);
        created.extend(made);
        match errors.into_iter().next() {
            Some(error) if error.is_namespace_terminating() => return (created, Ok(())),
            Some(error) => return (created, Err(error)),
            None => round *= 2,
        }
    }
    (created, Ok(()))
}

/// Creates one pod, and says so.
pub(crate) async fn create_one<Owner: Object>(
    context: &Context,
    owner: &Owner,
    pod: &Pod,
) -> Result<Pod, Error> {
    match context.client().create(pod).await {
        Ok(pod) => {
            let message = format!("Created pod: {}", name(&pod));
            context.recorder.event(owner, Severity::Normal, "SuccessfulCreate", message);
            Ok(pod)
        }
        Err(error) => {
            if !error.is_namespace_terminating() {
                let message = format!("Error creating: {error}");
                context.recorder.event(owner, Severity::Warning, "FailedCreate", message);
            }
            Err(error)
        }
    }
}

/// Deletes pods, says so, and waits until the cache shows it: who counts again counts them out. One that is gone already is
/// deleted.
pub(crate) async fn delete<Owner: Object>(
    context: &Context,
    owner: &Owner,
    pods: &[Arc<Pod>],
) -> Result<(), Error> {
    let attempts = pods.iter().map(|pod| delete_one(context, owner, pod));
    let (_, errors) = split(join_all(attempts).await);
    errors.into_iter().next().map_or(Ok(()), Err)
}

async fn delete_one<Owner: Object>(context: &Context, owner: &Owner, pod: &Pod) -> Result<(), Error> {
    let options = DeleteOptions::of_uid(pod.metadata.uid.clone().unwrap_or_default());
    match context.client().delete::<Pod>(&Key::of(pod), &options).await {
        Ok(()) => {
            let message = format!("Deleted pod: {}", name(pod));
            context.recorder.event(owner, Severity::Normal, "SuccessfulDelete", message);
            context.caches.of::<Pod>().shows(&Key::of(pod), |shown| pod::is_deleted(pod, shown)).await;
            Ok(())
        }
        // Gone, or another one by the same name: ours is deleted.
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        Err(error) => {
            let message = format!("Error deleting: {error}");
            context.recorder.event(owner, Severity::Warning, "FailedDelete", message);
            Err(error)
        }
    }
}

fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

fn split<T>(results: Vec<Result<T, Error>>) -> (Vec<T>, Vec<Error>) {
    let (good, bad): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    (good.into_iter().filter_map(Result::ok).collect(), bad.into_iter().filter_map(Result::err).collect())
}
