//! The phase: where a pod is in its life, from the statuses of its containers.

use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateTerminated, ContainerStatus, PodSpec,
};

use crate::member::Kind;

pub(super) const PENDING: &str = "Pending";
pub(super) const RUNNING: &str = "Running";
pub(super) const SUCCEEDED: &str = "Succeeded";
pub(super) const FAILED: &str = "Failed";

/// The phase of a pod of which something may still run.
pub(super) fn current(
    spec: &PodSpec,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
    was_initialized: bool,
) -> &'static str {
    let never_ended =
        |status: &ContainerStatus| is_waiting(status) && ended(status.last_state.as_ref()).is_none();
    let holds_up = |container: &Container| {
        let status = status_of(init, &container.name);
        match Kind::of_init(container) {
            Kind::Sidecar => status.is_none_or(|status| {
                never_ended(status)
                    || (!was_initialized && is_running(status) && status.started != Some(true))
            }),
            _ => status.is_none_or(|status| is_running(status) || never_ended(status)),
        }
    };
    let initializing = spec.init_containers.iter().flatten().any(holds_up);
    if initializing || main.is_empty() || main.iter().any(never_ended) { PENDING } else { RUNNING }
}

/// The phase of a pod that is over.
pub(super) fn last(spec: &PodSpec, init: &[ContainerStatus], main: &[ContainerStatus]) -> &'static str {
    let succeeded =
        |status: &ContainerStatus| ended(status.state.as_ref()).is_some_and(|end| end.exit_code == 0);
    let regular =
        spec.init_containers.iter().flatten().filter(|container| Kind::of_init(container) == Kind::Init);
    let initialized =
        regular.into_iter().all(|container| status_of(init, &container.name).is_none_or(succeeded));
    let done = !main.is_empty() && main.iter().all(succeeded);
    if initialized && done { SUCCEEDED } else { FAILED }
}

pub(super) fn status_of<'a>(statuses: &'a [ContainerStatus], name: &str) -> Option<&'a ContainerStatus> {
    statuses.iter().find(|status| status.name == name)
}

pub(super) fn is_running(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|state| state.running.is_some())
}

fn is_waiting(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_none_or(|state| state.running.is_none() && state.terminated.is_none())
}

pub(super) fn ended(state: Option<&ContainerState>) -> Option<&ContainerStateTerminated> {
    state?.terminated.as_ref()
}
