//! The node in the cluster's network: its part of the pod addresses, its way to the other nodes and theirs to it.
//!
//! Which part of the pod network is this node's stands in its Node object, and is kept on disk: after a power cut pods get
//! their addresses back before any server is asked, and before the machine has a network of its own.

use std::convert::Infallible;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use client::{Cache, Caches, Key, Patch};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::Node;
use network::netlink::Mac;
use network::overlay;
use network::{Backend, Overlay, OverlayConfig, Peer, PodNetwork, PodNetworkConfig};
use pki::file;
use serde::{Deserialize, Serialize};
use serde_json::json;
use task::{Backoff, causes};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::cluster::Cluster;
use crate::config::NetworkBackend;

/// What flannel calls these: its nodes read ours, and we read theirs.
const MAC: &str = "flannel.alpha.coreos.com/backend-data";
const KIND: &str = "flannel.alpha.coreos.com/backend-type";
const MANAGED: &str = "flannel.alpha.coreos.com/kube-subnet-manager";
const ADDRESS: &str = "flannel.alpha.coreos.com/public-ip";

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

pub(super) struct NodeNetwork {
    pub(super) node: String,
    pub(super) address: IpAddr,
    pub(super) cluster: Cluster,
    /// Where what must survive a restart is kept.
    pub(super) state: PathBuf,
    pub(super) caches: Caches,
    /// Whom the pods' network is told to, once there is one.
    pub(super) opened: watch::Sender<Option<PodNetwork>>,
}

/// What the pods' network was when this node ran last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    networks: Vec<IpNet>,
    mtu: u32,
}

impl NodeNetwork {
    /// Opens the network and keeps the ways to the other nodes up to date. Ends only when it cannot go on.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let opened = self.opened.subscribe();
        tokio::select! {
            ended = self.follow() => ended,
            ended = keep_ports(opened) => ended.map(|never| match never {}),
        }
    }

    async fn follow(self) -> anyhow::Result<()> {
        let nodes = self.caches.of::<Node>();
        let kept = Kept::read(&self.state)?;
        let ours = match &kept {
            Some(kept) => kept.networks.clone(),
            None => assigned(&nodes, &self.node).await,
        };
        let (pods, mut overlay) = self.open(&ours, kept.as_ref()).await?;
        nodes.synced().await;
        self.tell(&overlay).await;
        let mut changes = nodes.changes();
        loop {
            pods.set_mtu(overlay.mtu());
            let now = assigned(&nodes, &self.node).await;
            Kept { networks: now.clone(), mtu: overlay.mtu() }.keep(&self.state)?;
            if now != ours {
                bail!(
                    "this node's part of the pod network was {ours:?} and is {now:?}: starting again with it"
                );
            }
            if let Err(error) = overlay.set_peers(&peers(&nodes, &self.node)).await {
                let error = anyhow::Error::from(error);
                warn!("cannot set the ways to the other nodes, trying again when one changes: {error:#}");
            }
            tokio::select! {
                _ = changes.next() => {}
                changed = overlay.changed() => {
                    changed.context("follow the link to the other nodes")?;
                    overlay = self.overlay(&ours).await;
                }
            }
        }
    }

    /// Pods do not wait for the way to the other nodes: until it can be opened they have the network that was here last.
    async fn open(&self, ours: &[IpNet], kept: Option<&Kept>) -> anyhow::Result<(PodNetwork, Overlay)> {
        let error = match Overlay::open(self.config(ours)).await {
            Ok(overlay) => return Ok((self.pods(ours, overlay.mtu()).await?, overlay)),
            Err(error) => anyhow::Error::from(error),
        };
        warn!("cannot open the way to the other nodes yet: {error:#}");
        Overlay::guard(&self.config(ours)).await.context("keep the cluster's addresses inside")?;
        let Some(kept) = kept else {
            let overlay = self.overlay(ours).await;
            return Ok((self.pods(ours, overlay.mtu()).await?, overlay));
        };
        Ok((self.pods(ours, kept.mtu).await?, self.overlay(ours).await))
    }

    /// The way to the other nodes, as soon as it can be opened: at the start, when the link to them changed, or when somebody
    /// removed our rules.
    async fn overlay(&self, ours: &[IpNet]) -> Overlay {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            let error = match Overlay::open(self.config(ours)).await {
                Ok(overlay) => return overlay,
                Err(error) => error,
            };
            let error = match error {
                overlay::Error::NoSuchAddress { address } => match Overlay::possible(address).await {
                    Ok(()) => continue,
                    Err(error) => error,
                },
                error => error,
            };
            let error = anyhow::Error::from(error);
            warn!("cannot open the way to the other nodes, trying again: {error:#}");
            backoff.wait().await;
        }
    }

    fn config(&self, ours: &[IpNet]) -> OverlayConfig {
        OverlayConfig {
            backend: match self.cluster.backend {
                NetworkBackend::Vxlan => Backend::default(),
                NetworkBackend::HostGw => Backend::HostGw,
                NetworkBackend::None => Backend::None,
            },
            cluster_cidrs: self.cluster.pod_networks.clone(),
            service_cidrs: self.cluster.service_networks.clone(),
            pod_cidrs: ours.to_vec(),
            node_ip: Some(self.address),
        }
    }

    async fn pods(&self, ours: &[IpNet], mtu: u32) -> anyhow::Result<PodNetwork> {
        let networks = self.cluster.pod_networks.iter().chain(&self.cluster.service_networks);
        let pods = PodNetworkConfig {
            state: self.state.join("addresses"),
            pod_cidrs: ours.to_vec(),
            cluster_cidrs: networks.copied().collect(),
            mtu,
        };
        let pods = PodNetwork::open(pods).await.context("open the network of the pods")?;
        info!(part = ?ours, "the network of the pods is open");
        self.opened.send_replace(Some(pods.clone()));
        Ok(pods)
    }

    /// Says of this node what the others must know to reach its pods.
    async fn tell(&self, overlay: &Overlay) {
        let kind = if overlay.mac().is_some() { "vxlan" } else { "host-gw" };
        let data = overlay.mac().map(|mac| json!({"VNI": 1, "VtepMAC": written(mac)}).to_string());
        let annotations = json!({MAC: data.unwrap_or_else(|| "null".into()), KIND: kind, MANAGED: "true",
            ADDRESS: overlay.node_ip().to_string()});
        let key = Key::new("", &self.node);
        let already = self.caches.of::<Node>().get(&key).is_some_and(|node| {
            let said = node.metadata.annotations.as_ref();
            let wanted = annotations.as_object().into_iter().flatten();
            wanted.into_iter().all(|(name, value)| {
                said.and_then(|said| said.get(name)).map(String::as_str) == value.as_str()
            })
        });
        if already {
            return;
        }
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        while let Err(error) = self.caches.client().patch::<Node>(&key, None, &patch).await {
            warn!(error = %causes(&error), "cannot tell the other nodes how to reach this one, trying again");
            backoff.wait().await;
        }
    }
}

/// Puts the ports of the node that lead to pods back whenever somebody removes them.
async fn keep_ports(mut opened: watch::Receiver<Option<PodNetwork>>) -> anyhow::Result<Infallible> {
    let pods = opened.wait_for(Option::is_some).await?.clone().expect("it was waited for");
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        pods.ports_removed().await.context("follow what becomes of the ports that lead to pods")?;
        warn!("somebody removed the ports of this node that lead to pods, putting them back");
        while let Err(error) = pods.put_ports_back().await {
            let error = anyhow::Error::from(error);
            warn!("cannot lead ports of this node to pods, trying again: {error:#}");
            backoff.wait().await;
        }
        backoff.reset();
    }
}

/// This node's networks, as soon as it has some.
async fn assigned(nodes: &Cache<Node>, name: &str) -> Vec<IpNet> {
    let mut changes = nodes.changes();
    loop {
        let node = nodes.get(&Key::new("", name));
        let networks = node.map(|node| networks(&node)).unwrap_or_default();
        if !networks.is_empty() {
            return networks;
        }
        changes.next().await;
    }
}

fn networks(node: &Node) -> Vec<IpNet> {
    let spec = node.spec.as_ref();
    let all = spec.and_then(|spec| spec.pod_cidrs.as_ref()).into_iter().flatten();
    all.filter_map(|network| network.parse().ok()).collect()
}

/// The other nodes that can be reached: those with an address and a part of the network.
fn peers(nodes: &Cache<Node>, ours: &str) -> Vec<Peer> {
    let others = nodes.list();
    let others = others.iter().filter(|node| node.metadata.name.as_deref() != Some(ours));
    others.filter_map(|node| peer(node)).collect()
}

fn peer(node: &Node) -> Option<Peer> {
    let annotation = |name: &str| node.metadata.annotations.as_ref()?.get(name).cloned();
    let reported = node.status.as_ref().and_then(|status| {
        let internal = status.addresses.iter().flatten().find(|address| address.type_ == "InternalIP")?;
        internal.address.parse().ok()
    });
    let node_ip = annotation(ADDRESS).and_then(|address| address.parse().ok()).or(reported)?;
    let pod_cidrs = networks(node);
    let mac = annotation(MAC).and_then(|data| read(&data));
    (!pod_cidrs.is_empty()).then_some(Peer { node_ip, pod_cidrs, mac })
}

fn written(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// The hardware address in flannel's words.
fn read(data: &str) -> Option<Mac> {
    let data: serde_json::Value = serde_json::from_str(data).ok()?;
    let bytes: Option<Vec<u8>> =
        data["VtepMAC"].as_str()?.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes?.try_into().ok()
}

fn path(state: &Path) -> PathBuf {
    state.join("pod-networks.json")
}

impl Kept {
    fn read(state: &Path) -> anyhow::Result<Option<Self>> {
        let path = path(state);
        let text = file::read(&path).with_context(|| format!("read {}", path.display()))?;
        let kept = text.and_then(|text| serde_json::from_str(&text).ok());
        Ok(kept.filter(|kept: &Self| !kept.networks.is_empty()))
    }

    fn keep(&self, state: &Path) -> anyhow::Result<()> {
        if Self::read(state)?.as_ref() == Some(self) {
            return Ok(());
        }
        let path = path(state);
        let text = serde_json::to_string(self)?;
        file::write(&path, text.as_bytes(), file::PUBLIC).with_context(|| format!("write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardware_address_survives_flannels_words() {
        let mac = [0x02, 0xab, 0, 1, 2, 0xff];
        assert_eq!(read(&json!({"VNI": 1, "VtepMAC": written(mac)}).to_string()), Some(mac));
        for wrong in ["null", "{}", r#"{"VtepMAC": "1:2"}"#, r#"{"VtepMAC": "02:ab:00:01:02:fg"}"#] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_part_of_the_network_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Kept::read(folder.path()).unwrap(), None);
        let kept = Kept { networks: vec!["10.42.3.0/24".parse().unwrap()], mtu: 1450 };
        kept.keep(folder.path()).unwrap();
        assert_eq!(Kept::read(folder.path()).unwrap(), Some(kept));
    }
}
