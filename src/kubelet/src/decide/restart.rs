//! Whether a container that ended is started again.

use k8s_openapi::api::core::v1::{Container, ContainerRestartRule, PodSpec};

use crate::member::{Kind, Member};
use crate::record::{Cause, Ended};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Always,
    OnFailure,
    Never,
}

/// Whether this end is followed by another start, back-off aside.
pub(crate) fn restarts(spec: &PodSpec, member: &Member<'_>, end: &Ended) -> bool {
    let code = end.code;
    if let Some(again) = end.cause.and_then(|cause| restarts_after(spec, member, cause)) {
        return again;
    }
    match member.kind {
        Kind::Sidecar => true,
        Kind::Ephemeral => false,
        Kind::Main | Kind::Init if is_ruled(&member.container, code) => true,
        Kind::Main => match policy(spec, &member.container) {
            Policy::Always => true,
            Policy::OnFailure => code != 0,
            Policy::Never => false,
        },
        Kind::Init => code != 0 && policy(spec, &member.container) != Policy::Never,
    }
}

/// Whether a container that we stopped starts again, where that depends on the cause and not on how it took it: it is not to
/// blame for another image, and one that fails its probes has failed even if it ends well.
pub(crate) fn restarts_after(spec: &PodSpec, member: &Member<'_>, cause: Cause) -> Option<bool> {
    match cause {
        Cause::Changed | Cause::Resized => Some(true),
        Cause::Liveness | Cause::Startup => {
            Some(member.kind == Kind::Sidecar || policy(spec, &member.container) != Policy::Never)
        }
        Cause::PostStart => None,
    }
}

fn policy(spec: &PodSpec, container: &Container) -> Policy {
    Policy::of(container.restart_policy.as_deref().or(spec.restart_policy.as_deref()))
}

impl Policy {
    fn of(given: Option<&str>) -> Self {
        match given {
            Some("Never") => Self::Never,
            Some("OnFailure") => Self::OnFailure,
            _ => Self::Always,
        }
    }
}

/// Whether one of the container's own rules asks for a restart.
fn is_ruled(container: &Container, code: i32) -> bool {
    let rules = container.restart_policy_rules.iter().flatten();
    let mut matching = rules.filter(|rule| applies(rule, code));
    matching.next().is_some_and(|rule| rule.action == "Restart")
}

fn applies(rule: &ContainerRestartRule, code: i32) -> bool {
    rule.exit_codes.as_ref().is_some_and(|codes| {
        let listed = codes.values.iter().flatten().any(|value| *value == code);
        match codes.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        }
    })
}
