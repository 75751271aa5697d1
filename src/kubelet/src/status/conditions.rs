//! The conditions of a pod that its node answers for.

use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::member::{Kind, members};
use crate::resize::Delay;

use super::Portrait;
use super::phase::{self, ended, is_running, status_of};

/// What a condition says, without the times.
#[derive(Debug, Default)]
struct Says {
    holds: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Says {
    fn yes() -> Self {
        Self { holds: true, ..Self::default() }
    }

    fn no(reason: &'static str) -> Self {
        Self { reason: Some(reason), ..Self::default() }
    }

    fn because(reason: &'static str, messages: &[String]) -> Self {
        let message = messages.join(", ");
        if message.is_empty() { Self::yes() } else { Self { message: Some(message), ..Self::no(reason) } }
    }
}

pub(super) fn is_initialized(status: Option<&PodStatus>) -> bool {
    find(status, "Initialized").is_some_and(|condition| condition.status == "True")
}

fn find<'a>(status: Option<&'a PodStatus>, type_: &str) -> Option<&'a PodCondition> {
    status?.conditions.iter().flatten().find(|condition| condition.type_ == type_)
}

/// All that this node sets; what others set is left alone.
pub(super) fn conditions(
    portrait: &Portrait<'_>,
    phase: &str,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
) -> Vec<PodCondition> {
    let sandbox = if portrait.sandbox_ready { Says::yes() } else { Says::default() };
    let containers = containers_ready(portrait, phase, init, main);
    let ready = if containers.holds {
        gates(portrait)
    } else {
        Says { message: containers.message.clone(), ..containers }
    };
    let mut all = vec![
        ("PodReadyToStartContainers", sandbox),
        ("Initialized", initialized(portrait, phase, init, main)),
        ("Ready", ready),
        ("ContainersReady", containers_ready(portrait, phase, init, main)),
        // First said by the scheduler, if there was one; which generation of the pod that is true of is for us to say.
        ("PodScheduled", Says::yes()),
    ];
    all.extend(portrait.delay.map(delayed));
    all.into_iter().map(|(type_, says)| portrait.condition(type_, says)).collect()
}

/// The conditions that are there only while they hold.
pub(super) const PASSING: [&str; 2] = [PENDING, IN_PROGRESS];
const PENDING: &str = "PodResizePending";
const IN_PROGRESS: &str = "PodResizeInProgress";

fn delayed(delay: &Delay) -> (&'static str, Says) {
    let (type_, reason, message) = match delay {
        Delay::Infeasible(message) => (PENDING, "Infeasible", message),
        Delay::Deferred(message) => (PENDING, "Deferred", message),
        Delay::Failed(message) => (IN_PROGRESS, "Error", message),
    };
    (type_, Says { holds: true, reason: Some(reason), message: Some(message.clone()) })
}

impl Portrait<'_> {
    fn condition(&self, type_: &str, says: Says) -> PodCondition {
        let status = if says.holds { "True" } else { "False" };
        let old = find(self.before, type_).filter(|old| old.status == status);
        let since = old.and_then(|old| old.last_transition_time.clone());
        PodCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: says.reason.map(Into::into),
            message: says.message,
            last_transition_time: Some(since.unwrap_or(Time(self.now))),
            observed_generation: self.pod.metadata.generation,
            ..PodCondition::default()
        }
    }
}

fn initialized(
    portrait: &Portrait<'_>,
    phase: &str,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
) -> Says {
    if phase == phase::SUCCEEDED {
        return Says { reason: Some("PodCompleted"), ..Says::yes() };
    }
    let began = |status: &ContainerStatus| {
        is_running(status) || ended(status.state.as_ref()).or(ended(status.last_state.as_ref())).is_some()
    };
    if main.iter().any(began) {
        return Says::yes();
    }
    let done = |kind: Kind, status: &ContainerStatus| match kind {
        Kind::Sidecar => status.started == Some(true),
        _ => status.ready,
    };
    let all = members(portrait.spec).filter(|member| matches!(member.kind, Kind::Init | Kind::Sidecar));
    let incomplete: Vec<_> = all
        .filter(|member| !status_of(init, member.name()).is_some_and(|status| done(member.kind, status)))
        .map(|member| member.name().to_owned())
        .collect();
    Says::because("ContainersNotInitialized", &listed("containers with incomplete status", &incomplete))
}

fn containers_ready(
    portrait: &Portrait<'_>,
    phase: &str,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
) -> Says {
    match phase {
        phase::SUCCEEDED => return Says::no("PodCompleted"),
        phase::FAILED => return Says::no("PodFailed"),
        _ => {}
    }
    let all = members(portrait.spec).filter(|member| matches!(member.kind, Kind::Main | Kind::Sidecar));
    let unready: Vec<_> = all
        .filter(|member| {
            let statuses = if member.kind == Kind::Main { main } else { init };
            !status_of(statuses, member.name()).is_some_and(|status| status.ready)
        })
        .map(|member| member.name().to_owned())
        .collect();
    Says::because("ContainersNotReady", &listed("containers with unready status", &unready))
}

fn listed(what: &str, names: &[String]) -> Vec<String> {
    if names.is_empty() { Vec::new() } else { vec![format!("{what}: [{}]", names.join(" "))] }
}

/// Whether the conditions that the pod names beside its own hold.
fn gates(portrait: &Portrait<'_>) -> Says {
    let status = portrait.pod.status.as_ref();
    let gates = portrait.spec.readiness_gates.iter().flatten();
    let missing = gates.filter_map(|gate| {
        let type_ = &gate.condition_type;
        match find(status, type_) {
            None => {
                Some(format!("corresponding condition of pod readiness gate \"{type_}\" does not exist."))
            }
            Some(condition) if condition.status != "True" => Some(format!(
                "the status of pod readiness gate \"{type_}\" is not \"True\", but {}",
                condition.status
            )),
            Some(_) => None,
        }
    });
    Says::because("ReadinessGatesNotReady", &missing.collect::<Vec<_>>())
}
