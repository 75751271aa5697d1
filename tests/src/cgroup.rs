//! A subtree of the control groups: in every hierarchy that is mounted, be it one (v2), one per controller (v1) or both.
//!
//! The v2 hierarchy is always needed, with controllers or without: only it can kill all members of a group at once
//! and tell when the last has gone.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::mounts;

/// Where a machine's processes start, below its root: in v2 a group with processes cannot give controllers to
/// children, so the root itself stays empty, as under systemd.
const LEAF: &str = "init";

#[derive(Debug, Clone)]
pub(crate) struct Subtree {
    /// One directory per v1 hierarchy.
    v1: Vec<PathBuf>,
    v2: PathBuf,
}

impl Subtree {
    /// The subtree of this name directly below the top of every hierarchy. It need not exist.
    pub(crate) fn at_top(name: &str) -> Result<Self> {
        let mounts = mounts::of_this_thread()?;
        let tops = |kind: &str| {
            let of_kind = mounts.iter().filter(move |mount| mount.kind == kind);
            of_kind.map(|mount| mount.point.join(name)).collect::<Vec<_>>()
        };
        let v2 = tops("cgroup2").into_iter().next().context("cgroup v2 is mounted nowhere")?;
        Ok(Self { v1: tops("cgroup"), v2 })
    }

    pub(crate) fn below(&self, name: &str) -> Self {
        Self { v1: self.v1.iter().map(|path| path.join(name)).collect(), v2: self.v2.join(name) }
    }

    pub(crate) fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        self.v1.iter().chain([&self.v2])
    }

    /// Makes the directories. What is above them must give its controllers away first: see `delegate`.
    pub(crate) fn create(&self) -> Result<()> {
        for path in self.directories() {
            fs::create_dir(path).with_context(|| format!("making control group {}", path.display()))?;
        }
        self.v1.iter().try_for_each(|path| inherit_cpuset(path))
    }

    /// Lets the children of this group have every controller that it has. Those which refuse (a real-time
    /// process is in the way of `cpu`, say) are missing in the lab as they are missing on the machine.
    pub(crate) fn delegate(&self) -> Result<()> {
        delegate(&self.v2)
    }

    /// The same for what is above the topmost subtree.
    pub(crate) fn delegate_top(&self) -> Result<()> {
        self.v2.parent().map_or(Ok(()), delegate)
    }

    /// A way for a process to become a member.
    pub(crate) fn door(&self) -> Result<Door> {
        Ok(Door { members: members(self.directories())?, leaf: None, view: View::Unchanged })
    }

    /// A way for a machine's first process, which shall see this subtree as the whole.
    pub(crate) fn first_door(&self) -> Result<Door> {
        fs::create_dir(self.v2.join(LEAF)).context("making the first process's control group")?;
        let leaf = Some(open_members(&self.v2.join(LEAF))?);
        Ok(Door { members: members(self.directories())?, leaf, view: View::New })
    }

    /// Where a process id is written to go through the later processes' door by hand.
    pub(crate) fn later_members(&self) -> impl Iterator<Item = PathBuf> {
        self.v1.iter().cloned().chain([self.v2.join(LEAF)]).map(|path| path.join("cgroup.procs"))
    }

    /// A way for the machine's later processes, to where the first is and with its view.
    pub(crate) fn later_door(&self, first: u32) -> Result<Door> {
        let view = format!("/proc/{first}/ns/cgroup");
        let view = File::open(&view).with_context(|| format!("opening {view}"))?.into();
        let leaf = Some(open_members(&self.v2.join(LEAF))?);
        Ok(Door { members: members(self.v1.iter())?, leaf, view: View::Of(view) })
    }

    /// Kills all members at once and returns when they are gone. No subtree, no members.
    pub(crate) fn kill(&self) -> Result<()> {
        match fs::write(self.v2.join("cgroup.kill"), "1") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.with_context(|| format!("killing the members of {}", self.v2.display()))?,
        }
        self.wait_until("populated 0")
    }

    /// Stops all members, and returns when each has.
    pub(crate) fn freeze(&self) -> Result<()> {
        let path = self.v2.join("cgroup.freeze");
        fs::write(&path, "1").with_context(|| format!("writing {}", path.display()))?;
        self.wait_until("frozen 1")
    }

    fn wait_until(&self, state: &str) -> Result<()> {
        let path = self.v2.join("cgroup.events");
        let mut events = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        loop {
            let mut text = String::new();
            events.rewind()?;
            events.read_to_string(&mut text)?;
            if text.lines().any(|line| line == state) {
                return Ok(());
            }
            // The file becomes "exceptional" when it says something else than at the last reading.
            rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&events, PollFlags::PRI)], None))?;
        }
    }

    pub(crate) fn remove(&self) -> Result<()> {
        self.directories().try_for_each(|path| remove(path))
    }
}

/// Moves the calling process into a subtree. All is opened beforehand: this is used between fork and exec, where
/// only plain system calls are allowed.
#[derive(Debug)]
pub(crate) struct Door {
    members: Vec<OwnedFd>,
    leaf: Option<OwnedFd>,
    view: View,
}

#[derive(Debug)]
enum View {
    Unchanged,
    /// Where the process is now becomes the root of what it sees.
    New,
    /// What the owner of this namespace sees.
    Of(OwnedFd),
}

impl Door {
    pub(crate) fn enter(&self) -> io::Result<()> {
        self.members.iter().try_for_each(join)?;
        match &self.view {
            View::Unchanged => {}
            // SAFETY: a new view of control groups takes nothing away from memory or files.
            View::New => unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP)? },
            View::Of(view) => {
                rustix::thread::move_into_link_name_space(
                    view.as_fd(),
                    Some(LinkNameSpaceType::ControlGroup),
                )?;
            }
        }
        self.leaf.iter().try_for_each(join)
    }
}

/// `0` means the writer.
fn join(members: &OwnedFd) -> io::Result<()> {
    rustix::io::write(members, b"0")?;
    Ok(())
}

fn members<'a>(directories: impl Iterator<Item = &'a PathBuf>) -> Result<Vec<OwnedFd>> {
    directories.map(|path| open_members(path)).collect()
}

fn open_members(directory: &Path) -> Result<OwnedFd> {
    let path = directory.join("cgroup.procs");
    let file = File::options().write(true).open(&path);
    Ok(file.with_context(|| format!("opening {}", path.display()))?.into())
}

fn delegate(v2: &Path) -> Result<()> {
    let controllers = v2.join("cgroup.controllers");
    let controllers =
        fs::read_to_string(&controllers).with_context(|| format!("reading {}", controllers.display()))?;
    for controller in controllers.split_whitespace() {
        // Refusal is not an error: see `Subtree::delegate`.
        let _ = fs::write(v2.join("cgroup.subtree_control"), format!("+{controller}"));
    }
    Ok(())
}

/// A new v1 cpuset is empty and takes no process until it has processors and memory.
fn inherit_cpuset(v1: &Path) -> Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"].map(OsStr::new) {
        let (own, parent) = (v1.join(name), v1.with_file_name(name));
        if own.exists() {
            let value = fs::read(&parent).with_context(|| format!("reading {}", parent.display()))?;
            fs::write(&own, value).with_context(|| format!("writing {}", own.display()))?;
        }
    }
    Ok(())
}

/// Control groups are removed from the leaves up; their files go with them.
fn remove(path: &Path) -> Result<()> {
    let children = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result.with_context(|| format!("listing {}", path.display()))?,
    };
    for child in children {
        let child = child.with_context(|| format!("listing {}", path.display()))?;
        if child.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&child.path())?;
        }
    }
    fs::remove_dir(path).with_context(|| format!("removing control group {}", path.display()))
}
