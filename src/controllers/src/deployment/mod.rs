//! Deployment: one template after the other, through ReplicaSets.
//!
//! ```text
//! run ─▶ reconcile ─▶ claim sets ─▶ find or make the new one ─▶ Rollout::step (pure) ─▶ scale ─▶ status
//! ```
//!
//! One step at a time: what a step changes comes back through the caches and brings the next one. So a restart in the
//! middle of a rollout goes on where it was, from nothing but what the API holds.

mod revision;
mod rollout;
mod status;

use std::sync::Arc;
use std::time::Duration;

use api::selector::LabelSelector;
use client::{DeleteOptions, Error, Key, Queue, Severity};
use futures_util::future::join4;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use tracing::warn;

use self::rollout::{Goal, Size};
use self::status::{Said, asked};
use crate::ages::Ages;
use crate::context::Context;
use crate::feed::feed;
use crate::work::side_by_side;
use crate::{owner, pod, template};

const DEFAULT_HISTORY: usize = 10;

pub(crate) async fn run(context: Context) {
    let (queue, ages) = (Queue::default(), Ages::default());
    let (deployments, sets) = (context.caches.of::<Deployment>(), context.caches.of::<ReplicaSet>());
    let by_set = sets.clone();
    let own = feed(deployments.clone(), queue.clone(), |deployment: &Deployment| [Key::of(deployment)]);
    let sets = feed(sets, queue.clone(), move |set: &ReplicaSet| {
        owner::concerned(&deployments, |deployment| Some(&deployment.spec.selector), &set.metadata)
    });
    // Recreate waits for the last old pod to be gone, which no ReplicaSet's status tells.
    let pods = feed(context.caches.of::<Pod>(), queue.clone(), move |pod: &Pod| {
        let set = by_set.get(&owner::controller_key::<ReplicaSet>(&pod.metadata)?)?;
        owner::controller_key::<Deployment>(&set.metadata)
    });
    let work = side_by_side(&queue, "Deployment", |key| reconcile(&context, &ages, key));
    join4(own, sets, pods, work).await;
}

/// The sets of a Deployment, told apart.
struct Sets {
    new: Option<Arc<ReplicaSet>>,
    /// Oldest first.
    old: Vec<Arc<ReplicaSet>>,
}

impl Sets {
    fn tell_apart(deployment: &Deployment, mut all: Vec<Arc<ReplicaSet>>) -> Self {
        all.sort_by_key(|set| revision::created(set));
        let new = revision::find_new(deployment, &all);
        all.retain(|set| new.as_ref().is_none_or(|new| !Arc::ptr_eq(set, new)));
        Self { new, old: all }
    }

    fn highest_old_revision(&self) -> i64 {
        let revisions = self.old.iter().map(|set| revision::revision(set.metadata.annotations.as_ref()));
        revisions.max().unwrap_or_default()
    }
}

async fn reconcile(context: &Context, ages: &Ages, key: Key) -> Result<Option<Duration>, Error> {
    let (deployments, sets) = (context.caches.of::<Deployment>(), context.caches.of::<ReplicaSet>());
    sets.synced().await;
    let Some(deployment) = deployments.get(&key) else {
        ages.forget(&key);
        return Ok(None);
    };
    let selector = match LabelSelector::of(Some(&deployment.spec.selector)) {
        Ok(selector) => selector,
        Err(error) => {
            warn!(%key, %error, "a selector that cannot be used");
            return Ok(None);
        }
    };
    let ours = owner::Claimer::new(context.client(), &*deployment, &selector)
        .claim(sets.list_in(&key.namespace))
        .await?;
    let sets = Sets::tell_apart(&deployment, ours);
    let worker = Worker { context, ages, deployment: &deployment, goal: Goal::of(&deployment.spec) };
    let said = match deployment.metadata.deletion_timestamp {
        Some(_) => None,
        None => worker.advance(&sets).await?,
    };
    worker.write_status(&sets, said).await
}

/// One look at one Deployment.
struct Worker<'a> {
    context: &'a Context,
    /// Since when they have made no progress.
    ages: &'a Ages,
    deployment: &'a Deployment,
    goal: Goal,
}

impl Worker<'_> {
    /// Takes the next step, and returns what there is to say about it.
    async fn advance(&self, sets: &Sets) -> Result<Option<Said>, Error> {
        let paused = self.deployment.spec.paused == Some(true);
        if paused || self.was_scaled(sets) {
            self.scale_in_proportion(sets).await?;
            return Ok(self.pause_or_resume(paused));
        }
        if let Some(said) = self.pause_or_resume(paused) {
            return Ok(Some(said));
        }
        match &sets.new {
            None if self.goal.recreate && self.old_ones_live(sets) => {
                self.stop_old(sets).await?;
                Ok(None)
            }
            None => self.make_new(sets).await.map(Some),
            Some(new) => {
                let new = self.annotate(new, sets).await?;
                self.follow_revision(&new).await?;
                self.step(&new, sets).await?;
                Ok(self.found(&new))
            }
        }
    }

    async fn step(&self, new: &Arc<ReplicaSet>, sets: &Sets) -> Result<(), Error> {
        if self.goal.recreate {
            self.stop_old(sets).await?;
            let size = if self.old_ones_live(sets) { asked(new) } else { self.goal.replicas };
            return self.scale(new, size).await;
        }
        let old: Vec<Size> = sets.old.iter().map(size).collect();
        if let Some(step) = self.goal.rolling_step(size(new), &old) {
            for (index, replicas) in step {
                let set = if index == 0 { new } else { &sets.old[index - 1] };
                self.scale(set, replicas).await?;
            }
        }
        self.forget_history(new, sets).await
    }

    /// Whether `replicas` was changed since the sets were last scaled.
    fn was_scaled(&self, sets: &Sets) -> bool {
        let wanted = self.goal.replicas.to_string();
        let active = sets.new.iter().chain(&sets.old).filter(|set| asked(set) > 0);
        active.into_iter().any(|set| {
            let noted = revision::annotation(set.metadata.annotations.as_ref(), revision::DESIRED);
            noted.is_some_and(|noted| noted != wanted)
        })
    }

    /// Scales without moving on: one set takes it all, several keep their shares.
    async fn scale_in_proportion(&self, sets: &Sets) -> Result<(), Error> {
        let active: Vec<_> = sets.new.iter().chain(&sets.old).filter(|set| asked(set) > 0).cloned().collect();
        match (&active[..], &sets.new) {
            ([only], _) => self.scale(only, self.goal.replicas).await,
            ([], Some(latest)) => self.scale(latest, self.goal.replicas).await,
            ([], None) => Ok(()),
            (_, Some(new)) if self.is_saturated(new) => self.stop_old(sets).await,
            (several, _) => {
                let sizes: Vec<Size> = several.iter().map(size).collect();
                let mut step = self.goal.proportional(&sizes);
                // Those that keep their size must note the new goal too, or they would look unscaled for ever.
                let named: Vec<usize> = step.iter().map(|(index, _)| *index).collect();
                let kept = (0..several.len()).filter(|index| !named.contains(index));
                step.extend(kept.map(|index| (index, asked(&several[index]))));
                for (index, replicas) in step {
                    self.scale(&several[index], replicas).await?;
                }
                Ok(())
            }
        }
    }

    fn is_saturated(&self, new: &ReplicaSet) -> bool {
        asked(new) == self.goal.replicas && status::available(new) == self.goal.replicas
    }

    fn old_ones_live(&self, sets: &Sets) -> bool {
        let namespace = self.deployment.metadata.namespace.as_deref().unwrap_or_default();
        let pods = self.context.caches.of::<Pod>().list_in(namespace);
        let of_old =
            |pod: &Pod| sets.old.iter().any(|set| owner::is_controlled_by(&pod.metadata, &set.metadata));
        pods.iter().any(|pod| !pod::is_finished(pod) && of_old(pod))
    }

    async fn stop_old(&self, sets: &Sets) -> Result<(), Error> {
        for set in &sets.old {
            self.scale(set, 0).await?;
        }
        Ok(())
    }

    /// Makes the set of the current template, as large as it may be at once.
    async fn make_new(&self, sets: &Sets) -> Result<Said, Error> {
        let others = sets.old.iter().map(|set| i64::from(asked(set))).sum();
        let set = self.new_set(sets, self.goal.size_of_new(0, others));
        let name = set.metadata.name.clone().unwrap_or_default();
        match self.context.client().create(&set).await {
            Ok(made) => {
                self.context.caches.of::<ReplicaSet>().seen(&made.metadata).await;
                if asked(&made) > 0 {
                    self.tell_scaled(&name, 0, asked(&made));
                }
                Ok(Said::progress(
                    "True",
                    "NewReplicaSetCreated",
                    format!("Created new replica set \"{name}\""),
                ))
            }
            Err(error) if error.is_already_exists() => {
                self.resolve_collision(&name).await?;
                Err(error)
            }
            Err(error) => {
                let message = format!("Failed to create new replica set {name:?}: {error}");
                self.context.recorder.event(
                    self.deployment,
                    Severity::Warning,
                    "ReplicaSetCreateError",
                    message,
                );
                Err(error)
            }
        }
    }

    fn new_set(&self, sets: &Sets, replicas: i32) -> ReplicaSet {
        let spec = &self.deployment.spec;
        let collisions =
            self.deployment.status.as_ref().and_then(|status| status.collision_count).unwrap_or_default();
        let hash = template::hash(&spec.template, collisions);
        let with_hash = |labels: Option<&std::collections::BTreeMap<String, String>>| {
            let mut labels = labels.cloned().unwrap_or_default();
            labels.insert(revision::HASH_LABEL.into(), hash.clone());
            Some(labels)
        };
        let mut template = spec.template.clone();
        let metadata = template.metadata.get_or_insert_default();
        metadata.labels = with_hash(metadata.labels.as_ref());
        let labels = metadata.labels.clone();
        let mut selector = spec.selector.clone();
        selector.match_labels = with_hash(selector.match_labels.as_ref());
        let name = self.deployment.metadata.name.as_deref().unwrap_or_default();
        let annotations = revision::annotations_of_new(
            self.deployment,
            None,
            sets.highest_old_revision(),
            self.goal.most(),
        );
        ReplicaSet {
            metadata: ObjectMeta {
                name: Some(format!("{name}-{hash}")),
                namespace: self.deployment.metadata.namespace.clone(),
                labels,
                annotations: Some(annotations),
                owner_references: Some(vec![owner::reference(self.deployment)]),
                ..ObjectMeta::default()
            },
            spec: ReplicaSetSpec {
                replicas: Some(replicas),
                min_ready_seconds: spec.min_ready_seconds,
                selector,
                template: Some(template),
            },
            status: None,
        }
    }

    /// The name is taken by a set of another template, or by ours that the cache does not show yet. Only the first
    /// calls for another hash.
    async fn resolve_collision(&self, name: &str) -> Result<(), Error> {
        let namespace = self.deployment.metadata.namespace.as_deref().unwrap_or_default();
        let taken = self.context.client().get::<ReplicaSet>(&Key::new(namespace, name)).await?;
        let ours = owner::is_controlled_by(&taken.metadata, &self.deployment.metadata)
            && revision::find_new(self.deployment, &[Arc::new(taken)]).is_some();
        if ours {
            return Ok(());
        }
        let mut updated = self.deployment.clone();
        let status = updated.status.get_or_insert_default();
        status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
        let written = self.context.client().update_status(&updated).await?;
        self.context.caches.of::<Deployment>().seen(&written.metadata).await;
        Ok(())
    }

    /// Keeps annotations and `minReadySeconds` of the new set in step with the Deployment.
    async fn annotate(&self, new: &Arc<ReplicaSet>, sets: &Sets) -> Result<Arc<ReplicaSet>, Error> {
        let current = new.metadata.annotations.as_ref();
        let wanted = revision::annotations_of_new(
            self.deployment,
            current,
            sets.highest_old_revision(),
            self.goal.most(),
        );
        let min_ready_seconds = self.deployment.spec.min_ready_seconds;
        if current == Some(&wanted) && new.spec.min_ready_seconds == min_ready_seconds {
            return Ok(new.clone());
        }
        let mut updated = ReplicaSet::clone(new);
        updated.metadata.annotations = Some(wanted);
        updated.spec.min_ready_seconds = min_ready_seconds;
        self.write_set(&updated).await
    }

    /// The Deployment shows the revision of its current set: what `kubectl rollout history` counts by.
    async fn follow_revision(&self, new: &ReplicaSet) -> Result<(), Error> {
        let Some(current) = revision::annotation(new.metadata.annotations.as_ref(), revision::REVISION)
        else {
            return Ok(());
        };
        let shown = revision::annotation(self.deployment.metadata.annotations.as_ref(), revision::REVISION);
        if shown == Some(current) {
            return Ok(());
        }
        let patch = client::Patch::Merge(
            serde_json::json!({"metadata": {"annotations": {revision::REVISION: current}}}),
        );
        let written =
            self.context.client().patch::<Deployment>(&Key::of(self.deployment), None, &patch).await?;
        self.context.caches.of::<Deployment>().seen(&written.metadata).await;
        Ok(())
    }

    /// Sets a size and notes what it was meant for. Waits until the cache shows it.
    async fn scale(&self, set: &Arc<ReplicaSet>, replicas: i32) -> Result<(), Error> {
        let (desired, most) = (self.goal.replicas.to_string(), self.goal.most().to_string());
        let annotations = set.metadata.annotations.as_ref();
        let noted = |name| revision::annotation(annotations, name);
        let resize = asked(set) != replicas;
        // A set without pods need not know the goal: it is told when it gets some.
        let note = replicas > 0
            && (noted(revision::DESIRED) != Some(&desired) || noted(revision::MOST) != Some(&most));
        if !resize && !note {
            return Ok(());
        }
        let mut updated = ReplicaSet::clone(set);
        updated.spec.replicas = Some(replicas);
        let annotations = updated.metadata.annotations.get_or_insert_default();
        annotations.insert(revision::DESIRED.into(), desired);
        annotations.insert(revision::MOST.into(), most);
        self.write_set(&updated).await?;
        if resize {
            self.tell_scaled(set.metadata.name.as_deref().unwrap_or_default(), asked(set), replicas);
        }
        Ok(())
    }

    async fn write_set(&self, set: &ReplicaSet) -> Result<Arc<ReplicaSet>, Error> {
        let written = self.context.client().update(set).await?;
        self.context.caches.of::<ReplicaSet>().seen(&written.metadata).await;
        Ok(Arc::new(written))
    }

    fn tell_scaled(&self, name: &str, from: i32, to: i32) {
        let direction = if to > from { "up" } else { "down" };
        let message = format!("Scaled {direction} replica set {name} from {from} to {to}");
        self.context.recorder.event(self.deployment, Severity::Normal, "ScalingReplicaSet", message);
    }

    /// Deletes the oldest of the sets that only history needs, beyond what history should hold.
    async fn forget_history(&self, new: &ReplicaSet, sets: &Sets) -> Result<(), Error> {
        let done = asked(new) == self.goal.replicas && status::available(new) >= self.goal.replicas;
        let limit = self.deployment.spec.revision_history_limit;
        let limit = limit.map_or(DEFAULT_HISTORY, |limit| usize::try_from(limit).unwrap_or_default());
        let empty = |set: &&Arc<ReplicaSet>| {
            asked(set) == 0 && status::actual(set) == 0 && set.metadata.deletion_timestamp.is_none()
        };
        let mut history: Vec<_> = sets.old.iter().filter(empty).collect();
        if !done || history.len() <= limit {
            return Ok(());
        }
        history.sort_by_key(|set| revision::revision(set.metadata.annotations.as_ref()));
        for set in &history[..history.len() - limit] {
            let options = DeleteOptions::of_uid(set.metadata.uid.clone().unwrap_or_default());
            match self.context.client().delete::<ReplicaSet>(&Key::of(&***set), &options).await {
                Err(error) if !error.is_not_found() && !error.is_conflict() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn pause_or_resume(&self, paused: bool) -> Option<Said> {
        self.deployment.spec.progress_deadline_seconds?;
        let noted = status::progress_reason(self.deployment.status.as_ref()) == Some("DeploymentPaused");
        match (paused, noted) {
            (true, false) => Some(Said::progress("Unknown", "DeploymentPaused", "Deployment is paused")),
            (false, true) => Some(Said::progress("Unknown", "DeploymentResumed", "Deployment is resumed")),
            _ => None,
        }
    }

    /// A Deployment that says nothing of progress yet found its set: it was there before the Deployment.
    fn found(&self, new: &ReplicaSet) -> Option<Said> {
        let silent = status::progress_reason(self.deployment.status.as_ref()).is_none();
        let name = new.metadata.name.as_deref().unwrap_or_default();
        let said =
            || Said::progress("True", "FoundNewReplicaSet", format!("Found new replica set \"{name}\""));
        (silent && self.deployment.spec.progress_deadline_seconds.is_some()).then(said)
    }

    /// Writes the status if it says anything new; when to look again if nothing happens until then.
    async fn write_status(&self, sets: &Sets, said: Option<Said>) -> Result<Option<Duration>, Error> {
        let (now, key) = (Timestamp::now(), Key::of(self.deployment));
        let age = |since: Timestamp| self.ages.since(&key, since);
        let mut status = status::status(self.deployment, sets, &age, now);
        if let Some(said) = said {
            status::set_progress(&mut status, said, now);
        }
        let again = status::look_again(self.deployment, &status, &age);
        self.replace_status(status).await?;
        Ok(again)
    }

    async fn replace_status(&self, status: DeploymentStatus) -> Result<(), Error> {
        if self.deployment.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let updated = Deployment { status: Some(status), ..self.deployment.clone() };
        self.context.write_status(&updated).await
    }
}

fn size(set: &Arc<ReplicaSet>) -> Size {
    let most = revision::annotation(set.metadata.annotations.as_ref(), revision::MOST);
    Size {
        replicas: asked(set),
        available: status::available(set),
        max_when_scaled: most.and_then(|most| most.parse().ok()),
    }
}
