//! StatefulSet: pods with names of their own, one after the other, each with its own volumes.
//!
//! ```text
//! run ─▶ reconcile ─▶ claim pods, read history ─▶ tell apart ─▶ next actions (pure) ─▶ act ─▶ status
//! ```

mod claims;
mod identity;
mod status;
mod step;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::selector::LabelSelector;
use client::{DeleteOptions, Error, Key, Queue, Severity};
use futures_util::future::join4;
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};

use self::identity::Ranks;
use self::step::{Action, Goal};
use crate::context::Context;
use crate::feed::feed;
use crate::history::{self, History};
use crate::work::side_by_side;
use crate::{owner, pod, template};

const HASH_LABEL: &str = "controller.kubernetes.io/hash";
const DEFAULT_HISTORY: i32 = 10;

pub(crate) async fn run(context: Context) {
    let queue = Queue::default();
    let caches = &context.caches;
    let sets = caches.of::<StatefulSet>();
    let own = feed(sets.clone(), queue.clone(), |set: &StatefulSet| [Key::of(set)]);
    let pods = feed(caches.of::<Pod>(), queue.clone(), move |pod: &Pod| {
        owner::concerned(&sets, |set| Some(&set.spec.selector), &pod.metadata)
    });
    let revisions =
        feed(caches.of::<ControllerRevision>(), queue.clone(), |revision: &ControllerRevision| {
            owner::controller_key::<StatefulSet>(&revision.metadata)
        });
    join4(own, pods, revisions, side_by_side(&queue, "StatefulSet", |key| reconcile(&context, key))).await;
}

async fn reconcile(context: &Context, key: Key) -> Result<Option<Duration>, Error> {
    let (sets, pods) = (context.caches.of::<StatefulSet>(), context.caches.of::<Pod>());
    pods.synced().await;
    let Some(set) = sets.get(&key) else { return Ok(None) };
    let Ok(selector) = LabelSelector::of(Some(&set.spec.selector)) else { return Ok(None) };
    let now = history::Now {
        template: &set.spec.template,
        collisions: set.status.as_ref().and_then(|status| status.collision_count).unwrap_or_default(),
        hash_label: HASH_LABEL,
    };
    let Some(history) = history::read(context, &*set, &selector, &now).await? else {
        return count_collision(context, &set).await;
    };
    let mut candidates = pods.list_in(&key.namespace);
    // A pod of another name cannot be one of ours, whatever its labels.
    candidates.retain(|pod| identity::ordinal(&set, pod).is_some());
    let pods = owner::Claimer::new(context.client(), &*set, &selector).claim(candidates).await?;
    Look { context, set: &set, history: &history }.work(pods).await
}

/// Another template has the name of our revision: the next one is made with another hash.
async fn count_collision(context: &Context, set: &StatefulSet) -> Result<Option<Duration>, Error> {
    let mut updated = set.clone();
    let status = updated.status.get_or_insert_default();
    status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
    let written = context.client().update_status(&updated).await?;
    context.caches.of::<StatefulSet>().seen(&written.metadata).await;
    Ok(None)
}

fn name_of(revision: &ControllerRevision) -> Option<&str> {
    revision.metadata.name.as_deref()
}

/// One look at one StatefulSet.
struct Look<'a> {
    context: &'a Context,
    set: &'a StatefulSet,
    history: &'a History,
}

impl Look<'_> {
    async fn work(&self, pods: Vec<Arc<Pod>>) -> Result<Option<Duration>, Error> {
        let update = name_of(&self.history.current).unwrap_or_default();
        let age = self.context.ages.of_pods();
        let goal = Goal::of(self.set, update, &age);
        let acted = match self.set.metadata.deletion_timestamp {
            Some(_) => Ok(()),
            None => self.act(&goal, &pods).await,
        };
        let pods = self.pods();
        // Before they are counted, as in a ReplicaSet.
        let next = pod::next_available(&pods, self.set.spec.min_ready_seconds.unwrap_or_default(), &age);
        let status = status::status(self.set, name_of(self.before()), update, &goal, &pods);
        let current = status.current_revision.clone().unwrap_or_default();
        self.write_status(status).await?;
        acted?;
        let mut used: BTreeSet<&str> = pods.iter().filter_map(|pod| identity::revision(pod)).collect();
        used.insert(&current);
        let limit = self.set.spec.revision_history_limit.unwrap_or(DEFAULT_HISTORY);
        let limit = usize::try_from(limit).unwrap_or_default();
        self.history.forget(self.context, limit, name_of, &used).await?;
        Ok(next)
    }

    /// The pods after what was done.
    fn pods(&self) -> Vec<Arc<Pod>> {
        let cache = self.context.caches.of::<Pod>();
        let mut pods = cache.list_in(self.set.metadata.namespace.as_deref().unwrap_or_default());
        pods.retain(|pod| owner::is_controlled_by(&pod.metadata, &self.set.metadata));
        pods
    }

    /// The revision that was complete last: what an update goes away from.
    fn before(&self) -> &ControllerRevision {
        let name = self.set.status.as_ref().and_then(|status| status.current_revision.as_deref());
        let known = self.history.old.iter().find(|revision| name.is_some() && name_of(revision) == name);
        known.unwrap_or(&self.history.current)
    }

    async fn act(&self, goal: &Goal<'_>, pods: &[Arc<Pod>]) -> Result<(), Error> {
        let ranks = Ranks::of(self.set, pods);
        for (ordinal, pod) in &ranks.staying {
            claims::settle(self.context, self.set, *ordinal, None).await?;
            if pod::phase(pod) == "Pending" {
                claims::make(self.context, self.set, *ordinal).await?;
            }
        }
        for action in step::next(goal, &ranks) {
            match action {
                Action::Create { ordinal, before } => self.create(ordinal, before).await?,
                Action::Replace(pod) => {
                    self.tell_replaced(&pod);
                    self.delete(&pod).await?;
                }
                Action::Condemn { ordinal, pod } => {
                    claims::settle(self.context, self.set, ordinal, Some(&pod)).await?;
                    self.delete(&pod).await?;
                }
                Action::Update(pod) => self.delete(&pod).await?,
            }
        }
        Ok(())
    }

    async fn create(&self, ordinal: i32, before: bool) -> Result<(), Error> {
        claims::make(self.context, self.set, ordinal).await?;
        let revision = if before { self.before() } else { &self.history.current };
        let template = template::of_patch(&revision.data.0);
        let template: &PodTemplateSpec = template.as_ref().unwrap_or(&self.set.spec.template);
        let pod = identity::pod(self.set, template, name_of(revision).unwrap_or_default(), ordinal);
        let (pod_name, set_name) = (Key::of(&pod).name, Key::of(self.set).name);
        match self.context.client().create(&pod).await {
            Ok(made) => {
                self.context.caches.of::<Pod>().seen(&made.metadata).await;
                let message = format!("create Pod {pod_name} in StatefulSet {set_name} successful");
                self.context.recorder.event(self.set, Severity::Normal, "SuccessfulCreate", message);
                Ok(())
            }
            Err(error) if error.is_namespace_terminating() => Ok(()),
            Err(error) => {
                let message =
                    format!("create Pod {pod_name} in StatefulSet {set_name} failed error: {error}");
                self.context.recorder.event(self.set, Severity::Warning, "FailedCreate", message);
                Err(error)
            }
        }
    }

    async fn delete(&self, pod: &Pod) -> Result<(), Error> {
        let (key, set_name) = (Key::of(pod), Key::of(self.set).name);
        let options = DeleteOptions::of_uid(pod.metadata.uid.clone().unwrap_or_default());
        match self.context.client().delete::<Pod>(&key, &options).await {
            Ok(()) => {
                let message = format!("delete Pod {} in StatefulSet {set_name} successful", key.name);
                self.context.recorder.event(self.set, Severity::Normal, "SuccessfulDelete", message);
                self.context.caches.of::<Pod>().shows(&key, |shown| pod::is_deleted(pod, shown)).await;
                Ok(())
            }
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            Err(error) => {
                let message =
                    format!("delete Pod {} in StatefulSet {set_name} failed error: {error}", key.name);
                self.context.recorder.event(self.set, Severity::Warning, "FailedDelete", message);
                Err(error)
            }
        }
    }

    fn tell_replaced(&self, pod: &Pod) {
        let (set, pod_name) = (Key::of(self.set), Key::of(pod).name);
        let (severity, reason, what) = match pod::phase(pod) {
            "Failed" => (Severity::Warning, "RecreatingFailedPod", "failed"),
            _ => (Severity::Normal, "RecreatingTerminatedPod", "terminated"),
        };
        let message = format!("StatefulSet {set} is recreating {what} Pod {pod_name}");
        self.context.recorder.event(self.set, severity, reason, message);
    }

    async fn write_status(&self, status: StatefulSetStatus) -> Result<(), Error> {
        let status = Some(status);
        if self.set.status == status {
            return Ok(());
        }
        self.context.write_status(&StatefulSet { status, ..self.set.clone() }).await
    }
}
