//! What is in a namespace: all of it deleted, and what was left counted.

use std::collections::BTreeMap;
use std::time::Duration;

use api::kinds::{self, Kind, Verb};
use client::{Client, DeleteOptions, Error, ListOptions, Path};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// What remains after one round of deleting.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Objects by resource, as `pods.` and `deployments.apps`.
    pub(super) resources: BTreeMap<String, usize>,
    /// Objects by the finalizer they wait for.
    pub(super) finalizers: BTreeMap<String, usize>,
    /// The longest grace that an object was given.
    pub(super) grace: Duration,
    pub(super) failures: Vec<Failure>,
}

/// A kind whose objects could not be deleted, or counted.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub(super) struct Failure {
    pub(super) source: Error,
}

pub(super) async fn delete(client: &Client, namespace: &str) -> Left {
    let mut left = Left::default();
    let (pods, rest): (Vec<_>, Vec<_>) =
        deletable().partition(|kind| kind.group.is_empty() && kind.kind == "Pod");
    for round in [pods, rest] {
        for kind in round {
            match delete_kind(client, namespace, kind).await {
                Ok(objects) => left.count(kind, &objects),
                Err(source) => left.failures.push(Failure { source }),
            }
        }
        if !left.resources.is_empty() || !left.failures.is_empty() {
            break;
        }
    }
    left
}

/// Every kind that lives in namespaces and is stored as what it is.
fn deletable() -> impl Iterator<Item = &'static Kind> {
    kinds::all().filter(|kind| {
        let deletable = kind.allows(Verb::DeleteCollection) && kind.allows(Verb::List);
        kind.namespaced && kind.conversion.is_none() && deletable
    })
}

/// Deletes the objects of one kind; returns those that are still there.
async fn delete_kind(client: &Client, namespace: &str, kind: &Kind) -> Result<Vec<ObjectMeta>, Error> {
    let path = Path::collection_of(kind, namespace);
    // Most kinds have nothing in most namespaces: one cheap question instead of a write and a question.
    if client
        .list_metadata(&path, &ListOptions { limit: 1, ..ListOptions::default() })
        .await?
        .items
        .is_empty()
    {
        return Ok(Vec::new());
    }
    let background = Some("Background".to_string());
    client
        .delete_at(&path, &DeleteOptions { propagation_policy: background, ..DeleteOptions::default() })
        .await?;
    Ok(client.list_metadata(&path, &ListOptions::default()).await?.items)
}

impl Left {
    fn count(&mut self, kind: &Kind, objects: &[ObjectMeta]) {
        if objects.is_empty() {
            return;
        }
        self.resources.insert(format!("{}.{}", kind.plural, kind.group), objects.len());
        for object in objects {
            for finalizer in object.finalizers.iter().flatten() {
                *self.finalizers.entry(finalizer.clone()).or_default() += 1;
            }
            let grace = object.deletion_grace_period_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            self.grace = self.grace.max(Duration::from_secs(grace.unwrap_or_default()));
        }
    }
}
