//! What was typed: every option of `server` and `agent`, once.
//!
//! Each value is parsed by itself; what several options mean together stands in [`super::server`].

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::membership::ServerUrl;
use super::names::{DnsName, Label, SubjectAltName, Taint};
use crate::logs::Levels;

/// Run the control plane and, unless --disable-agent, this machine's node agent
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    pub(crate) general: GeneralArgs,
    #[command(flatten)]
    pub(super) membership: MembershipArgs,
    #[command(flatten)]
    pub(super) listener: ListenerArgs,
    #[command(flatten)]
    pub(super) audit: AuditArgs,
    #[command(flatten)]
    pub(super) network: NetworkArgs,
    #[command(flatten)]
    pub(super) components: ComponentArgs,
    #[command(flatten)]
    pub(super) node: NodeArgs,
}

/// Run the node agent alone
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    pub(crate) general: GeneralArgs,
    #[command(flatten)]
    pub(super) membership: MembershipArgs,
    #[command(flatten)]
    pub(super) node: NodeArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "General")]
pub(crate) struct GeneralArgs {
    /// Configuration file; FILE.d/*.yaml are read after it [default: /etc/skiff/config.yaml]
    // Read by the layers below the command line, before the final parse.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder that holds all state
    #[arg(short, long, value_name = "DIR", default_value = "/var/lib/skiff")]
    pub(super) data_dir: PathBuf,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct LogArgs {
    /// Level of the logs (error, warn, info, debug, trace, off), also per module: info,store=debug
    #[arg(long, value_name = "LEVELS", default_value = "info")]
    pub(crate) log_level: Levels,
    /// Form of the logs
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct MembershipArgs {
    /// Server to join, as https://HOST:6443
    #[arg(short, long, value_name = "URL")]
    pub(super) server: Option<ServerUrl>,
    /// Secret that nodes join the cluster with
    #[arg(short, long)]
    pub(super) token: Option<Secret>,
    /// File that holds the token
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
}

/// As it was typed: what clap refuses, it prints.
#[derive(Clone)]
pub(super) struct Secret(pub(super) String);

impl From<&str> for Secret {
    fn from(typed: &str) -> Self {
        Self(typed.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Listener")]
pub(super) struct ListenerArgs {
    /// Port of the API
    #[arg(long, value_name = "PORT", default_value_t = 6443, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) https_listen_port: u16,
    /// Further host name or address the server's certificate is valid for
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) tls_san: Vec<SubjectAltName>,
    /// File to write the administrator's kubeconfig to
    #[arg(short = 'o', long, value_name = "FILE", default_value = "/etc/skiff/kubeconfig.yaml")]
    pub(super) write_kubeconfig: PathBuf,
    /// Mode of that file
    #[arg(long, value_name = "MODE", default_value = "0600")]
    pub(super) write_kubeconfig_mode: FileMode,
}

/// As kube-apiserver has them, but for the limits: those of a board's card.
#[derive(Debug, Args)]
#[command(next_help_heading = "Audit")]
pub(super) struct AuditArgs {
    /// File to log all requests to the API in, or - for standard output
    #[arg(long, value_name = "FILE")]
    pub(super) audit_log_path: Option<PathBuf>,
    /// Megabytes after which a file is set aside
    #[arg(long, value_name = "MEGABYTES", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) audit_log_maxsize: u16,
    /// Files set aside that are kept; 0 for all
    #[arg(long, value_name = "FILES", default_value_t = 5)]
    pub(super) audit_log_maxbackup: u16,
    /// Days that they are kept for; 0 for ever
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    pub(super) audit_log_maxage: u16,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(super) struct NetworkArgs {
    /// Networks of the pods, one per address family [default: 10.42.0.0/16 or fd00:42::/56]
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub(super) cluster_cidr: Vec<IpNet>,
    /// Networks of the Services, one per address family [default: 10.43.0.0/16 or fd00:43::/112]
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub(super) service_cidr: Vec<IpNet>,
    /// Addresses of the cluster's DNS, in --service-cidr [default: its tenth address]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub(super) cluster_dns: Vec<IpAddr>,
    /// Domain of the cluster
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    pub(super) cluster_domain: DnsName,
    /// How pods of different nodes reach one another
    #[arg(long, value_enum, value_name = "BACKEND", default_value_t)]
    pub(super) network_backend: NetworkBackend,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NetworkBackend {
    /// Tunnels that flannel's nodes understand
    #[default]
    Vxlan,
    /// Routes between nodes in one layer 2 network
    HostGw,
    /// Leave it to something else
    None,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Components")]
pub(super) struct ComponentArgs {
    /// Component to leave out: dns
    #[arg(long, value_name = "COMPONENT", value_delimiter = ',')]
    pub(super) disable: Vec<Packaged>,
    /// Run no node agent on this machine
    #[arg(long, value_parser = BoolishValueParser::new(), num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    pub(super) disable_agent: bool,
}

/// The parts of a cluster that can be left out; k3s's names for them are taken too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Packaged {
    Dns,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotPackaged {
    #[error("k3s packages it, this version of skiff has none: take it off the list")]
    Absent,
    #[error("there is no such component: only `dns` can be left out")]
    Unknown,
}

impl FromStr for Packaged {
    type Err = NotPackaged;

    fn from_str(text: &str) -> Result<Self, NotPackaged> {
        match text {
            "dns" | "coredns" => Ok(Self::Dns),
            "traefik" | "servicelb" | "local-storage" | "metrics-server" | "runtimes" => {
                Err(NotPackaged::Absent)
            }
            _ => Err(NotPackaged::Unknown),
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Node")]
pub(super) struct NodeArgs {
    /// Name of this node [default: the host name]
    #[arg(long, value_name = "NAME")]
    pub(super) node_name: Option<DnsName>,
    /// Addresses of this node, one per address family [default: that of the default route]
    #[arg(short = 'i', long, value_name = "ADDRESS", value_delimiter = ',')]
    pub(super) node_ip: Vec<IpAddr>,
    /// Label to register this node with
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub(super) node_label: Vec<Label>,
    /// Taint to register this node with
    #[arg(long, value_name = "KEY=VALUE:EFFECT", value_delimiter = ',')]
    pub(super) node_taint: Vec<Taint>,
}

/// The permission bits of a file, typed in octal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileMode(u32);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a file mode: expected octal digits up to 0777")]
pub(crate) struct NotAMode;

impl FromStr for FileMode {
    type Err = NotAMode;

    fn from_str(text: &str) -> Result<Self, NotAMode> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(Self).ok_or(NotAMode)
    }
}

impl FileMode {
    pub(crate) fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for FileMode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_modes_are_octal() {
        for text in ["0600", "600", "0o600"] {
            assert_eq!(text.parse(), Ok(FileMode(0o600)), "{text}");
        }
        for text in ["", "rw", "0800", "01777", "-1"] {
            assert_eq!(text.parse::<FileMode>(), Err(NotAMode), "{text}");
        }
        assert_eq!(FileMode(0o40).to_string(), "0040");
    }
}
