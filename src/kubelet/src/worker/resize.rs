//! Giving running containers the amounts that the pod asks for now.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use oci::cgroup::Limits;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::admit::Room;
use crate::member::{Kind, Member, members};
use crate::record::{Busy, Cause, Record, id};
use crate::resize::{self, Change, Delay};
use crate::resources::pod_limits;

use super::Worker;
use super::done::Done;

/// How soon to try again what the kernel refused.
const AGAIN: Duration = Duration::from_secs(10);

/// Where a change of the pod's amounts is.
#[derive(Debug)]
pub(super) struct Resizing {
    pub(super) under_way: bool,
    /// What the pod as a whole is limited to; none while that is not known or containers are yet to end that had other amounts.
    pub(super) applied: Option<Limits>,
    /// Why it was not given what it asks for.
    pending: Option<Delay>,
    /// Why it has not what it was given, and when to try again.
    failed: Option<(Delay, Instant)>,
    /// Told when other pods have gone or have become smaller.
    pub(super) room: watch::Receiver<()>,
}

impl Resizing {
    pub(super) fn new(room: watch::Receiver<()>) -> Self {
        Self { under_way: false, applied: None, pending: None, failed: None, room }
    }

    pub(super) fn waits_for_room(&self) -> bool {
        matches!(self.pending, Some(Delay::Deferred(_)))
    }

    /// Why the pod has not what it asks for.
    pub(super) fn delay(&self) -> Option<&Delay> {
        self.pending.as_ref().or(self.failed.as_ref().map(|(delay, _)| delay))
    }
}

impl Worker {
    /// Begins what is to be changed; when to try again, if that has failed.
    pub(super) fn resize(&mut self, spec: &PodSpec, now: Instant) -> Option<Instant> {
        if self.resizing.under_way || self.is_ending() {
            return None;
        }
        self.ask(spec);
        let granted = self.granted();
        let spec = granted.spec.as_ref()?;
        let changes = self.other_amounts(spec);
        let limited = self.resizing.applied.as_ref() == Some(&pod_limits(spec));
        if changes.is_empty() && (limited || !self.is_settled()) {
            self.resizing.failed = None;
            return None;
        }
        if let Some((_, after)) = self.resizing.failed.as_ref().filter(|(_, after)| *after > now) {
            return Some(*after);
        }
        self.change(spec, changes);
        None
    }

    /// Has the pod given what it asks for, if there is room: whether its containers run or not.
    fn ask(&mut self, spec: &PodSpec) {
        if !self.context.granted.differs(&self.uid, spec) {
            self.resizing.pending = None;
            return;
        }
        self.resizing.room.mark_unchanged();
        self.resizing.pending = self.grant(spec);
        if self.resizing.pending.is_none() {
            self.resizing.failed = None;
            self.save(&self.granted());
            self.context.room.send_replace(());
        }
    }

    /// What the node cannot give.
    fn grant(&self, spec: &PodSpec) -> Option<Delay> {
        self.context.granted.grant(&self.uid, spec, |others| {
            let room = Room {
                node_name: &self.context.config.node_name,
                node: None,
                allocatable: &self.context.allocatable,
                max_pods: self.context.config.max_pods,
                others,
            };
            room.refuses_to_grow(spec)
        })
    }

    /// The pod with what it was given.
    pub(super) fn granted(&self) -> Arc<Pod> {
        self.context.granted.of(&self.uid, &self.pod)
    }

    /// Whether no container is on its way down, with amounts that the pod was given before.
    fn is_settled(&self) -> bool {
        let condemned = |record: &Record| record.running().is_some_and(|running| running.condemned.is_some());
        self.records.values().all(|record| record.busy != Some(Busy::Stopping) && !condemned(record))
    }

    /// The running containers that were given other amounts than they have, with the resources that differ.
    fn other_amounts(&self, spec: &PodSpec) -> Vec<(Container, Vec<&'static str>)> {
        let of = |member: Member<'_>| {
            let record = self.records.get(member.name())?;
            let changeable = matches!(member.kind, Kind::Main | Kind::Sidecar) && record.busy.is_none();
            let stays = record.running().is_some_and(|running| running.condemned.is_none());
            let has = record.used.as_ref().filter(|_| changeable && stays)?;
            let differing = resize::differing(has.resources.as_ref(), member.container.resources.as_ref());
            (!differing.is_empty()).then(|| (member.container.into_owned(), differing))
        };
        members(spec).filter_map(of).collect()
    }

    fn change(&mut self, spec: &PodSpec, changes: Vec<(Container, Vec<&'static str>)>) {
        let Some(sandbox) = self.home.ready() else { return };
        let pod = sandbox.pod.spec().cgroup.clone();
        let mut change = Change { pod, limits: pod_limits(spec), containers: Vec::new(), open: false };
        for (container, resources) in changes {
            let Some(record) = self.records.get_mut(&container.name) else { continue };
            if resize::restarts(&container, &resources) {
                record.running_mut().into_iter().for_each(|running| running.condemned = Some(Cause::Resized));
            } else {
                change.containers.push((id(&container.name, record.restarts()), container));
            }
        }
        change.open = !self.is_settled();
        self.resizing.under_way = true;
        self.resizing.applied = None;
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
        changed: Result<Option<Limits>, String>,
    ) {
        self.resizing.under_way = false;
        match changed {
            Ok(applied) => self.resizing.applied = applied,
            Err(error) => {
                self.resizing.failed = Some((Delay::Failed(error), Instant::now() + AGAIN));
                return;
            }
        }
        self.resizing.failed = None;
        for (name, resources) in containers {
            if let Some(used) = self.records.get_mut(&name).and_then(|record| record.used.as_mut()) {
                used.resources = resources;
            }
        }
    }
}
