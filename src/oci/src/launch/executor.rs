//! The last steps of a process before it becomes the container's program.
//!
//! libcontainer calls this in the new process, inside all namespaces and already with the right user. It would drop
//! capabilities before that, but without `no_new_privs` a seccomp filter may only be loaded with CAP_SYS_ADMIN: so the OCI
//! spec names no capabilities, and here the filter is loaded first and the capabilities dropped after it.

use std::ffi::CString;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::capabilities::Capabilities;
use crate::seccomp::Filter;
use crate::spec::{Process, SeccompProfile, Size};

use super::{console, inheritance};

/// What a process may do, and what it runs.
#[derive(Clone)]
pub(super) struct Confined {
    capabilities: Capabilities,
    filter: Option<Filter>,
    args: Vec<String>,
    path: String,
    terminal: Option<Size>,
}

impl Confined {
    pub(super) fn new(process: &Process) -> Self {
        let filter = match process.seccomp {
            SeccompProfile::Default => Some(Filter::default_for(process.capabilities)),
            SeccompProfile::Unconfined => None,
        };
        Self {
            capabilities: process.capabilities,
            filter,
            args: process.args.clone(),
            path: search_path(process),
            terminal: process.terminal,
        }
    }

    fn become_it(&self) -> io::Result<()> {
        if let Some(size) = self.terminal {
            // Here, not when the terminal has arrived outside: the program may look at once.
            console::resize(io::stdin(), size)?;
        }
        let program = find(&self.args, &self.path).map_err(io::Error::other)?;
        let program = CString::new(program.into_os_string().into_encoded_bytes())?;
        let arguments: Vec<CString> =
            self.args.iter().map(|word| CString::new(word.as_str())).collect::<Result<_, _>>()?;
        let mut pointers: Vec<_> = arguments.iter().map(|word| word.as_ptr()).collect();
        pointers.push(std::ptr::null());
        inheritance::take_signals_back();
        if let Some(filter) = &self.filter {
            filter.load()?;
        }
        drop_capabilities(self.capabilities)?;
        // SAFETY: both are null-terminated and live until the call, which returns only if it failed.
        unsafe { libc::execv(program.as_ptr(), pointers.as_ptr()) };
        Err(io::Error::last_os_error())
    }
}

impl Executor for Confined {
    fn exec(&self, _: &Spec) -> Result<(), ExecutorError> {
        self.become_it().map_err(|error| ExecutorError::Other(error.to_string()))
    }

    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        find(&self.args, &self.path).map(drop).map_err(ExecutorValidationError::ArgValidationError)
    }
}

/// As with other runtimes only root keeps them across the exec: nothing is inheritable or ambient.
fn drop_capabilities(kept: Capabilities) -> io::Result<()> {
    for capability in Capabilities::iter_all().filter(|capability| !kept.contains(*capability)) {
        let flag = CapabilitySet::from_bits_retain(1 << capability.number());
        match rustix::thread::remove_capability_from_bounding_set(flag) {
            // A kernel older than the capability has nothing to remove.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let kept = rustix::thread::capabilities(None)?.permitted & CapabilitySet::from_bits_retain(kept.bits());
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    Ok(rustix::thread::set_capabilities(None, sets)?)
}

/// What a process without a `PATH` gets.
pub(super) const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn search_path(process: &Process) -> String {
    let given = process.env.iter().rev().find_map(|entry| entry.strip_prefix("PATH="));
    given.unwrap_or(USUAL_PATH).to_owned()
}

/// The program to run, by the container's own `PATH`, with the words that users know from other runtimes.
fn find(args: &[String], path: &str) -> Result<PathBuf, String> {
    let name = args.first().ok_or("no command specified")?;
    let candidates: Vec<PathBuf> = if name.contains('/') {
        vec![PathBuf::from(name)]
    } else {
        std::env::split_paths(path).map(|folder| folder.join(name)).collect()
    };
    if let Some(found) = candidates.iter().find(|candidate| is_executable(candidate)) {
        return Ok(found.clone());
    }
    let exists = candidates.iter().any(|candidate| candidate.exists());
    Err(match (exists, name.contains('/')) {
        (true, _) => format!("exec: \"{name}\": permission denied"),
        (false, true) => format!("exec: \"{name}\": stat {name}: no such file or directory"),
        (false, false) => format!("exec: \"{name}\": executable file not found in $PATH"),
    })
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
