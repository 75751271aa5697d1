//! What a pod's status says: a pure function over what is known of the pod.
//!
//! The parts are upstream's: a status for each container, from those the phase, from both the conditions. A pod does not
//! become `Succeeded` or `Failed` while anything of it may still run.

mod conditions;
mod container;
mod patch;
mod phase;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{HostIP, Pod, PodIP, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use crate::member::Kind;
use crate::record::Records;
use crate::resize::Delay;
use crate::resources::Qos;

pub(crate) use patch::{StatusText, text};

/// Why a pod as a whole was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) reason: String,
    pub(crate) message: String,
}

#[derive(Debug)]
pub(crate) struct Portrait<'a> {
    pub(crate) pod: &'a Pod,
    /// With the amounts that the pod was given.
    pub(crate) spec: &'a PodSpec,
    pub(crate) records: &'a Records,
    /// Its namespaces are there, with network.
    pub(crate) sandbox_ready: bool,
    pub(crate) pod_ips: &'a [IpAddr],
    pub(crate) host_ips: &'a [IpAddr],
    pub(crate) start_time: Timestamp,
    pub(crate) verdict: Option<&'a Verdict>,
    /// Nothing of it runs and nothing will.
    pub(crate) finished: bool,
    /// Why its containers have not the amounts they ask for.
    pub(crate) delay: Option<&'a Delay>,
    /// The status before this one.
    pub(crate) before: Option<&'a PodStatus>,
    pub(crate) now: Timestamp,
}

pub(crate) fn status(portrait: &Portrait<'_>) -> PodStatus {
    let of = |kinds: &[Kind]| portrait.containers(kinds);
    let mut init = of(&[Kind::Init, Kind::Sidecar]);
    let mut main = of(&[Kind::Main]);
    let ephemeral = of(&[Kind::Ephemeral]);
    if portrait.finished {
        container::close(portrait.spec, &mut init, &mut main);
    }
    let phase = match portrait.finished {
        true if portrait.verdict.is_some() => phase::FAILED,
        true => phase::last(portrait.spec, &init, &main),
        false => phase::current(portrait.spec, &init, &main, conditions::is_initialized(portrait.before)),
    };
    let verdict = portrait.verdict.filter(|_| portrait.finished);
    let ip = |ips: &[IpAddr]| ips.first().map(IpAddr::to_string);
    PodStatus {
        phase: Some(phase.to_owned()),
        reason: verdict.map(|verdict| verdict.reason.clone()),
        message: verdict.map(|verdict| verdict.message.clone()),
        conditions: Some(conditions::conditions(portrait, phase, &init, &main)),
        host_ip: ip(portrait.host_ips),
        host_ips: some(portrait.host_ips.iter().map(|ip| HostIP { ip: ip.to_string() }).collect()),
        pod_ip: ip(portrait.pod_ips),
        pod_ips: some(portrait.pod_ips.iter().map(|ip| PodIP { ip: ip.to_string() }).collect()),
        start_time: Some(Time(portrait.start_time)),
        qos_class: Some(Qos::of(portrait.pod).name().to_owned()),
        init_container_statuses: some(init),
        container_statuses: some(main),
        ephemeral_container_statuses: some(ephemeral),
        observed_generation: portrait.pod.metadata.generation,
        ..PodStatus::default()
    }
}

/// The status of a pod that was turned away before anything of it was made.
pub(crate) fn rejected(pod: &Pod, verdict: &Verdict, start_time: Timestamp) -> PodStatus {
    PodStatus {
        phase: Some(phase::FAILED.to_owned()),
        reason: Some(verdict.reason.clone()),
        message: Some(verdict.message.clone()),
        start_time: Some(Time(start_time)),
        qos_class: Some(Qos::of(pod).name().to_owned()),
        observed_generation: pod.metadata.generation,
        ..PodStatus::default()
    }
}

/// Whether a pod has reached a phase that it does not leave.
pub(crate) fn is_terminal(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some(phase::SUCCEEDED | phase::FAILED))
}

/// Whether the API says so.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
