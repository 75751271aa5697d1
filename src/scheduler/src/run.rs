//! The one task that decides.
//!
//! What happens in the cluster is looked at before the next decision is made: a decision is never made on a state that
//! is known to be old. Decisions are carried out side by side, so many at a time; while as many are under way, no
//! further pod is decided about.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use client::{Caches, Change, Client, Error, Key, Recorder, Severity};
use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use task::{Tasks, causes};
use tracing::{debug, warn};

use crate::act::{self, Nomination, Reason, SCHEDULER};
use crate::cluster::{Cluster, node_of};
use crate::decide::{Unfit, decide};
use crate::demand::Demand;
use crate::facts::PodFacts;
use crate::filter::{Blocker, Refusal};
use crate::preemption::{self, Budget, NoPlan, Plan};
use crate::queue::{Happening, Queue};

/// Decisions being carried out at once: enough for the API server to commit them together.
const UNDER_WAY: usize = 64;

/// Gives nodes to pods for ever.
pub async fn run(caches: Caches, recorder: Recorder) {
    synced(&caches).await;
    let scheduler = Scheduler {
        client: caches.client().clone(),
        caches,
        recorder,
        cluster: Cluster::default(),
        queue: Queue::default(),
        under_way: Tasks::new(),
    };
    scheduler.run().await;
}

/// Before all of these are known, a decision would be about an imagined cluster.
async fn synced(caches: &Caches) {
    caches.of::<Node>().synced().await;
    caches.of::<Pod>().synced().await;
    caches.of::<Namespace>().synced().await;
    caches.of::<Service>().synced().await;
    caches.of::<ReplicaSet>().synced().await;
    caches.of::<StatefulSet>().synced().await;
    caches.of::<PersistentVolumeClaim>().synced().await;
    caches.of::<PersistentVolume>().synced().await;
    caches.of::<StorageClass>().synced().await;
    caches.of::<PodDisruptionBudget>().synced().await;
}

struct Scheduler {
    client: Client,
    caches: Caches,
    recorder: Recorder,
    cluster: Cluster,
    queue: Queue,
    under_way: Tasks<Outcome>,
}

/// How carrying out a decision ended.
enum Outcome {
    Bound(Arc<PodFacts>, Result<(), Error>),
    /// Why a pod waits was told, or nobody could be told.
    Told,
    /// Those who were to make room could not all be evicted.
    NoRoom(Arc<PodFacts>),
}

impl Scheduler {
    async fn run(mut self) {
        let mut nodes = self.caches.of::<Node>().changes();
        let mut pods = self.caches.of::<Pod>().changes();
        let mut namespaces = self.caches.of::<Namespace>().changes();
        let mut claims = self.caches.of::<PersistentVolumeClaim>().changes();
        let mut volumes = self.caches.of::<PersistentVolume>().changes();
        let mut classes = self.caches.of::<StorageClass>().changes();
        loop {
            let free = self.under_way.len() < UNDER_WAY;
            tokio::select! {
                biased;
                change = nodes.next() => self.node_changed(change),
                change = namespaces.next() => self.namespace_changed(&change),
                _ = claims.next() => self.queue.happened(Happening::Volumes),
                _ = volumes.next() => self.queue.happened(Happening::Volumes),
                _ = classes.next() => self.queue.happened(Happening::Volumes),
                change = pods.next() => self.pod_changed(change),
                Some(ended) = self.under_way.next() => self.ended(ended.output),
                key = self.queue.next(), if free => self.attempt(&key),
            }
        }
    }

    fn rebuild(&mut self) {
        let pods: Vec<_> =
            self.caches.of::<Pod>().list().into_iter().filter(|pod| !is_finished(pod)).collect();
        self.cluster.rebuild(self.caches.of::<Node>().list(), &pods);
    }

    fn node_changed(&mut self, change: Change<Node>) {
        match change {
            Change::Modified { old, new } => {
                for happening in self.cluster.renew(&old, &new) {
                    self.queue.happened(happening);
                }
            }
            // Rare, and pods that were there before their node must be found again.
            Change::Added(_) | Change::Resync => {
                self.rebuild();
                self.queue.happened(Happening::NodeAdded);
            }
            Change::Deleted(_) => {
                self.rebuild();
                self.queue.happened(Happening::NodeGone);
            }
        }
    }

    fn namespace_changed(&mut self, change: &Change<Namespace>) {
        if let Change::Modified { old, new } = change
            && old.metadata.labels == new.metadata.labels
        {
            return;
        }
        self.cluster.set_namespaces(&self.caches.of::<Namespace>().list());
        self.queue.happened(Happening::Namespaces);
    }

    fn pod_changed(&mut self, change: Change<Pod>) {
        match change {
            Change::Resync => self.resync(),
            Change::Added(pod) => self.pod_is(None, &pod),
            Change::Modified { old, new } => {
                if old.metadata.uid != new.metadata.uid {
                    self.pod_gone(&old);
                    self.pod_is(None, &new);
                } else {
                    self.pod_is(Some(&old), &new);
                }
            }
            Change::Deleted(pod) => self.pod_gone(&pod),
        }
    }

    fn resync(&mut self) {
        let pods = self.caches.of::<Pod>().list();
        self.rebuild();
        for key in self.queue.keys() {
            if !self.caches.of::<Pod>().get(&key).is_some_and(|pod| waits_for_us(&pod)) {
                self.queue.forget(&key);
            }
        }
        pods.iter().filter(|pod| waits_for_us(pod)).for_each(|pod| self.enqueue(pod));
        self.queue.happened(Happening::NodeAdded);
    }

    fn pod_gone(&mut self, pod: &Pod) {
        self.cluster.remove(pod);
        self.queue.forget(&Key::of(pod));
        self.queue.happened(Happening::PodGone);
    }

    fn pod_is(&mut self, old: Option<&Pod>, pod: &Arc<Pod>) {
        if is_finished(pod) {
            return self.pod_gone(pod);
        }
        self.cluster.put(pod);
        let labels_changed = old.is_some_and(|old| old.metadata.labels != pod.metadata.labels);
        if node_of(pod).is_some() {
            self.queue.forget(&Key::of(&**pod));
            if old.is_none_or(|old| node_of(old).is_none()) {
                self.queue.happened(Happening::PodPlaced);
            } else if old.is_some_and(|old| old.spec != pod.spec) {
                self.queue.happened(Happening::PodGone);
            }
            if labels_changed {
                self.queue.happened(Happening::PodLabels);
            }
        } else if waits_for_us(pod) {
            self.enqueue(pod);
            if labels_changed || old.is_some_and(|old| old.spec != pod.spec) {
                self.queue.retry(&Key::of(&**pod));
            }
        } else {
            self.queue.forget(&Key::of(&**pod));
        }
    }

    /// Queues a pod, or says what it waits for before it may be queued.
    fn enqueue(&mut self, pod: &Arc<Pod>) {
        let spec = pod.spec.as_ref();
        if spec.is_some_and(|spec| spec.scheduling_gates.iter().flatten().next().is_some()) {
            let message = "Scheduling is blocked due to non-empty scheduling gates".to_string();
            return self.tell(pod.clone(), Reason::SchedulingGated, message, Nomination::Keep);
        }
        self.queue.add(Key::of(&**pod), spec.and_then(|spec| spec.priority).unwrap_or_default());
    }

    fn attempt(&mut self, key: &Key) {
        let pod = self.caches.of::<Pod>().get(key).filter(|pod| waits_for_us(pod));
        let Some(pod) = pod.filter(|_| !self.cluster.is_assumed(key)) else {
            return self.queue.forget(key);
        };
        let facts = Arc::new(PodFacts::new(pod));
        match Demand::read(facts.clone(), &self.caches) {
            Err(reason) => {
                let nodes = self.cluster.snapshot.nodes().len();
                self.refuse(&facts, &Unfit::Anywhere { blocker: Blocker::Volumes, reason, nodes });
            }
            Ok(demand) => match decide(&demand, &self.cluster.snapshot, &self.cluster.nominations, random) {
                Ok(node) => self.bind(facts, node),
                Err(Unfit::Nodes(refusals)) => self.make_room(&demand, refusals),
                Err(unfit) => self.refuse(&facts, &unfit),
            },
        }
    }

    fn bind(&mut self, pod: Arc<PodFacts>, node: String) {
        self.cluster.assume(pod.clone(), &node);
        let (client, recorder) = (self.client.clone(), self.recorder.clone());
        self.under_way.spawn("bind", async move {
            let bound = act::bind(&client, &recorder, &pod, &node).await;
            Outcome::Bound(pod, bound)
        });
    }

    /// Evicts others for a pod where that helps; it is tried again when they are gone.
    fn make_room(&mut self, demand: &Demand, refusals: BTreeMap<String, Refusal>) {
        let budgets = self.caches.of::<PodDisruptionBudget>().list();
        let budgets: Vec<_> = budgets.iter().map(|budget| Budget::of(budget)).collect();
        let Cluster { snapshot, nominations, .. } = &self.cluster;
        let planned = preemption::plan(demand, snapshot, &refusals, &budgets, nominations);
        let (pod, unfit) = (&demand.pod, Unfit::Nodes(refusals));
        match planned {
            Ok(plan) => {
                self.cluster.nominations.add(&plan.node, pod.clone());
                self.wait(pod, &unfit, unfit.message(), Nomination::Node(plan.node.clone()));
                self.evict(pod.clone(), plan);
            }
            Err(NoPlan::NotNow(why)) => {
                self.wait(pod, &unfit, format!("{} preemption: {why}", unfit.message()), Nomination::Keep);
            }
            Err(NoPlan::Useless(why)) => {
                self.cluster.nominations.remove(&pod.key);
                self.wait(pod, &unfit, format!("{} preemption: {why}", unfit.message()), Nomination::Clear);
            }
        }
    }

    fn evict(&mut self, preemptor: Arc<PodFacts>, plan: Plan) {
        let (client, recorder) = (self.client.clone(), self.recorder.clone());
        self.under_way.spawn("evict", async move {
            if let Err(error) = act::evict(&client, &recorder, &preemptor, &plan).await {
                warn!(pod = %preemptor.key, node = plan.node, error = %causes(&error), "cannot make room");
                return Outcome::NoRoom(preemptor);
            }
            Outcome::Told
        });
    }

    /// A pod that no node and no eviction can help.
    fn refuse(&mut self, pod: &Arc<PodFacts>, unfit: &Unfit) {
        self.cluster.nominations.remove(&pod.key);
        self.wait(pod, unfit, unfit.message(), Nomination::Clear);
    }

    fn wait(&mut self, pod: &PodFacts, unfit: &Unfit, message: String, nomination: Nomination) {
        self.queue.stuck(&pod.key, unfit.blockers());
        self.recorder.event(&*pod.pod, Severity::Warning, "FailedScheduling", message.clone());
        self.tell(pod.pod.clone(), Reason::Unschedulable, message, nomination);
    }

    fn tell(&mut self, pod: Arc<Pod>, reason: Reason, message: String, nomination: Nomination) {
        let client = self.client.clone();
        self.under_way.spawn("explain", async move {
            if let Err(error) = act::explain(&client, &pod, reason, &message, &nomination).await {
                debug!(pod = %Key::of(&*pod), %error, "cannot say why a pod waits");
            }
            Outcome::Told
        });
    }

    fn ended(&mut self, outcome: Outcome) {
        match outcome {
            // The cache shows it, or soon will.
            Outcome::Bound(_, Ok(())) | Outcome::Told => {}
            Outcome::Bound(pod, Err(error)) => self.not_bound(&pod, &error),
            Outcome::NoRoom(preemptor) => self.queue.retry(&preemptor.key),
        }
    }

    fn not_bound(&mut self, pod: &PodFacts, error: &Error) {
        if !self.cluster.disown_pod(pod) {
            return;
        }
        self.queue.retry(&pod.key);
        if !act::is_gone(error) {
            let message = format!("binding rejected: {error}");
            self.recorder.event(&*pod.pod, Severity::Warning, "FailedScheduling", message.clone());
            self.tell(pod.pod.clone(), Reason::SchedulerError, message, Nomination::Keep);
        }
    }
}

fn is_finished(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn waits_for_us(pod: &Pod) -> bool {
    let scheduler = pod.spec.as_ref().and_then(|spec| spec.scheduler_name.as_deref());
    scheduler.unwrap_or(SCHEDULER) == SCHEDULER
        && node_of(pod).is_none()
        && pod.metadata.deletion_timestamp.is_none()
        && !is_finished(pod)
}

/// Below `count`, which is not 0. `RandomState` is seeded by the system: enough for ties.
fn random(count: usize) -> usize {
    let random = RandomState::new().hash_one(()) % u64::try_from(count).unwrap_or(u64::MAX).max(1);
    usize::try_from(random).unwrap_or_default()
}
