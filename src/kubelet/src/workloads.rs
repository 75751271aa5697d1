//! What runs on this node, for those who ask through the [server](crate::server).
//!
//! Read where it is kept anyway: pods from the cache, containers from the runtime, logs from their folder. Logs are there for as
//! long as the pod's object is, also when nothing of it runs any more.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use client::Key;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use oci::ContainerState;

use crate::container::{log_folder, log_path};
use crate::context::Context;
use crate::record::{id, parse_id};
use crate::server::{Container, Log, Network, Refusal, Running, Workloads};

#[derive(Debug)]
pub(crate) struct OfNode(pub(crate) Arc<Context>);

impl OfNode {
    fn pod(&self, namespace: &str, name: &str, uid: Option<&str>) -> Result<Arc<Pod>, Refusal> {
        let pod = self.0.caches.of::<Pod>().get(&Key::new(namespace, name));
        let ours = pod.filter(|pod| self.0.is_own(pod));
        let same = |pod: &Arc<Pod>| uid.is_none_or(|uid| pod.metadata.uid.as_deref() == Some(uid));
        ours.filter(same).ok_or_else(|| Refusal::not_found("pod does not exist"))
    }

    fn sandbox(&self, pod: &Pod) -> Option<oci::Pod> {
        self.0.pods.get(pod.metadata.uid.as_deref().unwrap_or_default())
    }

    /// The last container of this name, if it still runs.
    fn runs(&self, pod: &Pod, name: &str) -> Option<Container> {
        let sandbox = self.sandbox(pod)?;
        let last = {
            let state = sandbox.state();
            let state = state.borrow();
            let of_name =
                |id: &str| parse_id(id).filter(|(known, _)| *known == name).map(|(_, attempt)| attempt);
            let running = state.containers.iter().filter(|(_, state)| state.is_running());
            running.filter_map(|(id, _)| of_name(id)).max()?
        };
        Some(Container { pod: sandbox, id: id(name, last) })
    }
}

impl Workloads for OfNode {
    fn pods(&self) -> Vec<Arc<Pod>> {
        self.0.own_pods()
    }

    fn log(&self, namespace: &str, pod: &str, container: &str, previous: bool) -> Result<Log, Refusal> {
        let pod = self.pod(namespace, pod, None)?;
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let attempts = attempts(&log_folder(&self.0, &pod).join(container));
        let attempt = match previous {
            true => attempts.iter().rev().nth(1).copied().ok_or_else(|| {
                Refusal::bad_request(format!(
                    "previous terminated container {container:?} in pod {name:?} not found"
                ))
            })?,
            false => attempts.last().copied().ok_or_else(|| {
                let why = waiting(&pod, container);
                Refusal::bad_request(format!("container {container:?} in pod {name:?} is {why}"))
            })?,
        };
        let writer = self.runs(&pod, container).filter(|running| running.id == id(container, attempt));
        Ok(Log { path: log_path(&self.0, &pod, container, attempt), writer })
    }

    fn running(
        &self,
        namespace: &str,
        pod: &str,
        uid: Option<&str>,
        container: &str,
    ) -> Result<Running, Refusal> {
        let pod = self.pod(namespace, pod, uid)?;
        let running = self.runs(&pod, container);
        let running =
            running.ok_or_else(|| Refusal::not_found(format!("container not found ({container:?})")))?;
        let spec = running.pod.container_spec(&running.id).map_err(Refusal::internal)?;
        Ok(Running { container: running, process: spec.process })
    }

    fn network(&self, namespace: &str, pod: &str, uid: Option<&str>) -> Result<Network, Refusal> {
        let pod = self.pod(namespace, pod, uid)?;
        if pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true) {
            return Ok(Network::Host);
        }
        let running =
            |sandbox: &oci::Pod| sandbox.state().borrow().containers.values().any(ContainerState::is_running);
        let netns = self.sandbox(&pod).filter(running).and_then(|sandbox| sandbox.netns());
        netns.map(Network::Own).ok_or_else(|| Refusal::internal("the pod is not running"))
    }
}

/// The numbers of the containers that have logged, in order.
fn attempts(folder: &Path) -> Vec<u32> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |name: &str| name.strip_suffix(".log")?.parse().ok();
    let mut attempts: Vec<u32> = files.filter_map(|file| number(file.file_name().to_str()?)).collect();
    attempts.sort_unstable();
    attempts
}

/// Why a container has said nothing yet.
fn waiting(pod: &Pod, container: &str) -> String {
    let status = pod.status.as_ref();
    let of = |all: Option<&Vec<ContainerStatus>>| {
        all.into_iter().flatten().find(|status| status.name == container).cloned()
    };
    let found = status.and_then(|status| {
        of(status.container_statuses.as_ref()).or_else(|| of(status.init_container_statuses.as_ref()))
    });
    let reason = found.and_then(|status| status.state?.waiting?.reason);
    reason.map_or_else(|| "not available".into(), |reason| format!("waiting to start: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_logs() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["0.log", "10.log", "2.log", "2.log.20260101-000000", "x.log", "notes"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(attempts(folder.path()), [0, 2, 10]);
        assert_eq!(attempts(&folder.path().join("nowhere")), [0_u32; 0]);
    }
}
