//! DaemonSet: one pod on every node that fits.
//!
//! ```text
//! run ─▶ reconcile ─▶ claim pods, read history ─▶ places ─▶ manage, then update (pure) ─▶ make and delete ─▶ status
//! ```

mod placement;
mod rollout;
mod setbacks;
mod status;

use std::sync::Arc;
use std::time::Duration;

use api::selector::LabelSelector;
use client::{Change, Error, Key, Queue, Severity};
use futures_util::future::join5;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{Node, Pod, PodSpec};
use tokio::time::Instant;
use tracing::warn;

use self::placement::node_of;
use self::rollout::{Goal, Place, Places, Plan};
use self::setbacks::Setbacks;
use crate::context::Context;
use crate::feed::feed;
use crate::history::{self, History};
use crate::work::side_by_side;
use crate::{make_pods, owner, pod};

const HASH_LABEL: &str = "controller-revision-hash";
const GENERATION_LABEL: &str = "pod-template-generation";
const GENERATION: &str = "deprecated.daemonset.template.generation";
/// Pods made or deleted at one look.
const MOST_AT_ONCE: usize = 250;
const DEFAULT_HISTORY: i32 = 10;

pub(crate) async fn run(context: Context) {
    let queue = Queue::default();
    let (caches, setbacks) = (&context.caches, Setbacks::default());
    let sets = caches.of::<DaemonSet>();
    let own = feed(sets.clone(), queue.clone(), |set: &DaemonSet| [Key::of(set)]);
    let pods = feed(caches.of::<Pod>(), queue.clone(), move |pod: &Pod| {
        owner::concerned(&sets, |set| Some(&set.spec.selector), &pod.metadata)
    });
    let revisions =
        feed(caches.of::<ControllerRevision>(), queue.clone(), |revision: &ControllerRevision| {
            owner::controller_key::<DaemonSet>(&revision.metadata)
        });
    let work = side_by_side(&queue, "DaemonSet", |key| reconcile(&context, &setbacks, key));
    join5(own, pods, revisions, feed_nodes(&context, &queue), work).await;
}

/// A node that comes, goes or changes what decides on placement has every DaemonSet looked at.
async fn feed_nodes(context: &Context, queue: &Queue<Key>) {
    let mut changes = context.caches.of::<Node>().changes();
    loop {
        let matters = match changes.next().await {
            Change::Modified { old, new } => {
                let taints = |node: &Node| node.spec.as_ref().and_then(|spec| spec.taints.clone());
                old.metadata.labels != new.metadata.labels || taints(&old) != taints(&new)
            }
            Change::Added(_) | Change::Deleted(_) | Change::Resync => true,
        };
        if matters {
            context.caches.of::<DaemonSet>().keys().into_iter().for_each(|key| queue.add(key));
        }
    }
}

async fn reconcile(context: &Context, setbacks: &Setbacks, key: Key) -> Result<Option<Duration>, Error> {
    let (sets, pods) = (context.caches.of::<DaemonSet>(), context.caches.of::<Pod>());
    pods.synced().await;
    context.caches.of::<Node>().synced().await;
    let Some(set) = sets.get(&key) else {
        setbacks.forget(&key);
        return Ok(None);
    };
    if set.metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    let Some(selector) = selector(context, &set) else { return Ok(None) };
    let now = history::Now {
        template: &set.spec.template,
        collisions: set.status.as_ref().and_then(|status| status.collision_count).unwrap_or_default(),
        hash_label: HASH_LABEL,
    };
    let Some(history) = history::read(context, &*set, &selector, &now).await? else {
        return count_collision(context, &set).await;
    };
    let pods =
        owner::Claimer::new(context.client(), &*set, &selector).claim(pods.list_in(&key.namespace)).await?;
    let worker = Worker { context, setbacks, set: &set, pod: daemon_pod(&set, hash(&history)) };
    worker.work(pods, &history).await
}

fn selector(context: &Context, set: &DaemonSet) -> Option<LabelSelector> {
    match LabelSelector::of(Some(&set.spec.selector)) {
        Ok(selector) if selector.is_everything() => {
            let message = "This daemon set is selecting all pods. A non-empty selector is required.";
            context.recorder.event(set, Severity::Warning, "SelectingAll", message);
            None
        }
        Ok(selector) => Some(selector),
        Err(error) => {
            warn!(set = %Key::of(set), %error, "a selector that cannot be used");
            None
        }
    }
}

fn hash(history: &History) -> &str {
    hash_of(&history.current).unwrap_or_default()
}

fn hash_of(revision: &ControllerRevision) -> Option<&str> {
    history::hash(&revision.metadata, HASH_LABEL)
}

/// Another template has the name of our revision: the next one is made with another hash.
async fn count_collision(context: &Context, set: &DaemonSet) -> Result<Option<Duration>, Error> {
    let mut updated = set.clone();
    let status = updated.status.get_or_insert_default();
    status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
    let written = context.client().update_status(&updated).await?;
    context.caches.of::<DaemonSet>().seen(&written.metadata).await;
    Ok(None)
}

/// What every pod of the set looks like before it is bound to a node.
fn daemon_pod(set: &DaemonSet, hash: &str) -> Pod {
    let mut pod = make_pods::of_template(set, &set.spec.template);
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(HASH_LABEL.into(), hash.into());
    let generation = set.metadata.annotations.as_ref().and_then(|all| all.get(GENERATION));
    let generation = generation.filter(|generation| generation.parse::<i64>().is_ok());
    labels.extend(generation.map(|generation| (GENERATION_LABEL.to_string(), generation.clone())));
    pod.spec = pod.spec.map(placement::with_tolerations);
    pod
}

/// One look at one DaemonSet.
struct Worker<'a> {
    context: &'a Context,
    setbacks: &'a Setbacks,
    set: &'a DaemonSet,
    pod: Pod,
}

impl Worker<'_> {
    async fn work(&self, pods: Vec<Arc<Pod>>, history: &History) -> Result<Option<Duration>, Error> {
        let (age, hash) = (self.context.ages.of_pods(), hash(history));
        let places = self.places(&pods);
        let goal = Goal::of(self.set, hash, &places, &age);
        // Before they are counted, as in a ReplicaSet.
        let placed = places.values().flat_map(|place| &place.pods);
        let next = pod::next_available(placed, goal.min_ready_seconds, &age);
        let mut plan = rollout::manage(&places, &goal);
        let again = self.judge_ended(&mut plan);
        if plan.create.is_empty() && plan.delete.is_empty() && self.rolls() {
            plan = rollout::update(&places, &goal);
        }
        let acted = self.act(plan).await;
        let used = pods.iter().filter_map(|pod| history::hash(&pod.metadata, HASH_LABEL)).collect();
        history.forget(self.context, self.history_limit(), hash_of, &used).await?;
        // What was just done comes back by the caches and counts then.
        self.write_status(&places, &goal).await?;
        acted?;
        Ok(again.into_iter().chain(next).min())
    }

    fn rolls(&self) -> bool {
        let strategy = self.set.spec.update_strategy.as_ref();
        strategy.and_then(|strategy| strategy.type_.as_deref()) != Some("OnDelete")
    }

    fn history_limit(&self) -> usize {
        let limit = self.set.spec.revision_history_limit;
        usize::try_from(limit.unwrap_or(DEFAULT_HISTORY)).unwrap_or_default()
    }

    /// Every node, and every pod with the node it is for.
    fn places(&self, pods: &[Arc<Pod>]) -> Places {
        static EMPTY: std::sync::LazyLock<PodSpec> = std::sync::LazyLock::new(PodSpec::default);
        let spec = self.pod.spec.as_ref().unwrap_or(&EMPTY);
        let nodes = self.context.caches.of::<Node>().list();
        let fits = |node: &Arc<Node>| {
            let place = Place { fit: Some(placement::fit(spec, node)), pods: Vec::new() };
            (node.metadata.name.clone().unwrap_or_default(), place)
        };
        let mut places: Places = nodes.iter().map(fits).collect();
        let ended = |pod: &Pod| pod::is_finished(pod) && pod.metadata.deletion_timestamp.is_some();
        for pod in pods.iter().filter(|pod| !ended(pod)) {
            if let Some(node) = node_of(pod) {
                places.entry(node.to_string()).or_default().pods.push(pod.clone());
            }
        }
        places.values_mut().for_each(|place| rollout::sort(&mut place.pods));
        places
    }

    /// Pods that ended are deleted and made anew, on each node less and less often. When to look at those that must wait.
    fn judge_ended(&self, plan: &mut Plan) -> Option<Duration> {
        let mut again = None;
        for pod in plan.ended.drain(..) {
            let (key, node) = (Key::of(&*pod), node_of(&pod).unwrap_or_default());
            if pod::phase(&pod) == "Failed" {
                if let Err(wait) = self.setbacks.allow(&Key::of(self.set), node, Instant::now()) {
                    again = again.into_iter().chain([wait]).min();
                    continue;
                }
                let message = format!("Found failed daemon pod {key} on node {node}, will try to kill it");
                self.context.recorder.event(self.set, Severity::Warning, "FailedDaemonPod", message);
            } else {
                let message =
                    format!("Found succeeded daemon pod {key} on node {node}, will try to delete it");
                self.context.recorder.event(self.set, Severity::Normal, "SucceededDaemonPod", message);
            }
            plan.delete.push(pod);
        }
        again
    }

    async fn act(&self, mut plan: Plan) -> Result<(), Error> {
        plan.create.truncate(MOST_AT_ONCE);
        plan.delete.truncate(MOST_AT_ONCE);
        let pods: Vec<Pod> = plan.create.iter().map(|node| self.pod_for(node)).collect();
        let (created, made) = make_pods::create(self.context, self.set, pods.into_iter()).await;
        for pod in created {
            self.context.caches.of::<Pod>().seen(&pod.metadata).await;
        }
        let deleted = make_pods::delete(self.context, self.set, &plan.delete).await;
        made.and(deleted)
    }

    fn pod_for(&self, node: &str) -> Pod {
        let spec = self.pod.spec.clone().map(|spec| placement::bound_to(spec, node));
        Pod { spec, ..self.pod.clone() }
    }

    async fn write_status(&self, places: &Places, goal: &Goal<'_>) -> Result<(), Error> {
        let status = Some(status::status(self.set, places, goal));
        if self.set.status == status {
            return Ok(());
        }
        self.context.write_status(&DaemonSet { status, ..self.set.clone() }).await
    }
}
