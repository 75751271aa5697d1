//! From our specs to the OCI runtime's `config.json`, with everything that containers get without asking.
//!
//! What libcontainer would do differently is left out of it: capabilities and seccomp ([`super::executor`]), limits and
//! devices of control groups ([`crate::cgroup`]), propagation ([`super::mounts`]).

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cgroup::{DeviceRule, Hierarchy};
use crate::durable;
use crate::identity::ProcessId;
use crate::layout::PodFolder;
use crate::spec::{ContainerSpec, Ipc, Mount, Network, PidNamespace, PodSpec, Process, default_device_rules};

use super::Error;
use super::executor::USUAL_PATH;
use super::mounts::rootfs_propagation;

/// Hidden, because they tell about or act on the host.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

pub(super) struct Context<'a> {
    pub(super) folder: &'a PodFolder,
    pub(super) pod: &'a PodSpec,
    pub(super) container: &'a ContainerSpec,
    pub(super) hierarchy: &'a Hierarchy,
    /// The sources of the container's mounts, ready to be bound.
    pub(super) sources: &'a [PathBuf],
}

pub(super) fn config(context: &Context<'_>) -> Result<Value, Error> {
    let container = context.container;
    let (masked, read_only) = match container.privileged || container.unmasked {
        true => (&[][..], &[][..]),
        false => (&MASKED[..], &READ_ONLY[..]),
    };
    Ok(json!({
        "ociVersion": "1.2.0",
        "root": { "path": container.rootfs, "readonly": container.read_only_rootfs },
        "process": process(&container.process),
        "mounts": mounts(context),
        "linux": {
            "cgroupsPath": context.pod.cgroup.join(&container.id),
            "namespaces": namespaces(context)?,
            "devices": devices(container)?.iter().map(|device| &device.node).collect::<Vec<_>>(),
            "maskedPaths": masked,
            "readonlyPaths": read_only,
            "rootfsPropagation": rootfs_propagation(&container.mounts),
        },
    }))
}

/// Without capabilities (see [`super::executor`]) and score (see [`super::memory`]).
pub(super) fn process(process: &Process) -> Value {
    let mut env = process.env.clone();
    if !env.iter().any(|entry| entry.starts_with("PATH=")) {
        env.push(format!("PATH={USUAL_PATH}"));
    }
    if process.terminal.is_some() && !env.iter().any(|entry| entry.starts_with("TERM=")) {
        env.push("TERM=xterm".to_owned());
    }
    let mut value = json!({
        "terminal": process.terminal.is_some(),
        "args": process.args,
        "env": env,
        "cwd": process.cwd,
        "user": {
            "uid": process.user.uid,
            "gid": process.user.gid,
            "additionalGids": process.user.additional_gids,
        },
    });
    if process.no_new_privileges {
        value["noNewPrivileges"] = json!(true);
    }
    value
}

fn namespaces(context: &Context<'_>) -> Result<Vec<Value>, Error> {
    let pinned = |kind: &str, name: &str| json!({ "type": kind, "path": context.folder.namespace(name) });
    let mut namespaces = vec![json!({ "type": "mount" })];
    if context.pod.network == Network::Own {
        namespaces.extend([pinned("network", "net"), pinned("uts", "uts")]);
    }
    if context.pod.ipc == Ipc::Own {
        namespaces.push(pinned("ipc", "ipc"));
    }
    // As other runtimes do it: private with version 2, the host's with version 1, where tools expect the whole path.
    if context.hierarchy.is_v2() && !context.container.privileged {
        namespaces.push(json!({ "type": "cgroup" }));
    }
    namespaces.extend(pid_namespace(context)?);
    Ok(namespaces)
}

fn pid_namespace(context: &Context<'_>) -> Result<Option<Value>, Error> {
    let of = |process: &ProcessId| json!({ "type": "pid", "path": format!("/proc/{}/ns/pid", process.pid) });
    match context.container.pid.as_ref().unwrap_or(&context.pod.pid) {
        PidNamespace::Container => Ok(Some(json!({ "type": "pid" }))),
        PidNamespace::Host => Ok(None),
        PidNamespace::Pod => {
            let init: Option<ProcessId> = durable::read(&context.folder.init())?;
            living(init, "the pod's first process").map(|process| Some(of(&process)))
        }
        PidNamespace::Of(other) => {
            let running = match context.folder.container(other).state()? {
                crate::state::ContainerState::Running { process, .. } => Some(process),
                _ => None,
            };
            living(running, other).map(|process| Some(of(&process)))
        }
    }
}

fn living(process: Option<ProcessId>, name: &str) -> Result<ProcessId, Error> {
    let alive = |process: &ProcessId| matches!(process.open(), Ok(Some(_)));
    process.filter(alive).ok_or_else(|| Error::NotRunning(name.to_owned()))
}

fn mounts(context: &Context<'_>) -> Vec<Value> {
    let container = context.container;
    let fresh = |destination: &str, kind: &str, options: &[&str]| json!({ "destination": destination, "type": kind, "source": kind, "options": options });
    let mut mounts = vec![
        fresh("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        fresh("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        fresh(
            "/dev/pts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        fresh("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        fresh(
            "/sys",
            "sysfs",
            if container.privileged {
                &["nosuid", "noexec", "nodev"]
            } else {
                &["nosuid", "noexec", "nodev", "ro"]
            },
        ),
    ];
    mounts.extend(control_groups(context));
    let shm = if context.pod.ipc == Ipc::Own { context.folder.shm() } else { PathBuf::from("/dev/shm") };
    mounts.push(bind(&shm, Path::new("/dev/shm"), &["nosuid", "nodev", "noexec"]));
    let given = container.mounts.iter().zip(context.sources);
    mounts.extend(given.map(|(mount, source)| bind(source, &mount.destination, access(mount))));
    mounts
}

fn access(mount: &Mount) -> &'static [&'static str] {
    match (mount.read_only, mount.recursive_read_only) {
        (true, true) => &["ro", "rro"],
        (true, false) => &["ro"],
        (false, _) => &[],
    }
}

fn bind(source: &Path, destination: &Path, options: &[&str]) -> Value {
    let options: Vec<&str> = ["rbind"].iter().chain(options).copied().collect();
    json!({ "destination": destination, "type": "bind", "source": source, "options": options })
}

/// libcontainer mounts version 1 writable whatever it is told, and root in a container could raise its own limits: each
/// controller's own folder is bound read-only instead.
fn control_groups(context: &Context<'_>) -> Vec<Value> {
    let writable = context.container.privileged;
    let mut options = vec!["nosuid", "noexec", "nodev"];
    if !writable {
        options.push("ro");
    }
    if context.hierarchy.is_v2() {
        return vec![
            json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options }),
        ];
    }
    let cgroup = context.pod.cgroup.join(&context.container.id);
    let below = cgroup.strip_prefix("/").unwrap_or(&cgroup);
    let top = json!({
        "destination": "/sys/fs/cgroup", "type": "tmpfs", "source": "tmpfs",
        "options": ["nosuid", "noexec", "nodev", "mode=755", "size=64k"],
    });
    let trees = context.hierarchy.v1_trees().into_iter().map(|(mount, controllers)| {
        let destination = Path::new("/sys/fs/cgroup").join(controllers.join(","));
        bind(&mount.join(below), &destination, &options)
    });
    [top].into_iter().chain(trees).collect()
}

/// A device as the runtime makes it, and the rule that lets it be opened.
struct Node {
    node: Value,
    rule: DeviceRule,
}

fn devices(container: &ContainerSpec) -> Result<Vec<Node>, Error> {
    let mut nodes = Vec::new();
    if container.privileged {
        let all = host_devices(Path::new("/dev"))
            .map_err(|source| Error::Device { path: "/dev".into(), source })?;
        for path in all {
            // A device may be unplugged while we look.
            nodes.extend(node(&path, &path, "rwm").ok());
        }
    }
    for device in &container.devices {
        let node = node(&device.host, &device.container, &device.permissions);
        nodes.push(node.map_err(|source| Error::Device { path: device.host.clone(), source })?);
    }
    Ok(nodes)
}

/// What the container may open: everything if it is privileged.
pub(super) fn device_rules(container: &ContainerSpec) -> Result<Vec<DeviceRule>, Error> {
    if container.privileged {
        return Ok(vec![DeviceRule { kind: 'a', major: None, minor: None, access: "rwm".to_owned() }]);
    }
    let mut rules = default_device_rules();
    rules.extend(devices(container)?.into_iter().map(|node| node.rule));
    Ok(rules)
}

fn node(host: &Path, inside: &Path, permissions: &str) -> io::Result<Node> {
    let metadata = fs::metadata(host)?;
    let kind = match metadata.file_type() {
        kind if kind.is_block_device() => 'b',
        kind if kind.is_char_device() => 'c',
        _ => return Err(io::Error::other("not a device node")),
    };
    let (major, minor) = (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
    let node = json!({
        "path": inside, "type": kind.to_string(), "major": major, "minor": minor,
        "fileMode": metadata.mode() & 0o7777, "uid": metadata.uid(), "gid": metadata.gid(),
    });
    Ok(Node {
        node,
        rule: DeviceRule { kind, major: Some(major), minor: Some(minor), access: permissions.to_owned() },
    })
}

/// Every device node of the host but those that a container has of its own.
fn host_devices(folder: &Path) -> io::Result<Vec<PathBuf>> {
    const OWN: [&str; 5] = ["pts", "shm", "mqueue", "console", "fd"];
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        let (path, kind) = (entry.path(), entry.file_type()?);
        if OWN.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if kind.is_dir() {
            found.extend(host_devices(&path)?);
        } else if kind.is_block_device() || kind.is_char_device() {
            found.push(path);
        }
    }
    Ok(found)
}
