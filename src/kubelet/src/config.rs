//! What the node agent is told when it is built.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::Taint;

#[derive(Debug, Clone)]
pub struct Config {
    pub node_name: String,
    /// The preferred one first.
    pub node_ips: Vec<IpAddr>,
    /// Labels beside those that every node has; the node's object gets them at each start.
    pub labels: BTreeMap<String, String>,
    /// Given to the node's object when it is made; who removes one later has removed it.
    pub taints: Vec<Taint>,
    pub cluster_dns: Vec<IpAddr>,
    pub cluster_domain: String,
    /// Where the pods' objects and volumes are kept, on disk: `DATA/agent/pods`.
    pub pods_dir: PathBuf,
    /// What means nothing after a restart of the machine, such as the pods' `/etc/hosts`: on a tmpfs.
    pub run_dir: PathBuf,
    /// Logs of containers, such as `/var/log/pods`.
    pub log_dir: PathBuf,
    /// The control group above those of the pods; `/` usually.
    pub cgroup_root: PathBuf,
    /// The node's own `/etc/resolv.conf`, or another one with name servers that pods can reach.
    pub resolv_conf: PathBuf,
    /// Where logs and exec are served.
    pub port: u16,
    pub max_pods: u32,
    /// As the node's object shows it, such as `v1.37.0+skiff1`.
    pub version: String,
}
