//! The node in the cluster's network: its part of the pod addresses, its way to the other nodes and theirs to it.
//!
//! Which part of the pod network is this node's stands in its Node object, and is kept on disk: after a power cut pods get
//! their addresses back before any server is asked.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use client::{Cache, Caches, Key, Patch};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::Node;
use network::netlink::Mac;
use network::{Backend, Overlay, OverlayConfig, Peer, PodNetwork, PodNetworkConfig};
use pki::file;
use serde_json::json;
use task::Backoff;
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

impl NodeNetwork {
    /// Opens the network and keeps the ways to the other nodes up to date. Ends only when it cannot go on.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let nodes = self.caches.of::<Node>();
        let kept = kept(&self.state)?;
        let ours = match kept.clone() {
            Some(networks) => networks,
            None => assigned(&nodes, &self.node).await,
        };
        keep(&self.state, &ours)?;
        let mut overlay = self.overlay(&ours).await?;
        self.open_pods(&ours, overlay.mtu()).await?;
        nodes.synced().await;
        self.tell(&overlay).await;
        let mut changes = nodes.changes();
        loop {
            let now = assigned(&nodes, &self.node).await;
            if now != ours {
                keep(&self.state, &now)?;
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
                    overlay = self.reopened(&ours).await;
                }
            }
        }
    }

    /// The way to the other nodes anew: the link to them changed, or somebody removed our rules.
    async fn reopened(&self, ours: &[IpNet]) -> Overlay {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            match self.overlay(ours).await {
                Ok(overlay) => return overlay,
                Err(error) => warn!("cannot open the way to the other nodes again: {error:#}"),
            }
            backoff.wait().await;
        }
    }

    async fn overlay(&self, ours: &[IpNet]) -> anyhow::Result<Overlay> {
        let config = OverlayConfig {
            backend: match self.cluster.backend {
                NetworkBackend::Vxlan => Backend::default(),
                NetworkBackend::HostGw => Backend::HostGw,
                NetworkBackend::None => Backend::None,
            },
            cluster_cidrs: self.cluster.pod_networks.clone(),
            service_cidrs: self.cluster.service_networks.clone(),
            pod_cidrs: ours.to_vec(),
            node_ip: Some(self.address),
        };
        Overlay::open(config).await.context("open the way to the other nodes")
    }

    async fn open_pods(&self, ours: &[IpNet], mtu: u32) -> anyhow::Result<()> {
        let networks = self.cluster.pod_networks.iter().chain(&self.cluster.service_networks);
        let pods = PodNetworkConfig {
            state: self.state.join("addresses"),
            pod_cidrs: ours.to_vec(),
            cluster_cidrs: networks.copied().collect(),
            mtu,
        };
        let pods = PodNetwork::open(pods).await.context("open the network of the pods")?;
        info!(part = ?ours, "the network of the pods is open");
        self.opened.send_replace(Some(pods));
        Ok(())
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
            warn!(%error, "cannot tell the other nodes how to reach this one, trying again");
            backoff.wait().await;
        }
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

fn kept(state: &Path) -> anyhow::Result<Option<Vec<IpNet>>> {
    let path = path(state);
    let text = file::read(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(text
        .and_then(|text| serde_json::from_str(&text).ok())
        .filter(|networks: &Vec<IpNet>| !networks.is_empty()))
}

fn keep(state: &Path, networks: &[IpNet]) -> anyhow::Result<()> {
    if kept(state)?.as_deref() == Some(networks) {
        return Ok(());
    }
    let path = path(state);
    let text = serde_json::to_string(networks)?;
    file::write(&path, text.as_bytes(), file::PUBLIC).with_context(|| format!("write {}", path.display()))
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
        assert_eq!(kept(folder.path()).unwrap(), None);
        let networks: Vec<IpNet> = vec!["10.42.3.0/24".parse().unwrap()];
        keep(folder.path(), &networks).unwrap();
        assert_eq!(kept(folder.path()).unwrap(), Some(networks));
    }
}
