//! The templates that a workload had, as ControllerRevisions: what `kubectl rollout undo` goes back to.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::selector::LabelSelector;
use client::{DeleteOptions, Error, Key, Object};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;

use crate::context::Context;
use crate::{owner, template};

/// The revisions of one workload.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) current: Arc<ControllerRevision>,
    /// Oldest first.
    pub(crate) old: Vec<Arc<ControllerRevision>>,
}

/// The template that a workload has now, and how its revisions are told apart.
#[derive(Debug)]
pub(crate) struct Now<'a> {
    pub(crate) template: &'a PodTemplateSpec,
    pub(crate) collisions: i32,
    /// The label of a revision that holds its hash.
    pub(crate) hash_label: &'static str,
}

/// The history with the template of now in it.
///
/// None if the name of its revision is taken by another template's: its owner must count one more collision.
pub(crate) async fn read<Owner: Object>(
    context: &Context,
    owner: &Owner,
    selector: &LabelSelector,
    now: &Now<'_>,
) -> Result<Option<History>, Error> {
    let cache = context.caches.of::<ControllerRevision>();
    cache.synced().await;
    let namespace = owner.metadata().namespace.as_deref().unwrap_or_default();
    let mut all =
        owner::Claimer::new(context.client(), owner, selector).claim(cache.list_in(namespace)).await?;
    all.sort_by_key(|revision| revision.revision);
    let data = template::patch(now.template);
    let current = all.iter().rfind(|revision| revision.data.0 == data).cloned();
    all.retain(|revision| current.as_ref().is_none_or(|current| !Arc::ptr_eq(revision, current)));
    let next = all.last().and_then(|newest| newest.revision).unwrap_or_default() + 1;
    let current = match current {
        Some(current) if current.revision.unwrap_or_default() >= next => current,
        Some(current) => renumber(context, &current, next).await?,
        None => match make(context, owner, now, next).await? {
            Some(made) => made,
            None => return Ok(None),
        },
    };
    Ok(Some(History { current, old: all }))
}

/// A template that comes back is the newest again.
async fn renumber(
    context: &Context,
    revision: &ControllerRevision,
    number: i64,
) -> Result<Arc<ControllerRevision>, Error> {
    let renumbered = ControllerRevision { revision: Some(number), ..revision.clone() };
    let written = context.client().update(&renumbered).await?;
    context.caches.of::<ControllerRevision>().seen(&written.metadata).await;
    Ok(Arc::new(written))
}

async fn make<Owner: Object>(
    context: &Context,
    owner: &Owner,
    now: &Now<'_>,
    number: i64,
) -> Result<Option<Arc<ControllerRevision>>, Error> {
    let revision = snapshot(owner, now, number);
    match context.client().create(&revision).await {
        Ok(made) => {
            context.caches.of::<ControllerRevision>().seen(&made.metadata).await;
            Ok(Some(Arc::new(made)))
        }
        Err(error) if error.is_already_exists() => {
            let taken = context.client().get::<ControllerRevision>(&Key::of(&revision)).await?;
            let ours =
                owner::is_controlled_by(&taken.metadata, owner.metadata()) && taken.data.0 == revision.data.0;
            Ok(ours.then(|| Arc::new(taken)))
        }
        Err(error) => Err(error),
    }
}

fn snapshot<Owner: Object>(owner: &Owner, now: &Now<'_>, number: i64) -> ControllerRevision {
    let metadata = owner.metadata();
    let hash = template::hash(now.template, now.collisions);
    let labels = now.template.metadata.as_ref().and_then(|template| template.labels.clone());
    let mut labels = labels.unwrap_or_default();
    labels.insert(now.hash_label.into(), hash.clone());
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", metadata.name.as_deref().unwrap_or_default())),
            namespace: metadata.namespace.clone(),
            labels: Some(labels),
            annotations: metadata.annotations.clone(),
            owner_references: Some(vec![owner::reference(owner)]),
            ..ObjectMeta::default()
        },
        data: RawExtension(template::patch(now.template)),
        revision: Some(number),
    }
}

impl History {
    /// Deletes the oldest revisions beyond `limit`, but none whose mark is among those used.
    pub(crate) async fn forget(
        &self,
        context: &Context,
        limit: usize,
        mark: fn(&ControllerRevision) -> Option<&str>,
        used: &BTreeSet<&str>,
    ) -> Result<(), Error> {
        let is_used =
            |revision: &Arc<ControllerRevision>| mark(revision).is_some_and(|mark| used.contains(mark));
        let excess = self.old.len().saturating_sub(limit);
        let unused: Vec<_> = self.old.iter().filter(|revision| !is_used(revision)).take(excess).collect();
        for revision in unused {
            let options = DeleteOptions::of_uid(revision.metadata.uid.clone().unwrap_or_default());
            match context.client().delete::<ControllerRevision>(&Key::of(&**revision), &options).await {
                Err(error) if !error.is_not_found() && !error.is_conflict() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The hash that an object carries.
pub(crate) fn hash<'a>(metadata: &'a ObjectMeta, label: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(label).map(String::as_str)
}
