//! A machine's disk: an ext4 file system in a sparse file.
//!
//! Pulling the plug uses ext4's own "go down without writing" (as file-system tests do): what only memory held, data
//! and journal alike, is lost; what was synced is in the file, and the next mount replays the journal. The journal is
//! committed by nothing but a sync (`commit=` is an hour), so that "was not synced" always means "is lost".

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::ioctl::{Opcode, Setter, opcode};

use crate::daemon::PATIENCE;
use crate::loop_device::LoopDevice;
use crate::program::{run, tool};

/// Sparse: only what is written takes room.
const SIZE: u64 = 4 << 30;

#[derive(Debug, Clone)]
pub(crate) struct Disk {
    device: Arc<LoopDevice>,
}

impl Disk {
    pub(crate) fn format(image: &Path) -> Result<Self> {
        File::create_new(image)
            .and_then(|file| file.set_len(SIZE))
            .with_context(|| format!("making {}", image.display()))?;
        let mut mkfs = tool("mkfs.ext4");
        // Nothing shall write to an idle disk: tables that are not there yet stay so (and `noinit_itable` below).
        mkfs.args(["-q", "-J", "size=16", "-E", "lazy_itable_init=1,lazy_journal_init=1"]).arg(image);
        run(mkfs, "")?;
        Ok(Self { device: Arc::new(LoopDevice::over(image)?) })
    }

    pub(crate) fn mount(&self, at: &Path) -> Result<()> {
        let mut mount = tool("mount");
        mount.args(["-t", "ext4", "-o", "noatime,commit=3600,noinit_itable"]).arg(&self.device.path).arg(at);
        run(mount, "")
    }
}

/// Tells when a disk is no longer mounted anywhere. The kernel keeps it mounted a little longer than its last process
/// lives, when somebody looks at that process just then; until it is, a new mount would be the old one.
#[derive(Debug)]
pub(crate) struct Unmount {
    watch: OwnedFd,
}

impl Unmount {
    /// Of the disk that holds this path.
    pub(crate) fn watch(path: &str) -> Result<Self> {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC).context("making a watch")?;
        // The unmount is told in any case.
        inotify::add_watch(&watch, path, inotify::WatchFlags::DELETE_SELF).context("watching the disk")?;
        Ok(Self { watch })
    }

    pub(crate) fn wait(&self) -> Result<()> {
        let patience = Timespec::try_from(PATIENCE)?;
        let mut events = [PollFd::new(&self.watch, PollFlags::IN)];
        let told = rustix::io::retry_on_intr(|| poll(&mut events, Some(&patience)))?;
        ensure!(told == 1, "somebody holds a file of the disk open");
        Ok(())
    }
}

/// Writes out what the disk that holds this path has not written yet.
pub(crate) fn sync(path: &str) -> Result<()> {
    let directory = File::open(path).with_context(|| format!("opening {path}"))?;
    rustix::fs::syncfs(directory).with_context(|| format!("syncing the disk of {path}"))
}

/// Lets the disk that holds this path forget what it has not written yet, and fail from now on.
pub(crate) fn pull_plug(path: &str) -> Result<()> {
    const SHUTDOWN: Opcode = opcode::read::<u32>(b'X', 125);
    const WITHOUT_FLUSHING_THE_LOG: u32 = 2;
    let directory = File::open(path).with_context(|| format!("opening {path}"))?;
    // SAFETY: EXT4_IOC_SHUTDOWN reads one u32 (for all that its number says "read" the other way).
    unsafe { rustix::ioctl::ioctl(&directory, Setter::<SHUTDOWN, u32>::new(WITHOUT_FLUSHING_THE_LOG)) }
        .with_context(|| format!("shutting down the disk of {path}"))
}
