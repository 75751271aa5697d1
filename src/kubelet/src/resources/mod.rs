//! What a pod asks for and may use, in the kernel's terms.

mod request;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;
use oci::cgroup::Limits;

use crate::member::{Kind, members};

use request::limits_of_pod;
pub(crate) use request::{Requests, requests_of_pod};

/// The quality of service class: who is squeezed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Qos {
    Guaranteed,
    Burstable,
    BestEffort,
}

impl Qos {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }

    pub(crate) fn of(pod: &Pod) -> Self {
        let given = pod.status.as_ref().and_then(|status| status.qos_class.as_deref());
        match given {
            Some("Guaranteed") => Self::Guaranteed,
            Some("Burstable") => Self::Burstable,
            Some("BestEffort") => Self::BestEffort,
            _ => pod.spec.as_ref().map_or(Self::BestEffort, Self::of_spec),
        }
    }

    fn of_spec(spec: &PodSpec) -> Self {
        let asked: Vec<_> = match &spec.resources {
            Some(resources) => vec![Some(resources)],
            None => {
                let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
                containers.map(|container| container.resources.as_ref()).collect()
            }
        };
        let amounts = |name| {
            move |resources: &Option<&ResourceRequirements>| {
                (
                    amount(resources.and_then(|all| all.requests.as_ref()), name),
                    amount(resources.and_then(|all| all.limits.as_ref()), name),
                )
            }
        };
        let both = ["cpu", "memory"];
        let none = |name| asked.iter().map(amounts(name)).all(|(request, limit)| request == 0 && limit == 0);
        if both.into_iter().all(none) {
            return Self::BestEffort;
        }
        // A request that is not given is the limit.
        let exact = |name| {
            asked
                .iter()
                .map(amounts(name))
                .all(|(request, limit)| limit != 0 && (request == 0 || request == limit))
        };
        if both.into_iter().all(exact) { Self::Guaranteed } else { Self::Burstable }
    }
}

/// A resource in thousandths of cores for `cpu` and whole units for all others; 0 when it is not named.
pub(crate) fn amount(list: Option<&BTreeMap<String, Written>>, name: &str) -> i64 {
    let written = list.and_then(|list| list.get(name));
    let quantity = written.and_then(|written| written.0.parse::<Quantity>().ok()).unwrap_or(Quantity::ZERO);
    if name == "cpu" { quantity.milli_value() } else { quantity.value() }
}

pub(crate) fn request(container: &Container, name: &str) -> i64 {
    amount(container.resources.as_ref().and_then(|resources| resources.requests.as_ref()), name)
}

pub(crate) fn limit(container: &Container, name: &str) -> i64 {
    amount(container.resources.as_ref().and_then(|resources| resources.limits.as_ref()), name)
}

/// The control group that holds all pods of a class.
pub(crate) fn class_cgroup(root: &Path, qos: Qos) -> PathBuf {
    let pods = root.join("kubepods");
    match qos {
        Qos::Guaranteed => pods,
        Qos::Burstable => pods.join("burstable"),
        Qos::BestEffort => pods.join("besteffort"),
    }
}

pub(crate) fn pod_cgroup(root: &Path, qos: Qos, uid: &str) -> PathBuf {
    class_cgroup(root, qos).join(format!("pod{uid}"))
}

/// What the pod as a whole may use: a limit only where every container has one.
pub(crate) fn pod_limits(spec: &PodSpec) -> Limits {
    let (requests, limits) = (requests_of_pod(spec), limits_of_pod(spec));
    Limits {
        cpu_shares: Some(shares(requests.cpu)),
        cpu_quota: limits.cpu.map(quota),
        memory: limits.memory,
        ..Limits::default()
    }
}

pub(crate) fn container_limits(container: &Container) -> Limits {
    let (asked, limit_cpu) = (request(container, "cpu"), limit(container, "cpu"));
    let memory = limit(container, "memory");
    Limits {
        cpu_shares: Some(shares(if asked == 0 { limit_cpu } else { asked })),
        cpu_quota: (limit_cpu > 0).then(|| quota(limit_cpu)),
        memory: (memory > 0).then_some(memory),
        oom_group: Some(true),
        ..Limits::default()
    }
}

/// From thousandths of a core to version 1's weight; 2 is the least there is.
pub(crate) fn shares(milli: i64) -> u64 {
    u64::try_from(milli.saturating_mul(1024) / 1000).unwrap_or(0).clamp(2, 262_144)
}

/// Microseconds in each tenth of a second; the kernel takes no less than one millisecond.
fn quota(milli: i64) -> i64 {
    milli.saturating_mul(100).max(1000)
}

/// System-critical pods, by their priority.
const CRITICAL: i32 = 2_000_000_000;

/// How eagerly the kernel kills the container when memory runs out. `memory` is all that the machine has.
pub(crate) fn oom_score(pod: &Pod, kind: Kind, container: &Container, memory: i64) -> i32 {
    let Some(spec) = &pod.spec else { return 1000 };
    if spec.priority.is_some_and(|priority| priority >= CRITICAL) {
        return -997;
    }
    match Qos::of(pod) {
        Qos::Guaranteed => -997,
        Qos::BestEffort => 1000,
        Qos::Burstable => {
            let own = burstable_score(request(container, "memory"), memory);
            if kind != Kind::Sidecar {
                return own;
            }
            // A sidecar must not die before those it serves.
            let mains = members(spec).filter(|member| member.kind == Kind::Main);
            mains.map(|main| burstable_score(request(&main.container, "memory"), memory)).fold(own, i32::min)
        }
    }
}

fn burstable_score(request: i64, memory: i64) -> i32 {
    let score = 1000 - request.saturating_mul(1000) / memory.max(1);
    i32::try_from(score.clamp(3, 999)).unwrap_or(999)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(requests: &[(&str, &str)], limits: &[(&str, &str)]) -> Container {
        let list = |given: &[(&str, &str)]| {
            let pairs = given.iter().map(|(name, value)| ((*name).to_owned(), Written((*value).to_owned())));
            Some(pairs.collect())
        };
        let resources = ResourceRequirements {
            requests: list(requests),
            limits: list(limits),
            ..ResourceRequirements::default()
        };
        Container { resources: Some(resources), ..Container::default() }
    }

    fn pod(containers: Vec<Container>) -> Pod {
        Pod { spec: Some(PodSpec { containers, ..PodSpec::default() }), ..Pod::default() }
    }

    #[test]
    fn classes() {
        let both = [("cpu", "100m"), ("memory", "64Mi")];
        assert_eq!(Qos::of(&pod(vec![container(&[], &[])])), Qos::BestEffort);
        assert_eq!(Qos::of(&pod(vec![container(&both, &both)])), Qos::Guaranteed);
        assert_eq!(Qos::of(&pod(vec![container(&[], &both)])), Qos::Guaranteed);
        assert_eq!(Qos::of(&pod(vec![container(&both, &[])])), Qos::Burstable);
        assert_eq!(Qos::of(&pod(vec![container(&both, &both), container(&[], &[])])), Qos::Burstable);
        assert_eq!(Qos::of(&pod(vec![container(&[], &[("cpu", "1")])])), Qos::Burstable);
    }

    #[test]
    fn limits_in_the_kernel_s_terms() {
        let limits = container_limits(&container(&[("cpu", "250m")], &[("cpu", "500m"), ("memory", "64Mi")]));
        assert_eq!(
            (limits.cpu_shares, limits.cpu_quota, limits.memory),
            (Some(256), Some(50_000), Some(64 << 20))
        );
        let limits = container_limits(&container(&[], &[("cpu", "5m")]));
        assert_eq!((limits.cpu_shares, limits.cpu_quota, limits.memory), (Some(5), Some(1000), None));
        assert_eq!(container_limits(&container(&[], &[])).cpu_shares, Some(2));
    }

    #[test]
    fn the_greedy_die_first() {
        let memory = 1 << 30;
        let score = |pod: &Pod| oom_score(pod, Kind::Main, &pod.spec.as_ref().unwrap().containers[0], memory);
        let half = container(&[("memory", "512Mi")], &[]);
        assert_eq!(score(&pod(vec![half.clone()])), 500);
        assert_eq!(score(&pod(vec![container(&[("cpu", "1")], &[])])), 999);
        assert_eq!(score(&pod(vec![container(&[], &[])])), 1000);
        let all = [("cpu", "1"), ("memory", "1Gi")];
        assert_eq!(score(&pod(vec![container(&all, &all)])), -997);
        let mut critical = pod(vec![half]);
        critical.spec.as_mut().unwrap().priority = Some(CRITICAL);
        assert_eq!(score(&critical), -997);
    }
}
