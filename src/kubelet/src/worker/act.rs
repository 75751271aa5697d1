//! Carrying out what was decided.

use std::sync::Arc;
use std::time::Duration;

use client::Severity;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use tokio::time::Instant;

use crate::decide::{Action, Hold, restarts};
use crate::event::go_duration;
use crate::member::{Kind, member, members};
use crate::record::{Busy, Cause, Place, Waiting, id};

use super::Worker;
use super::done::Done;
use super::start::{AfterStart, Start};
use super::stop::Stop;

impl Worker {
    pub(super) fn act(&mut self, spec: &PodSpec, action: Action) {
        tracing::debug!(pod = self.uid, ?action, "next");
        match action {
            Action::MakeSandbox => {
                self.begin_anew(spec);
                self.make_sandbox();
            }
            Action::Start(name) => self.start(spec, name),
            Action::Stop(name, cause) => self.stop(spec, name, cause),
            Action::Hold(name, hold) => self.hold(spec, &name, hold),
        }
    }

    /// What ran in an earlier sandbox runs again, unless it is over for good.
    fn begin_anew(&mut self, spec: &PodSpec) {
        for member in members(spec) {
            let Some(record) = self.records.get_mut(member.name()) else { continue };
            let Some(end) = record.ended() else { continue };
            let over = member.kind == Kind::Main && !restarts(spec, &member, end);
            record.place = if over { Place::Past } else { Place::Fresh };
        }
    }

    fn start(&mut self, spec: &PodSpec, name: String) {
        let Some(sandbox) = self.home.ready() else { return };
        let target = spec.ephemeral_containers.iter().flatten().find(|container| container.name == name);
        let target = target.and_then(|container| container.target_container_name.as_ref());
        let target = target.and_then(|target| Some(id(target, self.records.get(target)?.attempt?)));
        let record = self.records.entry(name.clone()).or_default();
        let attempt = record.next_attempt();
        record.busy = Some(Busy::Starting);
        record.retry = None;
        if record.ended().is_some() {
            record.crash.count(Instant::now());
        }
        let start = Start {
            context: Arc::clone(&self.context),
            pod: self.granted(),
            name: name.clone(),
            attempt,
            sandbox: sandbox.clone(),
            target,
            deadline: self.deadline.subscribe(),
        };
        self.jobs.spawn(async move { Done::Started(name, attempt, Box::pin(start.run()).await) });
    }

    /// What the container is to do right after its start, beside whatever else goes on.
    pub(super) fn after_start(&mut self, name: &str) {
        let (Some(sandbox), Some(spec)) = (self.home.ready(), &self.pod.spec) else { return };
        let Some(record) = self.records.get_mut(name) else { return };
        let Some(member) = member(spec, name) else { return };
        let handler = member.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.clone());
        let Some(handler) = handler else { return };
        record.busy = Some(Busy::Hooking);
        let hook = AfterStart {
            context: Arc::clone(&self.context),
            pod: Arc::clone(&self.pod),
            name: name.to_owned(),
            id: id(name, record.restarts()),
            sandbox: sandbox.clone(),
            handler,
            deadline: self.deadline.subscribe(),
        };
        let name = name.to_owned();
        self.jobs.spawn(async move { Done::Hooked(name, Box::pin(hook.run()).await) });
    }

    fn stop(&mut self, spec: &PodSpec, name: String, cause: Option<Cause>) {
        let Some(sandbox) = self.home.ready() else { return };
        let container = member(spec, &name).map(|member| member.container);
        let grace = self.grace_of(container.as_deref(), cause);
        let Some(record) = self.records.get_mut(&name) else { return };
        record.busy = Some(Busy::Stopping);
        if let Some(probes) = self.probes.get(&name) {
            probes.is_ending();
        }
        let own_signal = container.and_then(|container| container.lifecycle.clone()?.stop_signal);
        let image_signal = record.used.as_ref().and_then(|used| {
            used.stop_signal
                .clone()
                .or_else(|| self.context.images.get(&used.image)?.config.stop_signal.clone())
        });
        let stop = Stop {
            context: Arc::clone(&self.context),
            pod: Arc::clone(&self.pod),
            id: id(&name, record.restarts()),
            name: name.clone(),
            sandbox: sandbox.clone(),
            cause,
            signal: own_signal.or(image_signal),
            grace,
            deadline: self.deadline.subscribe(),
        };
        self.jobs.spawn(async move {
            Box::pin(stop.run()).await;
            Done::Stopped(name)
        });
    }

    /// A probe that fails may leave less time than the pod does.
    fn grace_of(&self, container: Option<&Container>, cause: Option<Cause>) -> Duration {
        let probe = container.and_then(|container| match cause {
            Some(Cause::Liveness) => container.liveness_probe.as_ref(),
            Some(Cause::Startup) => container.startup_probe.as_ref(),
            _ => None,
        });
        let own = probe.and_then(|probe| probe.termination_grace_period_seconds);
        let own = own.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        own.unwrap_or_else(|| self.grace())
    }

    fn hold(&mut self, spec: &PodSpec, name: &str, hold: Hold) {
        let told = match hold {
            Hold::Crashed(delay) => Some(Waiting {
                reason: "CrashLoopBackOff",
                message: format!(
                    "back-off {} restarting failed container={name} pod={}",
                    go_duration(delay),
                    self.title()
                ),
            }),
            Hold::Failed => self.records.get(name).and_then(|record| record.retry.as_ref()?.told.clone()),
        };
        let title = self.title();
        let Some(record) = self.records.get_mut(name) else { return };
        if told.is_none() || record.waiting == told {
            return;
        }
        record.waiting.clone_from(&told);
        let (Some(member), Some(told)) = (member(spec, name), told) else { return };
        let events = self.context.events(&self.pod);
        match hold {
            Hold::Crashed(_) => {
                let message = format!("Back-off restarting failed container {name} in pod {title}");
                events.member(&member, Severity::Warning, "BackOff", message);
            }
            Hold::Failed => {
                let image = member.container.image.as_deref().unwrap_or_default();
                events.member(
                    &member,
                    Severity::Normal,
                    "BackOff",
                    format!("Back-off pulling image \"{image}\""),
                );
                events.member(&member, Severity::Warning, "Failed", format!("Error: {}", told.reason));
            }
        }
    }

    /// As upstream writes a pod in messages: `name_namespace(uid)`.
    fn title(&self) -> String {
        let metadata = &self.pod.metadata;
        let word = |word: &Option<String>| word.clone().unwrap_or_default();
        format!("{}_{}({})", word(&metadata.name), word(&metadata.namespace), self.uid)
    }
}
