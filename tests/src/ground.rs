//! What a lab leaves on the machine while it runs, a directory and control groups, and the guard who removes them.
//!
//! All else of a lab ends with its processes. These two do not, so a process of its own, in its own session and
//! holding the lab's directory locked, waits for the lab's end (of whatever kind: what it waits on is a pipe) and
//! clears them away. Whoever kills guards as well leaves directories that nobody locks; the next lab clears those.

use std::fs::{self, File};
use std::io::{self, PipeWriter, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use rustix::fs::FlockOperation;

use crate::cgroup::Subtree;
use crate::place::lock;
use crate::program;

const PREFIX: &str = "skiff-lab-";

#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) directory: PathBuf,
    pub(crate) cgroup: Subtree,
    guard: Mutex<Option<Guard>>,
}

#[derive(Debug)]
struct Guard {
    process: Child,
    /// Nothing is ever written: its end says it all.
    _plug: PipeWriter,
}

impl Ground {
    pub(crate) fn new() -> Result<Self> {
        sweep().context("clearing up after labs whose guards were killed")?;
        let (directory, locked) = locked_directory()?;
        let cgroup = subtree_of(&directory)?;
        let guard = Guard::post(&directory, locked)?;
        cgroup.delegate_top()?;
        cgroup.create()?;
        cgroup.delegate()?;
        Ok(Self { directory, cgroup, guard: Mutex::new(Some(guard)) })
    }

    /// Returns when the guard has cleared everything away.
    pub(crate) fn clear(&self) -> Result<()> {
        let Some(Guard { mut process, _plug: plug }) = lock(&self.guard).take() else { return Ok(()) };
        drop(plug);
        let status = process.wait().context("waiting for the guard")?;
        ensure!(status.success(), "the guard of {} failed: {status}", self.directory.display());
        Ok(())
    }
}

impl Guard {
    /// The guard gets the lock as its standard output, and holds it by doing nothing with it.
    fn post(directory: &Path, locked: OwnedFd) -> Result<Self> {
        let (watched, plug) = io::pipe().context("making a pipe")?;
        let mut command = Command::new(program::binary("lab")?);
        command.arg("guard").arg(directory).current_dir("/");
        command.stdin(watched).stdout(Stdio::from(locked));
        // SAFETY: one system call. Away from the terminal, so that its Ctrl-C is for the lab alone.
        unsafe { command.pre_exec(|| rustix::process::setsid().map(drop).map_err(io::Error::from)) };
        let process = command.spawn().context("starting the guard")?;
        Ok(Self { process, _plug: plug })
    }
}

/// The life of a guard.
pub fn guard(directory: &Path) -> Result<()> {
    io::stdin().read_to_end(&mut Vec::new()).context("waiting for the lab's end")?;
    clear(directory)
}

/// The directory goes last: as long as it is there, somebody will come and clear up.
fn clear(directory: &Path) -> Result<()> {
    let cgroup = subtree_of(directory)?;
    cgroup.kill()?;
    cgroup.remove()?;
    fs::remove_dir_all(directory).with_context(|| format!("removing {}", directory.display()))
}

fn subtree_of(directory: &Path) -> Result<Subtree> {
    let name =
        directory.file_name().and_then(|name| name.to_str()).context("a lab's directory has a name")?;
    Subtree::at_top(name)
}

fn locked_directory() -> Result<(PathBuf, OwnedFd)> {
    loop {
        let directory =
            tempfile::Builder::new().prefix(PREFIX).tempdir().context("making a directory")?.keep();
        // Somebody else's sweep may have come in between.
        if let Some(locked) = lock_directory(&directory)? {
            return Ok((directory, locked));
        }
    }
}

/// Nothing if another has it, or it has gone.
fn lock_directory(directory: &Path) -> Result<Option<OwnedFd>> {
    let file = match File::open(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.with_context(|| format!("opening {}", directory.display()))?,
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        result => result.with_context(|| format!("locking {}", directory.display()))?,
    }
    Ok(directory.exists().then(|| file.into()))
}

fn sweep() -> Result<()> {
    for entry in fs::read_dir(std::env::temp_dir()).context("listing the temporary files")? {
        let path = entry.context("listing the temporary files")?.path();
        let is_lab =
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
        let Some(_locked) = is_lab.then(|| lock_directory(&path)).transpose()?.flatten() else { continue };
        clear(&path)?;
    }
    Ok(())
}
