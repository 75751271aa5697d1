//! A machine's file system: this machine's own as the lower layer, the disk of the lab's machine above it.
//!
//! So every program installed here is there too, and whatever a machine writes, wherever, is on its own disk: it lasts
//! over a reboot, it is subject to a pulled plug, and the files of this machine stay as they are. Skiff's data
//! directory is on the disk without a layer in between, because an overlay cannot be the upper layer of another.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::mount::{mount, mount_bind, mount_change, mount_remount, unmount};

use crate::disk::{self, Disk};
use crate::mounts::{self, Mount};
use crate::program;

/// The data directory of skiff.
pub(crate) const DATA: &str = "/var/lib/skiff";

/// File systems that are not files of this machine: the lab's machines get fresh ones.
const VIRTUAL: [&str; 4] = ["/proc", "/sys", "/dev", "/run"];

/// Where people give parts of the tree a disk of their own.
const PARTED: [&str; 4] = ["/", "/usr", "/var", "/home"];

/// Makes the disk the calling thread's root. `workshop` is a directory for mount points.
pub(crate) fn enter(disk: &Disk, workshop: &Path) -> Result<()> {
    let (store, root, lower_layers) = (workshop.join("disk"), workshop.join("root"), lower_layers()?);
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).context("keeping mounts to ourselves")?;
    make(&store)?;
    make(&root)?;
    disk.mount(&store)?;
    for lower in &lower_layers {
        layer(lower, &store.join("layers").join(lower.to_string_lossy().replace('/', "!")), &root)?;
    }
    devices(&root)?;
    mount("sysfs", root.join("sys"), "sysfs", MountFlags::NOSUID | MountFlags::NOEXEC, None)
        .context("mounting /sys")?;
    memory(&root.join("run"), c"mode=755")?;
    make(&store.join("data"))?;
    bind(&store.join("data"), &below(&root, Path::new(DATA)))?;
    pivot(&root)
}

/// The root and the other file systems that make up this machine, outermost first. Not what is mounted deeper down:
/// that comes and goes, and to lay something over it would keep it from going.
fn lower_layers() -> Result<Vec<PathBuf>> {
    let programs = program::build_directory()?;
    let belongs = |point: &Path| {
        let parent = point.parent().and_then(Path::to_str);
        parent.is_none_or(|parent| PARTED.contains(&parent)) || programs.starts_with(point)
    };
    let is_virtual = |point: &Path| VIRTUAL.iter().any(|start| point.starts_with(start));
    let mut layers: Vec<PathBuf> = Vec::new();
    for Mount { point, kind } in mounts::of_this_thread()? {
        let is_file_system = kind != "autofs" && point.is_dir() && !is_virtual(&point);
        if is_file_system && belongs(&point) && !layers.contains(&point) {
            layers.push(point);
        }
    }
    Ok(layers)
}

/// Some file systems (vfat, say) cannot lie under an overlay: those are shown as they are, to read.
fn layer(lower: &Path, upper: &Path, root: &Path) -> Result<()> {
    let (changes, work, target) = (upper.join("changes"), upper.join("work"), below(root, lower));
    [&changes, &work].into_iter().try_for_each(|path| make(path))?;
    let options =
        format!("lowerdir={},upperdir={},workdir={}", lower.display(), changes.display(), work.display());
    let options = std::ffi::CString::new(options).context("a path with a zero byte")?;
    let overlaid = mount("overlay", &target, "overlay", MountFlags::empty(), options.as_c_str());
    if overlaid == Err(rustix::io::Errno::INVAL) && lower != Path::new("/") {
        bind(lower, &target)?;
        return mount_remount(&target, MountFlags::BIND | MountFlags::RDONLY, c"")
            .context("making it read-only");
    }
    overlaid.with_context(|| format!("laying {} over {}", changes.display(), lower.display()))
}

/// The devices are this machine's; terminals, shared memory and message queues are not.
fn devices(root: &Path) -> Result<()> {
    let dev = root.join("dev");
    bind(Path::new("/dev"), &dev)?;
    memory(&dev.join("shm"), c"mode=1777")?;
    let options = c"newinstance,ptmxmode=0666,mode=0620,gid=5";
    mount("devpts", dev.join("pts"), "devpts", MountFlags::NOSUID | MountFlags::NOEXEC, options)
        .context("mounting /dev/pts")?;
    bind(&dev.join("pts/ptmx"), &dev.join("ptmx"))?;
    if dev.join("mqueue").is_dir() {
        mount("mqueue", dev.join("mqueue"), "mqueue", MountFlags::NOSUID, None)
            .context("mounting /dev/mqueue")?;
    }
    Ok(())
}

/// The new root over the old one, then the old one away.
fn pivot(root: &Path) -> Result<()> {
    std::env::set_current_dir(root).context("entering the root")?;
    rustix::process::pivot_root(".", ".").context("changing the root")?;
    unmount(".", UnmountFlags::DETACH).context("taking the old root away")?;
    std::env::set_current_dir("/").context("entering the root")
}

/// The first boot's work: a machine that knows its name, and nothing of what this one's administrator has set up.
pub(crate) fn install(name: &str, nameserver: &str) -> Result<()> {
    let identity = fs::read_to_string("/proc/sys/kernel/random/uuid").context("drawing a machine id")?;
    replace("/etc/machine-id", &identity.replace('-', ""))?;
    replace("/etc/hostname", &format!("{name}\n"))?;
    replace("/etc/hosts", &format!("127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost\n"))?;
    replace("/etc/resolv.conf", &format!("nameserver {nameserver}\n"))?;
    match fs::remove_dir_all("/etc/skiff") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).context("emptying /etc/skiff");
        }
        _ => make(Path::new("/etc/skiff"))?,
    }
    disk::sync(DATA)
}

/// Not written through: it may be a link to what a service of this machine wrote.
fn replace(path: &str, content: &str) -> Result<()> {
    absent(fs::remove_file(path))
        .and_then(|()| fs::write(path, content))
        .with_context(|| format!("writing {path}"))
}

/// What was not there need not be removed.
fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn make(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("making {}", path.display()))
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        make(to)?;
    }
    mount_bind(from, to).with_context(|| format!("showing {} at {}", from.display(), to.display()))
}

fn memory(at: &Path, options: &std::ffi::CStr) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", at, "tmpfs", flags, options)
        .with_context(|| format!("mounting a tmpfs at {}", at.display()))
}
