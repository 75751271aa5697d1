//! What a pod as a whole requests: its containers at their most demanding moment.
//!
//! Sidecars run beside everything that comes after them, other init containers alone; main containers run together.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use crate::member::Kind;

use super::{amount, limit, request};

/// Thousandths of cores and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    pub(crate) cpu: i64,
    pub(crate) memory: i64,
    pub(crate) ephemeral_storage: i64,
}

/// `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PodLimits {
    pub(crate) cpu: Option<i64>,
    pub(crate) memory: Option<i64>,
}

pub(crate) fn requests_of_pod(spec: &PodSpec) -> Requests {
    let of = |name: &str| {
        let own =
            pod_level(spec, name, false).unwrap_or_else(|| peak(spec, |container| request(container, name)));
        own.saturating_add(overhead(spec, name))
    };
    Requests { cpu: of("cpu"), memory: of("memory"), ephemeral_storage: of("ephemeral-storage") }
}

pub(crate) fn limits_of_pod(spec: &PodSpec) -> PodLimits {
    let of = |name: &str| {
        let all = || spec.init_containers.iter().flatten().chain(&spec.containers);
        let summed = || {
            let limited = all().all(|container| limit(container, name) > 0);
            limited.then(|| peak(spec, |container| limit(container, name)))
        };
        let own = pod_level(spec, name, true).or_else(summed)?;
        Some(own.saturating_add(overhead(spec, name)))
    };
    PodLimits { cpu: of("cpu"), memory: of("memory") }
}

fn pod_level(spec: &PodSpec, name: &str, limits: bool) -> Option<i64> {
    let resources = spec.resources.as_ref()?;
    let list = if limits { &resources.limits } else { &resources.requests };
    list.as_ref().filter(|list| list.contains_key(name)).map(|list| amount(Some(list), name))
}

fn overhead(spec: &PodSpec, name: &str) -> i64 {
    let list: Option<&BTreeMap<String, Written>> = spec.overhead.as_ref();
    amount(list, name)
}

fn peak(spec: &PodSpec, of: impl Fn(&Container) -> i64) -> i64 {
    let (mut sidecars, mut highest) = (0_i64, 0_i64);
    for container in spec.init_containers.iter().flatten() {
        if Kind::of_init(container) == Kind::Sidecar {
            sidecars = sidecars.saturating_add(of(container));
            highest = highest.max(sidecars);
        } else {
            highest = highest.max(sidecars.saturating_add(of(container)));
        }
    }
    let mains = spec.containers.iter().map(of).fold(0_i64, i64::saturating_add);
    highest.max(sidecars.saturating_add(mains))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ResourceRequirements;

    use super::*;

    fn container(cpu: &str, policy: Option<&str>) -> Container {
        let list = Some([("cpu".to_owned(), Written(cpu.to_owned()))].into());
        let resources =
            ResourceRequirements { requests: list.clone(), limits: list, ..ResourceRequirements::default() };
        Container {
            resources: Some(resources),
            restart_policy: policy.map(Into::into),
            ..Container::default()
        }
    }

    #[test]
    fn the_most_demanding_moment_counts() {
        let spec = PodSpec {
            init_containers: Some(vec![
                container("2", None),
                container("1", Some("Always")),
                container("3", None),
            ]),
            containers: vec![container("500m", None), container("700m", None)],
            overhead: Some([("cpu".to_owned(), Written("100m".into()))].into()),
            ..PodSpec::default()
        };
        assert_eq!(requests_of_pod(&spec).cpu, 4100, "the last init container beside the sidecar");
        assert_eq!(limits_of_pod(&spec), PodLimits { cpu: Some(4100), memory: None });
    }
}
