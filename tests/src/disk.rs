//! A machine's disk: an ext4 file system in a sparse file, on a loop device that frees itself.
//!
//! Pulling the plug uses ext4's own "go down without writing" (as file-system tests do): what only memory held, data
//! and journal alike, is lost; what was synced is in the file, and the next mount replays the journal. The journal is
//! committed by nothing but a sync (`commit=` is an hour), so that "was not synced" always means "is lost".

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::ioctl::{Opcode, Setter, opcode};

use crate::program::{run, tool};

/// Sparse: only what is written takes room.
const SIZE: u64 = 4 << 30;

#[derive(Debug, Clone)]
pub(crate) struct Disk {
    image: PathBuf,
}

impl Disk {
    pub(crate) fn format(image: PathBuf) -> Result<Self> {
        File::create_new(&image)
            .and_then(|file| file.set_len(SIZE))
            .with_context(|| format!("making {}", image.display()))?;
        let mut mkfs = tool("mkfs.ext4");
        // Nothing shall write to an idle disk: tables that are not there yet stay so (and `noinit_itable` below).
        mkfs.args(["-q", "-J", "size=16", "-E", "lazy_itable_init=1,lazy_journal_init=1"]).arg(&image);
        run(mkfs, "")?;
        Ok(Self { image })
    }

    pub(crate) fn mount(&self, at: &Path) -> Result<()> {
        let mut mount = tool("mount");
        mount.args(["-t", "ext4", "-o", "loop,noatime,commit=3600,noinit_itable"]).arg(&self.image).arg(at);
        run(mount, "")
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
