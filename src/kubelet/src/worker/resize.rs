//! Giving running containers the amounts that the pod asks for now.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::admit::Room;
use crate::member::{Kind, Member, members};
use crate::record::{Cause, Record, id};
use crate::resize::{self, Change, Delay};
use crate::status;

use super::Worker;
use super::done::Done;

/// How soon to try again what the kernel refused.
const AGAIN: Duration = Duration::from_secs(10);

/// Where a change of the pod's amounts is.
#[derive(Debug)]
pub(super) struct Resizing {
    under_way: bool,
    /// The pod as a whole is not limited: containers are yet to start anew with other amounts.
    open: bool,
    /// Why it has not come about.
    pub(super) delay: Option<Delay>,
    after: Option<Instant>,
    /// Told when other pods have gone or have become smaller.
    pub(super) room: watch::Receiver<()>,
}

impl Resizing {
    pub(super) fn new(room: watch::Receiver<()>) -> Self {
        Self { under_way: false, open: false, delay: None, after: None, room }
    }

    pub(super) fn waits_for_room(&self) -> bool {
        matches!(self.delay, Some(Delay::Deferred(_)))
    }
}

impl Worker {
    /// Begins what is to be changed; when to try again, if that has failed.
    pub(super) fn resize(&mut self, spec: &PodSpec, now: Instant) -> Option<Instant> {
        if self.resizing.under_way || self.is_ending() {
            return None;
        }
        let changes = self.other_amounts(spec);
        if changes.is_empty() && !(self.resizing.open && self.is_settled()) {
            self.resizing.delay = None;
            return None;
        }
        if let Some(after) = self.resizing.after.filter(|after| *after > now) {
            return Some(after);
        }
        self.resizing.room.mark_unchanged();
        self.resizing.delay = self.lacks(spec);
        if self.resizing.delay.is_none() {
            self.change(spec, changes);
        }
        None
    }

    /// Whether nothing is on its way up or down.
    fn is_settled(&self) -> bool {
        let condemned = |record: &Record| record.running().is_some_and(|running| running.condemned.is_some());
        self.records.values().all(|record| record.busy.is_none() && !condemned(record))
    }

    /// The running containers that ask for other amounts than they have, with the resources that differ.
    fn other_amounts(&self, spec: &PodSpec) -> Vec<(Container, Vec<&'static str>)> {
        let of = |member: Member<'_>| {
            let record = self.records.get(member.name())?;
            let changeable = matches!(member.kind, Kind::Main | Kind::Sidecar) && record.busy.is_none();
            let has = record.used.as_ref().filter(|_| changeable && record.running().is_some())?;
            let differing = resize::differing(has.resources.as_ref(), member.container.resources.as_ref());
            (!differing.is_empty()).then(|| (member.container.into_owned(), differing))
        };
        members(spec).filter_map(of).collect()
    }

    /// What the node cannot give.
    fn lacks(&self, spec: &PodSpec) -> Option<Delay> {
        let others = self.context.own_pods();
        let others = others.iter().filter(|pod| {
            let begun = pod.status.as_ref().is_some_and(|status| status.start_time.is_some());
            begun && !status::is_terminal(pod) && pod.metadata.uid.as_ref() != Some(&self.uid)
        });
        let others: Vec<PodSpec> = others.filter_map(|pod| resize::as_allocated(pod)).collect();
        let others: Vec<&PodSpec> = others.iter().collect();
        let room = Room {
            node_name: &self.context.config.node_name,
            node: None,
            allocatable: &self.context.allocatable,
            max_pods: self.context.config.max_pods,
            others: &others,
        };
        room.refuses_to_grow(spec)
    }

    fn change(&mut self, spec: &PodSpec, changes: Vec<(Container, Vec<&'static str>)>) {
        let Some(sandbox) = self.home.ready() else { return };
        let pod = sandbox.pod.spec().cgroup.clone();
        let mut change = Change { pod, spec: spec.clone(), containers: Vec::new(), open: false };
        for (container, resources) in changes {
            let Some(record) = self.records.get_mut(&container.name) else { continue };
            if resize::restarts(&container, &resources) {
                record.running_mut().into_iter().for_each(|running| running.condemned = Some(Cause::Resized));
                change.open = true;
            } else {
                change.containers.push((id(&container.name, record.restarts()), container));
            }
        }
        self.resizing.under_way = true;
        self.resizing.open = change.open;
        let context = Arc::clone(&self.context);
        self.jobs.spawn_blocking(move || {
            let changed = change.apply(&context.hierarchy);
            let containers = change.containers.into_iter().map(|(_, container)| container);
            Done::Resized(
                containers.map(|container| (container.name, container.resources)).collect(),
                changed,
            )
        });
    }

    pub(super) fn resized(
        &mut self,
        containers: Vec<(String, Option<ResourceRequirements>)>,
        changed: Result<(), String>,
    ) {
        self.resizing.under_way = false;
        if let Err(error) = changed {
            self.resizing.delay = Some(Delay::Failed(error));
            self.resizing.after = Some(Instant::now() + AGAIN);
            return;
        }
        self.resizing.after = None;
        for (name, resources) in containers {
            if let Some(used) = self.records.get_mut(&name).and_then(|record| record.used.as_mut()) {
                used.resources = resources;
            }
        }
        self.context.room.send_replace(());
    }

    /// The pod as it may be now: a container that starts while a change waits gets what it had.
    pub(super) fn granted(&self) -> Arc<Pod> {
        let mut pod = self.spec();
        if !matches!(self.resizing.delay, Some(Delay::Infeasible(_) | Delay::Deferred(_))) {
            return pod;
        }
        let spec = Arc::make_mut(&mut pod).spec.get_or_insert_default();
        for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
            let used = self.records.get(&container.name).and_then(|record| record.used.as_ref());
            container.resources = used.map_or(container.resources.take(), |used| used.resources.clone());
        }
        pod
    }
}
