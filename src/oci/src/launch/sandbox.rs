//! A pod's namespaces: made here, entered by every container, pinned by bind mounts so that no process has to hold them.
//!
//! The shim itself stays in the host's namespaces. Only a shared pid namespace needs a living process: its first one, which
//! this module also is, does nothing but reap.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::cgroup::{self, Cgroup, Hierarchy};
use crate::durable::{self, FileError};
use crate::identity::ProcessId;
use crate::layout::PodFolder;
use crate::spec::{Ipc, Network, PidNamespace, PodSpec};

use super::Started;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Cgroup(#[from] cgroup::Error),
    #[error("cannot make namespaces")]
    Unshare(#[source] io::Error),
    #[error("cannot keep namespace {path}")]
    Pin {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot set the pod's host name")]
    HostName(#[source] io::Error),
    #[error("cannot set sysctl {name}")]
    Sysctl {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot bring up loopback")]
    Loopback(#[source] io::Error),
    #[error("cannot mount the pod's shared memory")]
    SharedMemory(#[source] io::Error),
    #[error("cannot start the pod's first process")]
    Init(#[source] io::Error),
}

/// `IFF_UP`, in the width that `ifreq` has for it.
const UP: libc::c_short = 1;

/// The size of `/dev/shm` that container runtimes give a pod.
const SHARED_MEMORY: &std::ffi::CStr = c"mode=1777,size=65536k";

/// Below the pod's group, where no container's name can meet it: those do not begin with a dot.
const INIT_GROUP: &str = ".init";

pub(super) fn create(folder: &PodFolder) -> Result<Started, Error> {
    let spec = folder.spec()?.spec;
    // SAFETY: none of these flags is CLONE_FILES, the one that could break open descriptors.
    unsafe { unshare_unsafe(flags(&spec)) }.map_err(|error| Error::Unshare(error.into()))?;
    if spec.network == Network::Own {
        rustix::system::sethostname(spec.hostname.as_bytes())
            .map_err(|error| Error::HostName(error.into()))?;
        raise_loopback().map_err(Error::Loopback)?;
    }
    spec.sysctls.iter().try_for_each(|(name, value)| set_sysctl(name, value))?;
    pin_all(folder, &spec)?;
    if spec.ipc == Ipc::Own {
        mount_shared_memory(&folder.shm()).map_err(Error::SharedMemory)?;
    }
    let hierarchy = Hierarchy::detect()?;
    Cgroup::new(&hierarchy, &spec.cgroup).create()?;
    let init = match spec.pid {
        PidNamespace::Pod => Some(start_init(&Cgroup::new(&hierarchy, spec.cgroup.join(INIT_GROUP)))?),
        _ => None,
    };
    durable::write(&folder.init(), &init)?;
    Ok(Started { pid: None, terminal: None })
}

fn flags(spec: &PodSpec) -> UnshareFlags {
    let mut flags = UnshareFlags::empty();
    if spec.network == Network::Own {
        flags |= UnshareFlags::NEWNET | UnshareFlags::NEWUTS;
    }
    if spec.ipc == Ipc::Own {
        flags |= UnshareFlags::NEWIPC;
    }
    if spec.pid == PidNamespace::Pod {
        flags |= UnshareFlags::NEWPID;
    }
    flags
}

fn pin_all(folder: &PodFolder, spec: &PodSpec) -> Result<(), Error> {
    let own_network: &[&str] = if spec.network == Network::Own { &["net", "uts"] } else { &[] };
    let own_ipc: &[&str] = if spec.ipc == Ipc::Own { &["ipc"] } else { &[] };
    own_network.iter().chain(own_ipc).try_for_each(|name| {
        let path = folder.namespace(name);
        pin(name, &path).map_err(|source| Error::Pin { path, source })
    })
}

fn pin(name: &str, path: &Path) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    fs::File::create(path)?;
    // What an earlier, interrupted attempt left there.
    let _nothing_mounted = unmount(path, UnmountFlags::DETACH);
    Ok(mount_bind(format!("/proc/self/ns/{name}"), path)?)
}

fn mount_shared_memory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    let _nothing_mounted = unmount(path, UnmountFlags::DETACH);
    Ok(mount(
        "shm",
        path,
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
        SHARED_MEMORY,
    )?)
}

/// `/proc/sys` shows the namespaces of the process that looks: ours are the pod's by now.
fn set_sysctl(name: &str, value: &str) -> Result<(), Error> {
    let path = Path::new("/proc/sys").join(name.replace('.', "/"));
    fs::write(path, value).map_err(|source| Error::Sysctl { name: name.to_owned(), source })
}

fn raise_loopback() -> io::Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: all zeroes is a valid `ifreq`: numbers and unions of plain data.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed() as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = UP;
    // SAFETY: SIOCSIFFLAGS reads an `ifreq` that lives until the call returns.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The child is the first in the namespace; when we end it falls to the machine's init, so no shim's death takes it along.
fn start_init(cgroup: &Cgroup<'_>) -> Result<ProcessId, Error> {
    cgroup.create()?;
    let init = spawn_init().map_err(Error::Init)?;
    cgroup.add(init.pid.unsigned_abs())?;
    Ok(init)
}

fn spawn_init() -> io::Result<ProcessId> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("skiff").args(["shim", "init"]).env_clear().current_dir("/");
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    ProcessId::of(i32::try_from(child.id()).map_err(io::Error::other)?)
}

/// The life of a shared pid namespace's first process: it reaps what the containers orphan, until it is killed.
pub(crate) fn hold_pid_namespace() -> ! {
    let _its_own_session = rustix::process::setsid();
    // SAFETY: ignoring SIGCHLD installs no handler; the kernel then reaps children by itself.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    loop {
        // SAFETY: only waits.
        unsafe { libc::pause() };
    }
}
