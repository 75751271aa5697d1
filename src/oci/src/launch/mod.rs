//! Launchers: short-lived processes that do what needs a process of its own.
//!
//! A launcher makes a pod's namespaces, starts a container or starts a process in one, reports to its shim over the socket
//! that is its standard input, and ends. It may unshare, change its oom score and fill its heap: all of it ends with it. The
//! processes it starts are its siblings (`CLONE_PARENT`), so the shim is their parent and sees their exit codes.

mod console;
mod exec;
mod executor;
mod inheritance;
mod memory;
mod mounts;
mod runtime_spec;
mod sandbox;
mod start;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::cgroup;
use crate::durable::FileError;
use crate::layout::PodFolder;
use crate::protocol::{self, Report};

pub(crate) use console::resize;
pub(crate) use sandbox::hold_pid_namespace;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Cgroup(#[from] cgroup::Error),
    #[error(transparent)]
    Mount(#[from] mounts::Error),
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    #[error("cannot open stream {path}")]
    Stream {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot create working directory {path}")]
    WorkingDirectory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("device {path}")]
    Device {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("container {0} does not run")]
    NotRunning(String),
    #[error("cannot prepare {what}")]
    Prepare {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{0}")]
    Runtime(String),
}

/// What a launcher is told on its command line, after the pod's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Job {
    Sandbox,
    Start(String),
    /// What to run follows as a message with descriptors.
    Exec(String),
}

impl Job {
    pub(crate) fn arguments(&self) -> Vec<&str> {
        match self {
            Self::Sandbox => vec!["sandbox"],
            Self::Start(container) => vec!["start", container],
            Self::Exec(container) => vec!["exec", container],
        }
    }

    pub(crate) fn parse(arguments: &[&str]) -> Option<Self> {
        match *arguments {
            ["sandbox"] => Some(Self::Sandbox),
            ["start", container] => Some(Self::Start(container.to_owned())),
            ["exec", container] => Some(Self::Exec(container.to_owned())),
            _ => None,
        }
    }
}

/// What was started: its number and, when it has one, its terminal.
struct Started {
    pid: Option<i32>,
    terminal: Option<OwnedFd>,
}

/// The whole life of a launcher.
pub(crate) fn run(folder: PathBuf, job: &Job) -> io::Result<()> {
    // A launcher without its shim would start something that nobody waits for.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    inheritance::shed()?;
    let shim = io::stdin();
    let folder = PodFolder::new(folder);
    let done = match job {
        Job::Sandbox => sandbox::create(&folder).map_err(Error::from),
        Job::Start(container) => start::start(&folder, container),
        Job::Exec(container) => exec::exec(&folder, container, shim.as_fd()),
    };
    match done {
        Ok(Started { pid, terminal }) => {
            let terminal: Vec<_> = terminal.iter().map(AsFd::as_fd).collect();
            protocol::send(shim.as_fd(), &Report::Done { pid }, &terminal)
        }
        Err(error) => protocol::send(shim.as_fd(), &Report::Failed { message: with_causes(&error) }, &[]),
    }
}

/// The error and all that caused it, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Transparent variants say again what their source says.
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line
}
