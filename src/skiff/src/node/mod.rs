//! The node agent: everything that makes this machine run pods. The same on a server and alone.
//!
//! ```text
//! membership ─▶ kubelet ─▶ Node object ─▶ part of the pod network ─▶ network ─▶ kubelet's pods
//!               dns, proxy: from the shared caches       tunnel: the server's way to logs and exec
//! ```

mod archives;
mod membership;
mod network;
mod tunnel;
mod ways;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::network::{PodNetwork, local};
use anyhow::{Context, bail};
use client::{Caches, ListOptions, Recorder};
use dns::Dns;
use k8s_openapi::api::core::v1::{Pod, Taint};
use kubelet::server::{Server, Workloads, serve_stream};
use kubelet::{Config, Kubelet, Parts};
use oci::image::{Images, Registries};
use task::{Carrier, Ended, ReadySignal, Shutdown, Tasks, readiness};
use tokio::sync::{mpsc, watch};
use transport::tunnel::Here;

use self::membership::{Joining, Member, Renewal};
use self::network::NodeNetwork;
use self::ways::Ways;
use crate::address;
use crate::cluster::{Cluster, NODES, user_of_node};
use crate::config::{AgentConfig, Node, ServerConfig};
use crate::control_plane::Access;
use crate::lifecycle::Component;
use crate::version::VERSION;

/// Its own part of the data directory.
pub(crate) const FOLDER: &str = "agent";

/// Under this name the node's parts manage the fields that they write.
const PROGRAM: &str = "kubelet";

/// Where k3s' agents serve logs and exec; here it is only said, and reached through the tunnel.
const KUBELET_PORT: u16 = 10_250;
const DNS_PORT: u16 = 53;
const MOST_PODS: u32 = 110;
/// Streams that are there and not answered yet, and those that are answered at once.
const STREAMS_WAITING: usize = 16;
const STREAMS_AT_ONCE: usize = 256;

/// In nftables: what Services are.
const SERVICES_TABLE: &str = "skiff-services";

/// What means nothing after a restart of the machine: of the shims, and of the kubelet.
const SHIMS: &str = "/run/skiff/pods";
const RUN: &str = "/run/skiff/kubelet";
const LOGS: &str = "/var/log/pods";
const REGISTRIES: &str = "/etc/skiff/registries.yaml";
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// systemd-resolved's own file names the servers behind its stub, which pods cannot reach.
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";

/// What a node agent is made of, wherever it runs.
struct Agent {
    node: Node,
    address: IpAddr,
    data_dir: PathBuf,
    cluster: Cluster,
    caches: Caches,
    reach: Reach,
    /// Of the certificate; the agent of a server's machine needs none.
    renewal: Option<Renewal>,
}

/// How the server's streams come in.
enum Reach {
    Here(Here),
    Dial(Ways),
}

/// The agent of a server's own machine.
pub(crate) fn of_server(config: &ServerConfig, node: &Node, address: IpAddr, access: &Access) -> Component {
    let name = node.name.to_string();
    let agent = Agent {
        node: node.clone(),
        address,
        data_dir: config.data_dir.clone(),
        cluster: Cluster::of(config),
        // The process's caches see everything; only what the agent writes is its own.
        caches: access.caches.acting_as(access.client(&user_of_node(&name), &[NODES], PROGRAM)),
        reach: Reach::Here(access.tunnels().here(&name)),
        renewal: None,
    };
    let (signal, ready) = readiness();
    let (mut plane, held) = (access.ready.clone(), access.held.clone());
    Component::new("node agent", ready, move |shutdown| async move {
        let _held = held;
        match shutdown.or_requested(plane.wait()).await {
            Some(Ok(())) => agent.run(signal, shutdown).await,
            // The control plane ended, and tells why.
            Some(Err(_)) | None => Ok(()),
        }
    })
}

/// The agent of a machine that joins.
pub(crate) fn component(config: AgentConfig) -> Component {
    let (signal, ready) = readiness();
    Component::new("node agent", ready, move |shutdown| async move {
        let joining =
            Joining::open(&config.data_dir.join(FOLDER), &config.join, config.node.name.to_string())?;
        let Some(member) = shutdown.or_requested(joining.join()).await else { return Ok(()) };
        let member = member?;
        let ipv6 = member.cluster.pod_networks.first().is_some_and(|network| network.addr().is_ipv6());
        let finding = address::find(&config.node.addresses, &config.data_dir, ipv6);
        let Some(address) = shutdown.or_requested(finding).await else { return Ok(()) };
        let address = address?;
        let (renewal, ways) = joining.renewal(&member)?;
        let agent = Agent { renewal: Some(renewal), ..Agent::of(config, member, address.ip, ways) };
        tokio::select! {
            ended = agent.run(signal, shutdown) => ended,
            moved = address.hold() => Ok(moved.map(|never| match never {})?),
        }
    })
}

impl Agent {
    fn of(config: AgentConfig, member: Member, address: IpAddr, ways: Ways) -> Self {
        let client = ways::client(&config.join.server, ways.clone());
        let name = config.node.name.to_string();
        let ours = ListOptions { fields: format!("spec.nodeName={name}"), ..ListOptions::default() };
        Self {
            address,
            node: config.node,
            data_dir: config.data_dir,
            cluster: member.cluster,
            caches: Caches::new(client).narrow::<Pod>(ours),
            reach: Reach::Dial(ways),
            renewal: None,
        }
    }

    async fn run(mut self, ready: ReadySignal, shutdown: Shutdown) -> anyhow::Result<()> {
        let state = self.data_dir.join(FOLDER);
        let images = self.images(&state).await?;
        let (opened, network) = watch::channel(None);
        let writer = self.caches.client().clone();
        let (recorder, writing) = Recorder::new(writer, "kubelet", self.node.name.to_string());
        let parts =
            Parts { caches: self.caches.clone(), recorder, pods: oci::Pods::open(SHIMS)?, images, network };
        let kubelet = Kubelet::new(self.kubelet(&state), parts).context("start the kubelet")?;
        let mut tasks: Tasks<anyhow::Result<()>> = Tasks::new();
        tasks.spawn("events", async move {
            writing.await;
            Ok(())
        });
        if self.cluster.has_dns {
            let dns = self.dns().await?;
            tasks.spawn("dns", async move {
                dns.run().await;
                Ok(())
            });
        }
        tasks.spawn("network", self.network(state, opened).run());
        if let Some(renewal) = self.renewal.take() {
            tasks.spawn("certificate", renewal.run());
        }
        let proxy = self.proxy();
        tasks.spawn("proxy", async move { proxy::run(proxy).await.context("route Services") });
        let carrier = Arc::new(Carrier::default());
        let server = Server::new(kubelet.workloads(), carrier.clone());
        tasks.spawn("server", serve(self.reach, server, carrier));
        let kubelet = Box::pin(kubelet.run(shutdown.clone()));
        ready.set();
        // What ends before the shutdown ends the process; the pods live on, and a new start finds them. Asked to end, only the
        // kubelet has something to finish: all others go with it.
        tokio::select! {
            ended = kubelet => match ended.context("run the kubelet") {
                Ok(()) if !shutdown.is_requested() => bail!("the kubelet ended without being asked to"),
                ended => ended,
            },
            Some(Ended { name, output }) = tasks.next() => match output {
                Ok(()) => bail!("the node's {name} ended without being asked to"),
                Err(error) => Err(error.context(format!("the node's {name} failed"))),
            },
        }
    }

    /// The images of this machine, and those that somebody put beside them for a machine without a network.
    async fn images(&self, state: &Path) -> anyhow::Result<Images> {
        let registries = match std::fs::read_to_string(REGISTRIES) {
            Ok(text) => Registries::parse(&text).with_context(|| format!("read {REGISTRIES}"))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Registries::default(),
            Err(error) => return Err(error).with_context(|| format!("read {REGISTRIES}")),
        };
        let content = state.join("content");
        let opened = tokio::task::spawn_blocking(move || Images::open_with(content, registries));
        let images = opened.await.context("open the images")?.context("open the images of this machine")?;
        archives::import(&images, state).await;
        Ok(images)
    }

    fn kubelet(&self, state: &Path) -> Config {
        let labels = self.node.labels.iter().map(|label| (label.key.clone(), label.value.clone()));
        let taint = |taint: &crate::config::Taint| Taint {
            key: taint.key.clone(),
            value: Some(taint.value.clone()).filter(|value| !value.is_empty()),
            effect: taint.effect.to_string(),
            time_added: None,
        };
        Config {
            node_name: self.node.name.to_string(),
            node_ips: self.addresses(),
            labels: labels.collect::<BTreeMap<_, _>>(),
            taints: self.node.taints.iter().map(taint).collect(),
            cluster_dns: self.cluster.dns.clone(),
            cluster_domain: self.cluster.domain.clone(),
            pods_dir: state.join("pods"),
            run_dir: PathBuf::from(RUN),
            log_dir: PathBuf::from(LOGS),
            cgroup_root: PathBuf::from("/"),
            resolv_conf: resolv_conf(),
            port: KUBELET_PORT,
            max_pods: MOST_PODS,
            version: format!("v1.37.0+skiff-{}", VERSION.version),
        }
    }

    fn addresses(&self) -> Vec<IpAddr> {
        if self.node.addresses.is_empty() { vec![self.address] } else { self.node.addresses.clone() }
    }

    fn network(&self, state: PathBuf, opened: watch::Sender<Option<PodNetwork>>) -> NodeNetwork {
        NodeNetwork {
            node: self.node.name.to_string(),
            address: self.address,
            cluster: self.cluster.clone(),
            state,
            caches: self.caches.clone(),
            opened,
        }
    }

    fn proxy(&self) -> proxy::Context {
        let (routed, _) = readiness();
        proxy::Context {
            caches: self.caches.clone(),
            table: SERVICES_TABLE.into(),
            node_name: self.node.name.to_string(),
            node_ips: self.addresses(),
            cluster_cidrs: self.cluster.pod_networks.clone(),
            ready: routed,
        }
    }

    /// The name server, and the address that it answers at.
    async fn dns(&self) -> anyhow::Result<Dns> {
        let networks = self.cluster.pod_networks.iter().chain(&self.cluster.service_networks);
        let config = dns::Config {
            domain: self.cluster.domain.clone(),
            cluster_cidrs: networks.copied().collect(),
            listen: self.cluster.dns.iter().map(|address| SocketAddr::new(*address, DNS_PORT)).collect(),
            resolv_conf: resolv_conf(),
        };
        let dns = Dns::new(config, &self.caches).context("start the name server")?;
        let answering = local::answer_at(&self.cluster.dns).await;
        answering.context("answer at the name server's address")?;
        Ok(dns)
    }
}

/// Answers the streams that come in, until the process ends.
async fn serve<W: Workloads>(reach: Reach, server: Server<W>, carrier: Arc<Carrier>) -> anyhow::Result<()> {
    let (dialled, mut streams) = mpsc::channel(STREAMS_WAITING);
    let mut connections = Tasks::new();
    let (mut here, dialling) = match reach {
        Reach::Here(here) => (Some(here), None),
        Reach::Dial(ways) => (None, Some(tunnel::run(ways, dialled))),
    };
    let incoming = async {
        loop {
            let stream = match &mut here {
                Some(here) => Some(here.next().await),
                None => streams.recv().await,
            };
            let Some(stream) = stream else { return };
            let server = server.clone();
            connections.spawn("stream", async move {
                if let Err(error) = serve_stream(server, stream).await {
                    tracing::debug!(%error, "a stream from the API server ended");
                }
            });
            while connections.len() > STREAMS_AT_ONCE {
                connections.next().await;
            }
        }
    };
    let dialling = async {
        match dialling {
            Some(dialling) => dialling.await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = incoming => {}
        () = dialling => {}
        () = carrier.run() => {}
    }
    bail!("the streams from the API server ended")
}

fn resolv_conf() -> PathBuf {
    let resolved = Path::new(RESOLVED);
    if resolved.exists() { resolved.to_owned() } else { PathBuf::from(RESOLV_CONF) }
}
