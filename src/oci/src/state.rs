//! What became of it: the raw facts, from which the node agent makes reasons and phases.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::identity::ProcessId;

/// A pod as last seen. Published on every change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodState {
    pub sandbox: Sandbox,
    /// By container id.
    pub containers: BTreeMap<String, ContainerState>,
}

/// Whether the pod's namespaces are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    Ready,
    /// There, but the process that holds the pod died and another one is being started.
    Recovering,
    /// Gone, with all that ran in them: the machine was restarted. Or nobody can reach what holds them. Such a pod can only be
    /// removed.
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum ContainerState {
    Created { created: SystemTime },
    Running { created: SystemTime, started: SystemTime, process: ProcessId },
    Exited { created: SystemTime, exit: Exit },
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The process's code, 128 plus the signal's number, or 255 when nobody was there to see it.
    pub code: i32,
    pub signal: Option<i32>,
    /// The kernel killed a process of the container for want of memory.
    pub oom_killed: bool,
    /// The code is a guess: the process was found dead by a shim that was not its parent.
    pub unknown: bool,
    pub started: Option<SystemTime>,
    pub finished: SystemTime,
}

impl ContainerState {
    pub fn exit(&self) -> Option<&Exit> {
        match self {
            Self::Exited { exit, .. } => Some(exit),
            Self::Created { .. } | Self::Running { .. } => None,
        }
    }

    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }

    pub(crate) fn created(&self) -> SystemTime {
        match self {
            Self::Created { created } | Self::Running { created, .. } | Self::Exited { created, .. } => {
                *created
            }
        }
    }

    pub(crate) fn started(&self) -> Option<SystemTime> {
        match self {
            Self::Created { .. } => None,
            Self::Running { started, .. } => Some(*started),
            Self::Exited { exit, .. } => exit.started,
        }
    }

    /// This container, ended as `ended` says, now.
    pub(crate) fn ended(&self, ended: Ended, oom_killed: bool) -> Self {
        let (code, signal) = match ended {
            Ended::Code(code) => (code, None),
            Ended::Signal(signal) => (128 + signal, Some(signal)),
            Ended::Unseen => (UNKNOWN_CODE, None),
        };
        let exit = Exit {
            code,
            signal,
            oom_killed,
            unknown: ended == Ended::Unseen,
            started: self.started(),
            finished: SystemTime::now(),
        };
        Self::Exited { created: self.created(), exit }
    }
}

/// What the kernel said of a process that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ended {
    Code(i32),
    Signal(i32),
    Unseen,
}

/// As containerd reports a container whose end it missed.
const UNKNOWN_CODE: i32 = 255;
