//! The first process of a machine: mounts what only a member of its namespaces can, then waits for the power to go.
//!
//! When it ends, the kernel kills every process of the machine. It ends when the pipe at its standard input does,
//! whose other end only the lab's process holds: that is the mains cable.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount, mount_bind};

/// What it writes to its standard output when the machine is up.
pub(crate) const READY: &str = "ready";

const CGROUPS: &str = "/sys/fs/cgroup";

/// The life of a machine's first process.
pub fn init() -> Result<()> {
    // SAFETY: no handler is installed. Ignored, ended orphans leave no zombies behind.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    rustix::process::setsid().context("leaving the terminal")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None).context("mounting /proc")?;
    change_boot_id()?;
    mount_cgroups()?;
    let mut report = io::stdout();
    report.write_all(READY.as_bytes()).and_then(|()| report.flush()).context("reporting")?;
    rustix::stdio::dup2_stdout(fs::File::open("/dev/null")?).context("closing the report")?;
    io::stdin().read_to_end(&mut Vec::new()).context("waiting for the power to go")?;
    Ok(())
}

/// The kernel has booted once, this machine each time: who tells a reboot by the boot id must see one.
fn change_boot_id() -> Result<()> {
    let fresh = fs::read("/proc/sys/kernel/random/uuid").context("drawing a boot id")?;
    fs::write("/run/boot_id", fresh).context("writing the boot id")?;
    mount_bind("/run/boot_id", "/proc/sys/kernel/random/boot_id").context("showing the boot id")
}

/// The same hierarchies as outside, at their customary places.
fn mount_cgroups() -> Result<()> {
    let table = fs::read_to_string("/proc/self/cgroup").context("reading the control groups")?;
    let hierarchies: Vec<&str> = table.lines().filter_map(|line| line.split(':').nth(1)).collect();
    if hierarchies == [""] {
        return mount_cgroup(Path::new(CGROUPS), "");
    }
    mount("tmpfs", CGROUPS, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=755")
        .context("mounting a tmpfs for control groups")?;
    for controllers in hierarchies {
        let name = if controllers.is_empty() { "unified" } else { controllers.trim_start_matches("name=") };
        let point = Path::new(CGROUPS).join(name);
        fs::create_dir(&point).with_context(|| format!("making {}", point.display()))?;
        mount_cgroup(&point, controllers)?;
        for alias in name.split(',').filter(|alias| *alias != name) {
            std::os::unix::fs::symlink(name, Path::new(CGROUPS).join(alias))
                .context("naming a controller")?;
        }
    }
    Ok(())
}

/// `controllers` as in `/proc/self/cgroup`: none for v2, `name=…` for a v1 hierarchy without any.
fn mount_cgroup(point: &Path, controllers: &str) -> Result<()> {
    let (kind, options) = match controllers {
        "" => ("cgroup2", String::new()),
        named if named.starts_with("name=") => ("cgroup", format!("none,{named}")),
        controllers => ("cgroup", controllers.to_string()),
    };
    let options = std::ffi::CString::new(options).context("a controller with a zero byte")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("cgroup", point, kind, flags, options.as_c_str())
        .with_context(|| format!("mounting control groups at {}", point.display()))
}
