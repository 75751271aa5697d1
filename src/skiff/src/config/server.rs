//! What the options of `skiff server` and `skiff agent` mean together.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::membership::{self, Join, Membership};
use super::names::SubjectAltName;
use super::network::{self, Network};
use super::node::{self, Node};
use super::typed::{AgentArgs, AuditArgs, FileMode, Packaged, ServerArgs};
use crate::check::Settings;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServerConfig {
    pub(crate) host_name: String,
    pub(crate) data_dir: PathBuf,
    pub(crate) membership: Membership,
    pub(crate) https_listen_port: u16,
    pub(crate) subject_alt_names: Vec<SubjectAltName>,
    pub(crate) kubeconfig: Kubeconfig,
    /// None without `--audit-log-path`.
    pub(crate) audit: Option<AuditLog>,
    pub(crate) network: Network,
    pub(crate) disabled: BTreeSet<Packaged>,
    /// None with `--disable-agent`.
    pub(crate) node: Option<Node>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentConfig {
    pub(crate) data_dir: PathBuf,
    pub(crate) join: Join,
    pub(crate) node: Node,
}

/// The administrator's kubeconfig.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Kubeconfig {
    pub(crate) path: PathBuf,
    pub(crate) mode: FileMode,
}

/// The log of what is asked of the API.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditLog {
    /// `-` for standard output.
    pub(crate) path: PathBuf,
    pub(crate) largest_bytes: u64,
    pub(crate) backups: Option<u16>,
    pub(crate) days: Option<u16>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Contradiction {
    #[error("--data-dir {} is relative: it would depend on where skiff is started", path.display())]
    RelativeDataDir { path: PathBuf },
    #[error("--audit-log-path {} is relative: it would depend on where skiff is started", path.display())]
    RelativeAuditLog { path: PathBuf },
    #[error(transparent)]
    Membership(#[from] membership::Error),
    #[error(transparent)]
    Network(#[from] network::Error),
    #[error(transparent)]
    Node(#[from] node::Error),
}

impl ServerConfig {
    /// Where this machine's own clients find the API.
    pub(crate) fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.https_listen_port)
    }

    /// Whether nodes answer for the names of the cluster, or somebody's own pods do.
    pub(crate) fn has_dns(&self) -> bool {
        !self.disabled.contains(&Packaged::Dns)
    }

    /// What it asks of the machine.
    pub(crate) fn demands(&self) -> Settings {
        Settings {
            data_dir: self.data_dir.clone(),
            https_listen_port: Some(self.https_listen_port),
            cluster_dns: if self.has_dns() { self.network.cluster_dns.clone() } else { Vec::new() },
        }
    }
}

impl AgentConfig {
    /// What it asks of the machine; where DNS answers is learned from the server.
    pub(crate) fn demands(&self) -> Settings {
        Settings { data_dir: self.data_dir.clone(), https_listen_port: None, cluster_dns: Vec::new() }
    }
}

impl ServerArgs {
    pub(crate) fn meaning(self, host_name: &str) -> Result<ServerConfig, Contradiction> {
        let node_ip = self.node.node_ip.clone();
        let node = self.node.meaning(host_name)?;
        Ok(ServerConfig {
            host_name: host_name.to_ascii_lowercase(),
            data_dir: absolute(self.general.data_dir)?,
            membership: self.membership.of_server()?,
            https_listen_port: self.listener.https_listen_port,
            subject_alt_names: self.listener.tls_san,
            kubeconfig: Kubeconfig {
                path: self.listener.write_kubeconfig,
                mode: self.listener.write_kubeconfig_mode,
            },
            audit: self.audit.meaning()?,
            network: self.network.meaning(&node_ip)?,
            disabled: self.components.disable.into_iter().collect(),
            node: (!self.components.disable_agent).then_some(node),
        })
    }
}

impl AuditArgs {
    fn meaning(self) -> Result<Option<AuditLog>, Contradiction> {
        let Some(path) = self.audit_log_path else { return Ok(None) };
        if path.is_relative() && path.as_os_str() != "-" {
            return Err(Contradiction::RelativeAuditLog { path });
        }
        let limit = |limit: u16| (limit > 0).then_some(limit);
        Ok(Some(AuditLog {
            path,
            largest_bytes: u64::from(self.audit_log_maxsize) << 20,
            backups: limit(self.audit_log_maxbackup),
            days: limit(self.audit_log_maxage),
        }))
    }
}

impl AgentArgs {
    pub(crate) fn meaning(self, host_name: &str) -> Result<AgentConfig, Contradiction> {
        Ok(AgentConfig {
            data_dir: absolute(self.general.data_dir)?,
            join: self.membership.of_agent()?,
            node: self.node.meaning(host_name)?,
        })
    }
}

fn absolute(path: PathBuf) -> Result<PathBuf, Contradiction> {
    if path.is_absolute() { Ok(path) } else { Err(Contradiction::RelativeDataDir { path }) }
}
