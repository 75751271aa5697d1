//! Other amounts for a pod that runs: what it asks for now, what it has, and what follows from the difference.
//!
//! A running container's control group is changed in place, unless the container wants to be started anew for that resource.
//! Before that the node must have room for it, as for a new pod: what could never fit is infeasible, what does not fit now waits
//! until other pods have gone.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec, ResourceRequirements};
use oci::cgroup::{Cgroup, Hierarchy, Limits};

use crate::resources::{amount, container_limits};

/// Why a pod has not what it asks for, as its conditions tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delay {
    /// More than the node could ever give.
    Infeasible(String),
    /// More than it can give now.
    Deferred(String),
    /// The kernel refused.
    Failed(String),
}

/// The only resources of a running container that can be changed.
const CHANGEABLE: [&str; 2] = ["cpu", "memory"];

/// The resources of which a container has another amount than it asks for.
pub(crate) fn differing(
    has: Option<&ResourceRequirements>,
    wanted: Option<&ResourceRequirements>,
) -> Vec<&'static str> {
    let of = |resources: Option<&ResourceRequirements>, name| {
        let (requests, limits) = (
            resources.and_then(|resources| resources.requests.as_ref()),
            resources.and_then(|resources| resources.limits.as_ref()),
        );
        (amount(requests, name), amount(limits, name))
    };
    CHANGEABLE.into_iter().filter(|name| of(has, name) != of(wanted, name)).collect()
}

/// Whether a container wants to be started anew when the amount of one of these changes.
pub(crate) fn restarts(container: &Container, resources: &[&str]) -> bool {
    let mut policies = container.resize_policy.iter().flatten();
    policies.any(|policy| {
        policy.restart_policy == "RestartContainer" && resources.contains(&policy.resource_name.as_str())
    })
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().flatten().chain(&spec.containers)
}

/// Whether a pod has other amounts than it asks for.
pub(crate) fn differ(has: &PodSpec, wanted: &PodSpec) -> bool {
    containers(wanted).any(|wanted| {
        let has = containers(has).find(|has| has.name == wanted.name);
        has.is_some_and(|has| !differing(has.resources.as_ref(), wanted.resources.as_ref()).is_empty())
    })
}

/// Gives the containers the amounts that they have in another state of the pod.
pub(crate) fn take_amounts(spec: &mut PodSpec, from: &PodSpec) {
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        if let Some(from) = containers(from).find(|from| from.name == container.name) {
            container.resources.clone_from(&from.resources);
        }
    }
}

/// The pod with the amounts that its containers have: what is asked for beyond them takes no room yet.
pub(crate) fn as_allocated(pod: &Pod) -> Option<PodSpec> {
    let mut spec = pod.spec.clone()?;
    let Some(status) = &pod.status else { return Some(spec) };
    let lists = [&status.init_container_statuses, &status.container_statuses];
    let statuses: Vec<&ContainerStatus> = lists.into_iter().flatten().flatten().collect();
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        let status = statuses.iter().find(|status| status.name == container.name);
        let Some((status, resources)) = status.zip(container.resources.as_mut()) else { continue };
        let Some(allocated) = &status.allocated_resources else { continue };
        resources.requests = Some(allocated.clone());
        if let Some(has) = &status.resources {
            resources.limits.clone_from(&has.limits);
        }
    }
    Some(spec)
}

/// A pod's control group with those of the containers that are to be changed.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) pod: PathBuf,
    pub(crate) limits: Limits,
    /// By their ids.
    pub(crate) containers: Vec<(String, Container)>,
    /// Others are yet to start anew: until then the pod as a whole is not limited.
    pub(crate) open: bool,
}

impl Change {
    /// Changes them, and says what the pod as a whole is limited to then. It is not limited meanwhile: what is inside must be
    /// within its limits at every step.
    pub(crate) fn apply(&self, hierarchy: &Hierarchy) -> Result<Option<Limits>, String> {
        let group = |id: &str| Cgroup::new(hierarchy, self.pod.join(id));
        for (id, container) in &self.containers {
            fits(&group(id), container_limits(container).memory)?;
        }
        let whole = Cgroup::new(hierarchy, &self.pod);
        if self.open || !self.containers.is_empty() {
            whole.limit(&self.unlimited()).map_err(|error| error.to_string())?;
        }
        let mut containers = self.containers.iter();
        let changed =
            containers.try_for_each(|(id, container)| group(id).limit(&container_limits(container)));
        // Also when that has failed: a pod is not left without limits.
        let closed = if self.open { Ok(()) } else { whole.limit(&self.limits) };
        changed.and(closed).map_err(|error| error.to_string())?;
        Ok((!self.open).then(|| self.limits.clone()))
    }

    fn unlimited(&self) -> Limits {
        Limits {
            cpu_quota: self.limits.cpu_quota.map(|_| -1),
            memory: self.limits.memory.map(|_| -1),
            ..Limits::default()
        }
    }
}

/// A limit below what is in use would be a death sentence.
fn fits(group: &Cgroup<'_>, limit: Option<i64>) -> Result<(), String> {
    let Some(limit) = limit.and_then(|limit| u64::try_from(limit).ok()) else { return Ok(()) };
    match group.usage() {
        Ok(usage) if usage.working_set_bytes > limit => Err(format!(
            "attempting to set container memory limit ({limit}) below current usage ({})",
            usage.working_set_bytes
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ContainerResizePolicy;
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

    use super::*;

    fn resources(cpu: &str, memory: &str) -> ResourceRequirements {
        let amounts = [("cpu", cpu), ("memory", memory)];
        let list = amounts.map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())));
        ResourceRequirements { requests: Some(list.into()), ..ResourceRequirements::default() }
    }

    #[test]
    fn amounts_are_compared_not_their_spelling() {
        let differing = |has: &ResourceRequirements, wanted: &ResourceRequirements| {
            super::differing(Some(has), Some(wanted)).join(" ")
        };
        assert_eq!(differing(&resources("1", "1Gi"), &resources("1000m", "1024Mi")), "");
        assert_eq!(differing(&resources("1", "1Gi"), &resources("1", "2Gi")), "memory");
        assert_eq!(super::differing(None, Some(&resources("1", "1"))), ["cpu", "memory"]);
    }

    #[test]
    fn a_container_is_started_anew_for_what_it_names() {
        let policy = |resource: &str, restart: &str| ContainerResizePolicy {
            resource_name: resource.to_owned(),
            restart_policy: restart.to_owned(),
        };
        let policies = vec![policy("cpu", "NotRequired"), policy("memory", "RestartContainer")];
        let container = Container { resize_policy: Some(policies), ..Container::default() };
        assert!(restarts(&container, &["cpu", "memory"]) && !restarts(&container, &["cpu"]));
    }

    #[test]
    fn what_is_asked_for_takes_no_room_before_it_is_given() {
        let container =
            Container { name: "app".into(), resources: Some(resources("8", "1Gi")), ..Container::default() };
        let spec = PodSpec { containers: vec![container], ..PodSpec::default() };
        let mut pod = Pod { spec: Some(spec.clone()), ..Pod::default() };
        assert_eq!(as_allocated(&pod), Some(spec));
        let status = ContainerStatus {
            name: "app".into(),
            allocated_resources: resources("1", "1Gi").requests,
            ..ContainerStatus::default()
        };
        pod.status.get_or_insert_default().container_statuses = Some(vec![status]);
        let allocated = as_allocated(&pod).unwrap().containers.remove(0);
        assert_eq!(allocated.resources, Some(resources("1", "1Gi")));
    }
}
