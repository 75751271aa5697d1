//! One worker for each pod of this node that has anything left to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;

use client::{Change, Key};
use k8s_openapi::api::core::v1::{Node, Pod};
use task::causes;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admit::{Room, admit};
use crate::context::Context;
use crate::resize;
use crate::resources::{Qos, class_cgroup, requests_of_pod, shares};
use crate::status::{Verdict, is_terminal};
use crate::worker::{Wanted, Worker};

pub(super) struct Dispatch {
    context: Arc<Context>,
    /// By the pods' uids.
    workers: BTreeMap<String, watch::Sender<Wanted>>,
    running: JoinSet<(String, Option<String>)>,
    /// Weight of the class of pods that ask for less than they may use.
    burstable: u64,
}

impl Dispatch {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, workers: BTreeMap::new(), running: JoinSet::new(), burstable: 0 }
    }

    pub(super) fn uids(&self) -> BTreeSet<String> {
        self.workers.keys().cloned().collect()
    }

    pub(super) fn change(&mut self, change: &Change<Pod>) {
        match change {
            Change::Added(pod) => self.update(pod),
            Change::Modified { old, new } => {
                // A pod of the same name took its place unseen.
                if old.metadata.uid != new.metadata.uid {
                    self.gone(old);
                }
                self.update(new);
            }
            Change::Deleted(pod) => self.gone(pod),
            Change::Resync => self.resync(),
        }
        self.weigh_burstable();
    }

    fn resync(&mut self) {
        let pods = self.context.own_pods();
        let known: BTreeSet<_> = pods.iter().filter_map(|pod| pod.metadata.uid.clone()).collect();
        for (_, worker) in self.workers.iter().filter(|(uid, _)| !known.contains(*uid)) {
            worker.send_modify(|wanted| wanted.gone = true);
        }
        // Those that have begun are there already when others ask for room.
        let (begun, new): (Vec<_>, Vec<_>) = pods.iter().partition(|pod| has_begun(pod));
        begun.into_iter().chain(new).for_each(|pod| self.update(pod));
    }

    fn update(&mut self, pod: &Arc<Pod>) {
        let Some(uid) = pod.metadata.uid.clone().filter(|_| self.context.is_own(pod)) else { return };
        if let Some(worker) = self.workers.get(&uid) {
            worker.send_modify(|wanted| wanted.pod = Arc::clone(pod));
            return;
        }
        if is_terminal(pod) && pod.metadata.deletion_timestamp.is_none() && !self.has_left_something(&uid) {
            return;
        }
        let mut rejected = if has_begun(pod) { None } else { self.admit(pod) };
        if let Some(Verdict { reason, message }) = &mut rejected {
            self.context.events(pod).pod(client::Severity::Warning, reason, message.as_str());
            message.insert_str(0, "Pod was rejected: ");
        }
        self.spawn(uid, Wanted { pod: Arc::clone(pod), gone: false, rejected, from_disk: false });
    }

    fn gone(&mut self, pod: &Arc<Pod>) {
        let Some(uid) = pod.metadata.uid.clone().filter(|_| self.context.is_own(pod)) else { return };
        match self.workers.get(&uid) {
            Some(worker) => worker.send_modify(|wanted| wanted.gone = true),
            // At least its logs are left.
            None => {
                self.spawn(
                    uid,
                    Wanted { pod: Arc::clone(pod), gone: true, rejected: None, from_disk: false },
                );
            }
        }
    }

    fn has_left_something(&self, uid: &str) -> bool {
        let folder = self.context.volumes.folder(uid);
        self.context.pods.get(uid).is_some() || folder.is_ok_and(|folder| folder.exists())
    }

    fn spawn(&mut self, uid: String, wanted: Wanted) {
        if takes_room(&wanted) {
            // What is on disk is what it was given.
            let spec =
                if wanted.from_disk { wanted.pod.spec.clone() } else { resize::as_allocated(&wanted.pod) };
            self.context.granted.recall(&uid, spec.unwrap_or_default());
        }
        let (sender, receiver) = watch::channel(wanted);
        let worker = Worker::new(Arc::clone(&self.context), receiver);
        self.workers.insert(uid.clone(), sender);
        self.running.spawn(async move {
            let seen = Box::pin(worker.run()).await;
            (uid, seen)
        });
    }

    fn admit(&self, pod: &Pod) -> Option<Verdict> {
        let (uid, spec) = (pod.metadata.uid.as_deref()?, pod.spec.as_ref()?);
        let name = &self.context.config.node_name;
        let node = self.context.caches.of::<Node>().get(&Key::new("", name));
        self.context.granted.grant(uid, spec, |others| {
            let room = Room {
                node_name: name,
                node: node.as_deref(),
                allocatable: &self.context.allocatable,
                max_pods: self.context.config.max_pods,
                others,
            };
            admit(pod, &room)
        })
    }

    /// Waits for a worker that has nothing left to do, and for ever when there is none. Cancel safe.
    pub(super) async fn ended(&mut self) {
        match self.running.join_next().await {
            None => pending().await,
            Some(Ok((uid, seen))) => self.retire(&uid, seen.as_deref()),
            Some(Err(error)) => {
                if error.is_panic() {
                    std::panic::resume_unwind(error.into_panic());
                }
            }
        }
    }

    /// What the worker did not see any more is another one's work.
    fn retire(&mut self, uid: &str, seen: Option<&str>) {
        let Some(worker) = self.workers.remove(uid) else { return };
        self.context.granted.forget(uid);
        self.context.room.send_replace(());
        let wanted = worker.borrow().clone();
        if wanted.gone {
            return;
        }
        if wanted.pod.metadata.resource_version.as_deref() != seen {
            self.update(&wanted.pod);
        }
        self.weigh_burstable();
    }

    /// Takes over what runs already, at once: its probes go on, whether a server answers or not.
    pub(super) fn take_running(&mut self, saved: &[Pod]) {
        let alive =
            |pod: &&Pod| pod.metadata.uid.as_deref().is_some_and(|uid| self.context.pods.get(uid).is_some());
        let running: Vec<_> = saved.iter().filter(alive).cloned().collect();
        self.take_all(&running);
    }

    /// Starts what is on disk. Each was admitted before.
    pub(super) fn take_all(&mut self, saved: &[Pod]) {
        for pod in saved {
            let Some(uid) = pod.metadata.uid.clone() else { continue };
            if !self.workers.contains_key(&uid) && self.context.is_own(pod) {
                self.spawn(
                    uid,
                    Wanted { pod: Arc::new(pod.clone()), gone: false, rejected: None, from_disk: true },
                );
            }
        }
        self.weigh_burstable();
    }

    /// The server has told of all its pods: others on disk were deleted meanwhile.
    pub(super) fn forget_unknown(&mut self, saved: &[Pod]) {
        let known: BTreeSet<_> =
            self.context.own_pods().iter().filter_map(|pod| pod.metadata.uid.clone()).collect();
        for pod in saved {
            let unknown = pod.metadata.uid.as_ref().is_some_and(|uid| !known.contains(uid));
            if unknown {
                self.gone(&Arc::new(pod.clone()));
            }
        }
    }

    /// Burstable pods together weigh what they ask for together.
    fn weigh_burstable(&mut self) {
        let granted = &self.context.granted;
        let taken = self.workers.iter().map(|(uid, worker)| granted.of(uid, &worker.borrow().pod));
        let burstable = taken.filter(|pod| Qos::of(pod) == Qos::Burstable && !is_terminal(pod));
        let asked = burstable.filter_map(|pod| Some(requests_of_pod(pod.spec.as_ref()?).cpu));
        let weight = shares(asked.fold(0_i64, i64::saturating_add));
        if weight == self.burstable {
            return;
        }
        let path = class_cgroup(&self.context.config.cgroup_root, Qos::Burstable);
        let group = oci::cgroup::Cgroup::new(&self.context.hierarchy, path);
        let limits = oci::cgroup::Limits { cpu_shares: Some(weight), ..oci::cgroup::Limits::default() };
        match group.limit(&limits) {
            Ok(()) => self.burstable = weight,
            Err(error) => {
                tracing::warn!(error = %causes(&error), "burstable pods do not get the weight they ask for");
            }
        }
    }
}

/// A pod that this node took before is not asked again.
fn has_begun(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(|status| status.start_time.is_some())
}

fn takes_room(wanted: &Wanted) -> bool {
    wanted.rejected.is_none() && !is_terminal(&wanted.pod)
}
