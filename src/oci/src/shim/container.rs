//! What a shim remembers of one container: its state, and the descriptors it lives by.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, mknodat, open};
use rustix::process::{Signal, pidfd_send_signal};
use serde::Deserialize;

use crate::durable::{self, FileError};
use crate::layout::ContainerFolder;
use crate::spec::{Log, Size, Stdin};
use crate::state::ContainerState;

use super::log::{LogFile, Stream};
use super::poller::Token;

pub(super) struct Container {
    pub(super) folder: ContainerFolder,
    kept: Kept,
    pub(super) state: ContainerState,
    /// To its first process, while that runs.
    pub(super) process: Option<OwnedFd>,
    pub(super) terminal: Option<OwnedFd>,
    /// The end that its input is written to.
    pub(super) stdin: Option<OwnedFd>,
    pub(super) log: Option<LogFile>,
    /// Its streams that have not ended.
    pub(super) outputs: Vec<Token>,
    pub(super) starting: bool,
}

/// The few parts of a container's spec that concern the shim; the rest is skipped unread.
#[derive(Deserialize)]
struct Kept {
    log: Option<Log>,
    stdin: Stdin,
    process: KeptProcess,
}

#[derive(Deserialize)]
struct KeptProcess {
    terminal: Option<Size>,
}

impl Container {
    pub(super) fn load(folder: ContainerFolder) -> Result<Self, FileError> {
        let kept = durable::read(&folder.path().join("spec.json"))?;
        let state = folder.state()?;
        Ok(Self {
            folder,
            kept,
            state,
            process: None,
            terminal: None,
            stdin: None,
            log: None,
            outputs: Vec::new(),
            starting: false,
        })
    }

    pub(super) fn has_terminal(&self) -> bool {
        self.kept.process.terminal.is_some()
    }

    pub(super) fn open_log(&mut self) {
        self.log = self.kept.log.clone().map(LogFile::open);
    }

    /// Makes the pipes of its streams, new ones: nothing of an earlier attempt may be read.
    pub(super) fn make_pipes(&self) -> io::Result<()> {
        for name in ["stdin", "stdout", "stderr"] {
            let path = self.folder.stream(name);
            let _not_there = fs::remove_file(&path);
            mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        }
        Ok(())
    }

    /// The reading ends of its output and, kept here, the writing end of its input.
    pub(super) fn open_pipes(&mut self) -> io::Result<Vec<(Stream, OwnedFd)>> {
        if self.kept.stdin != Stdin::Null {
            // For reading too, or opening would wait for the container.
            self.stdin = Some(open_pipe(&self.folder.stream("stdin"), OFlags::RDWR)?);
        }
        let streams = [Stream::Stdout, Stream::Stderr];
        streams
            .into_iter()
            .map(|stream| Ok((stream, open_pipe(&self.folder.stream(stream.name()), OFlags::RDONLY)?)))
            .collect()
    }

    pub(super) fn signal(&self, signal: i32) -> io::Result<()> {
        let process =
            self.process.as_ref().ok_or_else(|| io::Error::other("the container is not running"))?;
        send(process, signal)
    }

    /// Lets its input end. One that shall never end stays open.
    pub(super) fn close_stdin(&mut self) {
        if self.kept.stdin == Stdin::Once {
            self.stdin = None;
        }
    }
}

pub(super) fn send(process: &OwnedFd, signal: i32) -> io::Result<()> {
    let signal =
        Signal::from_named_raw(signal).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok(pidfd_send_signal(process, signal)?)
}

fn open_pipe(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(open(path, flags | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?)
}
