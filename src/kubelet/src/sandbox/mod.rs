//! What the containers of a pod share: namespaces, names, name servers and a network, made from the pod's spec.

mod hosts;
mod name_servers;
mod sysctls;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use oci::cgroup::Cgroup;
use oci::{Ipc, Network, PidNamespace};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::context::Context;
use crate::host_ports;
use crate::resources::{Qos, pod_cgroup, pod_limits};
use crate::volumes::{self, Mounted};

pub(crate) use hosts::hostname;
pub(crate) use sysctls::forbidden;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The message of a FailedMount event.
    #[error(transparent)]
    Volumes(#[from] volumes::Error),
    #[error("{0} is not supported by skiff")]
    Unsupported(&'static str),
    #[error("the pod has no uid or no spec")]
    Incomplete,
    #[error("cannot write {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("cannot make the pod's control group: {0}")]
    Cgroup(#[from] oci::cgroup::Error),
    #[error(transparent)]
    Runtime(#[from] oci::Error),
    #[error("the node has no addresses for pods")]
    NoNetwork,
    #[error("cannot connect the pod to the network: {0}")]
    Network(#[from] network::pods::Error),
}

/// A sandbox that containers can be started in.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub(crate) pod: oci::Pod,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) volumes: Arc<BTreeMap<String, Mounted>>,
}

/// Makes whatever of the pod's sandbox is not there yet. `deadline` is set when the pod ends: then it needs no network any more.
pub(crate) async fn make(
    context: &Context,
    pod: &Arc<Pod>,
    mut deadline: watch::Receiver<Option<Instant>>,
) -> Result<Ready, Error> {
    let (Some(uid), Some(spec)) = (pod.metadata.uid.as_deref(), &pod.spec) else {
        return Err(Error::Incomplete);
    };
    supported(spec)?;
    let volumes = context.volumes.prepare(pod).await?;
    let sandbox = match usable(context, uid).await? {
        Some(sandbox) => sandbox,
        None => create(context, pod, uid, spec).await?,
    };
    let ips = match sandbox.netns() {
        Some(netns) => {
            let network = tokio::select! {
                network = context.network() => network,
                _ = deadline.wait_for(Option::is_some) => None,
            };
            let network = network.ok_or(Error::NoNetwork)?;
            let ips = network.attach(uid, &netns).await?;
            network.lead(uid, &ips, &host_ports::to_lead(spec)).await?;
            ips
        }
        None => context.config.node_ips.clone(),
    };
    write_files(context, pod, uid, spec, &ips)?;
    Ok(Ready { pod: sandbox, ips, volumes: Arc::new(volumes) })
}

/// The sandbox that is there already, if it is alive; what is left of a dead one goes away.
async fn usable(context: &Context, uid: &str) -> Result<Option<oci::Pod>, Error> {
    let Some(sandbox) = context.pods.get(uid) else { return Ok(None) };
    if sandbox.state().borrow().sandbox != oci::Sandbox::Gone {
        return Ok(Some(sandbox));
    }
    sandbox.remove().await?;
    Ok(None)
}

async fn create(context: &Context, pod: &Pod, uid: &str, spec: &PodSpec) -> Result<oci::Pod, Error> {
    let cgroup = pod_cgroup(&context.config.cgroup_root, Qos::of(pod), uid);
    let group = Cgroup::new(&context.hierarchy, &cgroup);
    group.create()?;
    group.limit(&pod_limits(spec))?;
    let wanted = oci::PodSpec {
        id: uid.to_owned(),
        hostname: hostname(pod, &context.config),
        cgroup,
        network: if is(spec.host_network) { Network::Host } else { Network::Own },
        ipc: if is(spec.host_ipc) { Ipc::Host } else { Ipc::Own },
        pid: match (is(spec.host_pid), is(spec.share_process_namespace)) {
            (true, _) => PidNamespace::Host,
            (false, true) => PidNamespace::Pod,
            (false, false) => PidNamespace::Container,
        },
        sysctls: sysctls::of(spec),
    };
    Ok(context.pods.create_pod(wanted).await?)
}

pub(crate) fn is(flag: Option<bool>) -> bool {
    flag.unwrap_or(false)
}

/// What would otherwise be ignored in silence.
fn supported(spec: &PodSpec) -> Result<(), Error> {
    let has = |list: Option<usize>| list.is_some_and(|length| length > 0);
    let asked = [
        ("spec.runtimeClassName", spec.runtime_class_name.as_deref().is_some_and(|name| !name.is_empty())),
        ("spec.hostUsers: false", spec.host_users == Some(false)),
        ("spec.resourceClaims", has(spec.resource_claims.as_ref().map(Vec::len))),
    ];
    asked.iter().find(|(_, asked)| *asked).map_or(Ok(()), |(name, _)| Err(Error::Unsupported(name)))
}

/// The folder of a pod's own small files.
pub(crate) fn folder(context: &Context, uid: &str) -> PathBuf {
    context.config.run_dir.join(uid)
}

/// Written in place: containers hold them by bind mounts.
fn write_files(context: &Context, pod: &Pod, uid: &str, spec: &PodSpec, ips: &[IpAddr]) -> Result<(), Error> {
    let folder = folder(context, uid);
    fs::create_dir_all(&folder).map_err(|source| Error::File { path: folder.clone(), source })?;
    let name = hostname(pod, &context.config);
    write(&folder.join("hosts"), &hosts::file(pod, spec, &name, ips, &context.config))?;
    write(&folder.join("hostname"), &format!("{name}\n"))?;
    write(&folder.join("resolv.conf"), &name_servers::file(pod, spec, &context.config))
}

fn write(path: &Path, content: &str) -> Result<(), Error> {
    if fs::read_to_string(path).is_ok_and(|current| current == content) {
        return Ok(());
    }
    fs::write(path, content).map_err(|source| Error::File { path: path.to_owned(), source })
}
