//! What to run: plain data, given by the node agent and kept on disk for as long as the pod lives.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::capabilities::Capabilities;
use crate::cgroup::{DeviceRule, Limits};

/// What the containers of a pod share.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PodSpec {
    /// Unique on this node; a file name.
    pub id: String,
    /// What `hostname` says in the pod. Not used with the host's network: such a pod shares the host's name too.
    pub hostname: String,
    /// The pod's own control group, such as `/kubepods/burstable/pod1234`, with a group for each container below it.
    /// Created when it is not there; removed with the pod.
    pub cgroup: PathBuf,
    pub network: Network,
    pub ipc: Ipc,
    /// What containers get that do not say otherwise.
    pub pid: PidNamespace,
    /// Kernel parameters of the pod's own namespaces, such as `net.ipv4.ip_unprivileged_port_start`.
    pub sysctls: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// The pod's own namespace, with nothing but loopback in it.
    #[default]
    Own,
    Host,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ipc {
    #[default]
    Own,
    Host,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PidNamespace {
    /// Each container its own.
    #[default]
    Container,
    /// One for the pod.
    Pod,
    Host,
    /// That of another container in the pod, which must be running.
    Of(String),
}

/// One container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Unique in the pod; a file name.
    pub id: String,
    /// The root filesystem, mounted by whoever made it.
    pub rootfs: PathBuf,
    pub read_only_rootfs: bool,
    pub process: Process,
    /// All devices, a writable `/sys` and control groups, nothing masked. Capabilities and seccomp are told in `process`.
    pub privileged: bool,
    /// Show all of `/proc`, as `procMount: Unmasked` does.
    pub unmasked: bool,
    /// `None`: the pod's choice.
    pub pid: Option<PidNamespace>,
    /// In this order, on top of `/proc`, `/dev`, `/sys` and the like, which are always there.
    pub mounts: Vec<Mount>,
    pub devices: Vec<Device>,
    pub limits: Limits,
    pub log: Option<Log>,
    pub stdin: Stdin,
}

/// A process in a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    pub args: Vec<String>,
    /// `NAME=value`. Without a `PATH` the usual one is taken.
    pub env: Vec<String>,
    /// Created when it is not there.
    pub cwd: PathBuf,
    pub user: User,
    pub terminal: Option<Size>,
    pub capabilities: Capabilities,
    pub no_new_privileges: bool,
    pub seccomp: SeccompProfile,
    pub oom_score_adj: Option<i32>,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            args: Vec::new(),
            env: Vec::new(),
            cwd: PathBuf::from("/"),
            user: User::default(),
            terminal: None,
            capabilities: Capabilities::default(),
            no_new_privileges: false,
            seccomp: SeccompProfile::default(),
            oom_score_adj: None,
        }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub additional_gids: Vec<u32>,
}

/// Columns and rows of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    pub columns: u16,
    pub rows: u16,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeccompProfile {
    /// What container runtimes allow by default.
    #[default]
    Default,
    Unconfined,
}

/// A file or folder of the host, shown in the container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mount {
    pub source: PathBuf,
    pub destination: PathBuf,
    pub read_only: bool,
    /// Also what is mounted below `source`. Counts only with `read_only`.
    pub recursive_read_only: bool,
    pub propagation: Propagation,
}

/// Whether mounts made later below the source or the destination appear on the other side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    #[default]
    None,
    HostToContainer,
    Bidirectional,
}

/// A device node of the host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Device {
    pub host: PathBuf,
    pub container: PathBuf,
    /// Of `r`, `w` and `m`.
    pub permissions: String,
}

/// Where the output goes, in the format of the container runtime interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    pub path: PathBuf,
    /// Renamed when it grew to so many bytes; 0 is never.
    pub max_size: u64,
    /// How many files there may be, the current one included.
    pub max_files: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    /// `/dev/null`.
    #[default]
    Null,
    /// Ends with the first attachment.
    Once,
    /// Never ends.
    Open,
}

/// A further process in a running container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ExecSpec {
    pub process: Process,
}

/// What a container may do to devices when it is not privileged, beyond those it is given.
pub(crate) fn default_device_rules() -> Vec<DeviceRule> {
    let open = |kind, major, minor| DeviceRule { kind, major, minor, access: "rwm".to_owned() };
    let make = |kind| DeviceRule { kind, major: None, minor: None, access: "m".to_owned() };
    let usual = [
        (1, Some(3)),
        (1, Some(5)),
        (1, Some(7)),
        (1, Some(8)),
        (1, Some(9)),
        (5, Some(0)),
        (5, Some(2)),
        (136, None),
    ];
    let mut rules = vec![make('c'), make('b')];
    rules.extend(usual.map(|(major, minor)| open('c', Some(major), minor)));
    rules
}
