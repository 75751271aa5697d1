//! From what the runtime says to the records.

use std::time::SystemTime;

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::jiff::Timestamp;
use oci::{ContainerState, Exit};
use tokio::time::Instant;

use crate::container::{log_path, message_path, rootfs_id};
use crate::last_words::{self, Words};
use crate::member::member;
use crate::record::{Busy, Cause, Ended, Place, Running, id, parse_id};

use super::Worker;
use super::done::Done;

impl Worker {
    pub(super) fn observe(&mut self) {
        let Some(state) = &mut self.home.state else { return };
        let containers = state.borrow_and_update().containers.clone();
        for (id, state) in containers {
            if let Some((name, attempt)) = parse_id(&id) {
                self.observe_one(name, attempt, &state);
            }
        }
        self.probe();
    }

    fn observe_one(&mut self, name: &str, attempt: u32, state: &ContainerState) {
        let Some(record) = self.records.get(name) else { return };
        let ended_before = record.ends[0].as_ref().is_some_and(|end| end.attempt >= attempt);
        match state {
            _ if record.busy == Some(Busy::Starting) => {}
            _ if ended_before && record.running().is_none() => {}
            // An earlier one that is on record, or is not worth it any more.
            _ if record.attempt != Some(attempt) => {}
            ContainerState::Running { started, .. } => self.runs(name, *started),
            ContainerState::Exited { exit, .. } => self.exited(name, attempt, exit),
            ContainerState::Created { .. } if record.busy.is_none() => self.forget(name, attempt),
            ContainerState::Created { .. } => {}
        }
    }

    fn runs(&mut self, name: &str, started: SystemTime) {
        let pod = self.spec();
        let member = pod.spec.as_ref().and_then(|spec| member(spec, name));
        let container = member.as_ref().map(|member| &*member.container);
        let Some(record) = self.records.get_mut(name) else { return };
        if record.running().is_some() {
            return;
        }
        record.waiting = None;
        record.retry = None;
        // Its pod may have been changed while it was being started.
        let other = container.is_some_and(|container| record.is_of_another_image(container));
        record.place = Place::Running(Running {
            since: Timestamp::try_from(started).unwrap_or_else(|_| Timestamp::now()),
            started: container.is_none_or(|container| container.startup_probe.is_none()),
            ready: container.is_none_or(|container| container.readiness_probe.is_none()),
            condemned: other.then_some(Cause::Changed),
        });
    }

    fn exited(&mut self, name: &str, attempt: u32, exit: &Exit) {
        let pod = self.spec();
        let container = pod.spec.as_ref().and_then(|spec| member(spec, name)).map(|member| member.container);
        let message = self.last_words(name, attempt, container.as_deref(), exit.code != 0);
        let running = self.records.get(name).and_then(|record| record.running());
        let time = |time: SystemTime| Timestamp::try_from(time).ok();
        let end = Ended {
            attempt,
            code: exit.code,
            signal: None,
            reason: reason(exit).to_owned(),
            message,
            cause: running.and_then(|running| running.condemned),
            started: exit.started.and_then(time),
            finished: time(exit.finished).unwrap_or_else(Timestamp::now),
            seen: Instant::now(),
        };
        self.probes.remove(name);
        if let Some(record) = self.records.get_mut(name) {
            record.end(end);
        }
        self.unmount(name, attempt);
    }

    /// A container that was made and never started, by an agent that ended in between.
    fn forget(&mut self, name: &str, attempt: u32) {
        let Some(record) = self.records.get_mut(name) else { return };
        record.busy = Some(Busy::Stopping);
        record.attempt = attempt.checked_sub(1);
        if record.ends[0].is_some() {
            record.place = Place::Ended;
        }
        let Some(sandbox) = self.home.ready() else { return };
        let (pod, id, name) = (sandbox.pod.clone(), id(name, attempt), name.to_owned());
        self.jobs.spawn(async move {
            let _may_be_gone = pod.delete(&id).await;
            Done::Stopped(name)
        });
    }

    fn last_words(&self, name: &str, attempt: u32, container: Option<&Container>, failed: bool) -> String {
        let policy = container.and_then(|container| container.termination_message_policy.as_deref());
        last_words::read(&Words {
            file: &message_path(&self.context, &self.uid, name, attempt),
            log: &log_path(&self.context, &self.pod, name, attempt),
            or_log: failed && policy == Some("FallbackToLogsOnError"),
        })
    }

    /// What the container wrote into its root goes with it.
    fn unmount(&mut self, name: &str, attempt: u32) {
        let (images, root) = (self.context.images.clone(), rootfs_id(&self.uid, name, attempt));
        self.jobs.spawn(async move {
            if let Err(error) = images.unmount(&root).await {
                tracing::warn!(container = root, error = error.message(), "a container's root is left");
            }
            Done::Unmounted
        });
    }
}

fn reason(exit: &Exit) -> &'static str {
    match exit {
        Exit { oom_killed: true, .. } => "OOMKilled",
        Exit { unknown: true, .. } => "Unknown",
        Exit { code: 0, .. } => "Completed",
        _ => "Error",
    }
}
