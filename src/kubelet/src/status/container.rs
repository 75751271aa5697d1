//! The status of one container.

use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, PodSpec, ResourceRequirements, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::decide::restarts_after;
use crate::member::{Kind, Member, members};
use crate::record::{self, Busy, Ended, Place, Record};

use super::Portrait;
use super::phase::{ended, is_running};

/// What becomes of a container of which nothing is known when its pod is over.
const UNKNOWN: &str = "ContainerStatusUnknown";
const UNKNOWN_CODE: i32 = 137;

impl Portrait<'_> {
    pub(super) fn containers(&self, kinds: &[Kind]) -> Vec<ContainerStatus> {
        let wanted = members(self.spec).filter(|member| kinds.contains(&member.kind));
        wanted.map(|member| self.container(&member)).collect()
    }

    fn container(&self, member: &Member<'_>) -> ContainerStatus {
        let fresh = Record::default();
        let record = self.records.get(member.name()).unwrap_or(&fresh);
        let (state, last_state) = self.states(member, record);
        let running = record.running();
        let running_now = running.is_some();
        // What it does right after its start belongs to starting.
        let running = running.filter(|_| record.busy != Some(Busy::Hooking));
        let started = running.is_some_and(|running| running.started);
        let ready = match member.kind {
            Kind::Init => record.ended().is_some_and(|end| end.code == 0),
            Kind::Ephemeral => false,
            Kind::Main | Kind::Sidecar => running.is_some_and(|running| running.started && running.ready),
        };
        let container = &*member.container;
        let image = container.image.clone().unwrap_or_default();
        let used = record.used.as_ref();
        // One that runs may not have yet what it was given.
        let has = match used.filter(|_| running_now) {
            Some(used) => used.resources.as_ref(),
            None => container.resources.as_ref(),
        };
        ContainerStatus {
            name: member.name().to_owned(),
            image: used.map_or(image, |used| used.image.clone()),
            image_id: used.map(|used| used.image_id.clone()).unwrap_or_default(),
            container_id: record.attempt.map(|attempt| self.container_id(member.name(), attempt)),
            restart_count: i32::try_from(record.restarts()).unwrap_or(i32::MAX),
            state: Some(state),
            last_state,
            ready,
            started: (member.kind != Kind::Ephemeral).then_some(started),
            allocated_resources: container.resources.as_ref().and_then(|all| all.requests.clone()),
            resources: (member.kind != Kind::Ephemeral).then(|| resources(has)),
            user: used.and_then(|used| used.user.clone()),
            volume_mounts: super::some(mounts(container)),
            ..ContainerStatus::default()
        }
    }

    fn states(&self, member: &Member<'_>, record: &Record) -> (ContainerState, Option<ContainerState>) {
        let terminated = |end: &Option<Ended>| end.as_ref().map(|end| self.terminated(member.name(), end));
        let [latest, earlier] = &record.ends;
        if let Place::Running(running) = &record.place {
            let state = ContainerStateRunning { started_at: Some(Time(running.since)) };
            return (
                ContainerState { running: Some(state), ..ContainerState::default() },
                terminated(latest),
            );
        }
        let over = self.finished && record.ended().is_some();
        if let Some(waiting) = record.waiting.as_ref().filter(|_| !over) {
            let message = Some(waiting.message.clone()).filter(|message| !message.is_empty());
            return (waits(waiting.reason, message), terminated(latest));
        }
        // Who was stopped to be started anew has not come to its end: the API lets nobody return from there.
        let again = latest.as_ref().and_then(|end| restarts_after(self.spec, member, end.cause?));
        let to_start = again == Some(true) && !self.finished;
        match terminated(latest).filter(|_| record.ended().is_some() && !to_start) {
            Some(state) => (state, terminated(earlier)),
            None => (waits(self.usual_wait(member), None), terminated(latest)),
        }
    }

    /// What a container waits for when nothing is wrong.
    fn usual_wait(&self, member: &Member<'_>) -> &'static str {
        let has_init = self.spec.init_containers.as_ref().is_some_and(|all| !all.is_empty());
        if !has_init || member.kind == Kind::Ephemeral {
            return "ContainerCreating";
        }
        let begun = self.records.get(member.name()).is_some_and(|record| record.busy.is_some());
        if begun { "ContainerCreating" } else { "PodInitializing" }
    }

    fn terminated(&self, name: &str, end: &Ended) -> ContainerState {
        let filled = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let state = ContainerStateTerminated {
            container_id: Some(self.container_id(name, end.attempt)),
            exit_code: end.code,
            finished_at: Some(Time(end.finished)),
            message: filled(&end.message),
            reason: filled(&end.reason),
            signal: end.signal,
            started_at: end.started.map(Time),
        };
        ContainerState { terminated: Some(state), ..ContainerState::default() }
    }

    /// Unique among all containers of the cluster.
    fn container_id(&self, name: &str, attempt: u32) -> String {
        let uid = self.pod.metadata.uid.as_deref().unwrap_or_default();
        format!("skiff://{uid}_{}", record::id(name, attempt))
    }
}

fn waits(reason: &str, message: Option<String>) -> ContainerState {
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn resources(given: Option<&ResourceRequirements>) -> ResourceRequirements {
    ResourceRequirements { claims: None, ..given.cloned().unwrap_or_default() }
}

fn mounts(container: &Container) -> Vec<VolumeMountStatus> {
    let mounts = container.volume_mounts.iter().flatten();
    let status = mounts.map(|mount| VolumeMountStatus {
        name: mount.name.clone(),
        mount_path: mount.mount_path.clone(),
        read_only: mount.read_only.filter(|read_only| *read_only),
        recursive_read_only: mount.read_only.filter(|read_only| *read_only).map(|_| {
            let wanted = matches!(mount.recursive_read_only.as_deref(), Some("Enabled" | "IfPossible"));
            if wanted { "Enabled" } else { "Disabled" }.to_owned()
        }),
        ..VolumeMountStatus::default()
    });
    status.collect()
}

/// The pod is over: whoever is not known to have ended is lost.
pub(super) fn close(spec: &PodSpec, init: &mut [ContainerStatus], main: &mut [ContainerStatus]) {
    let begun = |status: &ContainerStatus| {
        is_running(status) || ended(status.state.as_ref()).or(ended(status.last_state.as_ref())).is_some()
    };
    let initialized = main.iter().any(begun) || {
        let regular =
            spec.init_containers.iter().flatten().filter(|container| Kind::of_init(container) == Kind::Init);
        regular
            .into_iter()
            .all(|container| init.iter().any(|status| status.name == container.name && status.ready))
    };
    if initialized {
        main.iter_mut().for_each(lose);
    }
    let last_begun = init.iter().rposition(begun).map_or(0, |position| position + 1);
    init[..last_begun].iter_mut().for_each(lose);
}

fn lose(status: &mut ContainerStatus) {
    if ended(status.state.as_ref()).is_some() {
        return;
    }
    status.ready = false;
    status.started = status.started.map(|_| false);
    let state = ContainerStateTerminated {
        exit_code: UNKNOWN_CODE,
        reason: Some(UNKNOWN.to_owned()),
        message: Some("The container could not be located when the pod was terminated".to_owned()),
        ..ContainerStateTerminated::default()
    };
    status.state = Some(ContainerState { terminated: Some(state), ..ContainerState::default() });
}
