//! What every machine of a cluster must know of it, and learns when it joins.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::config::{NetworkBackend, ServerConfig};

/// Where a machine asks to join, with a token.
pub(crate) const JOIN_PATH: &str = "/v1-skiff/join";
/// Where a node keeps its connection open, and below it brings streams.
pub(crate) const TUNNEL_PATH: &str = "/v1-skiff/tunnel";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cluster {
    pub(crate) pod_networks: Vec<IpNet>,
    pub(crate) service_networks: Vec<IpNet>,
    pub(crate) dns: Vec<IpAddr>,
    /// Whether nodes answer there themselves.
    pub(crate) has_dns: bool,
    pub(crate) domain: String,
    pub(crate) backend: NetworkBackend,
}

#[cfg(test)]
impl Cluster {
    pub(crate) fn without_networks() -> Self {
        Self {
            pod_networks: vec![],
            service_networks: vec![],
            dns: vec![],
            has_dns: false,
            domain: "cluster.local".into(),
            backend: NetworkBackend::None,
        }
    }
}

/// What a machine says of itself to join; its token is in the header.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Application {
    pub(crate) node: String,
    /// Made by the machine at its first start: no other can take the node's name with the token alone.
    pub(crate) password: String,
    /// The request for a certificate, PEM.
    pub(crate) request: String,
}

/// What it gets.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Admission {
    pub(crate) certificate: String,
    pub(crate) cluster: Cluster,
}

impl Cluster {
    pub(crate) fn of(config: &ServerConfig) -> Self {
        let network = &config.network;
        Self {
            pod_networks: network.cluster_cidr.clone(),
            service_networks: network.service_cidr.clone(),
            dns: network.cluster_dns.clone(),
            has_dns: config.has_dns(),
            domain: network.cluster_domain.to_string(),
            backend: network.backend,
        }
    }
}

/// Who a node is to the API.
pub(crate) fn user_of_node(name: &str) -> String {
    format!("system:node:{name}")
}

pub(crate) const NODES: &str = "system:nodes";
