//! Control groups of both versions, for the node agent's pods and the shim's containers.
//!
//! A group is one path, such as `/kubepods/burstable/pod1234/app`; behind it is one folder (version 2) or one per controller
//! (version 1 and the hybrid form, where controllers may be mounted one by one or together). Nothing here keeps state: the
//! kernel's files are the state, so any process may pick up any group at any time.

mod devices;
mod hierarchy;
mod limits;
mod usage;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

pub use devices::DeviceRule;
pub use hierarchy::Hierarchy;
pub use limits::Limits;
pub use usage::Usage;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot find where control groups are mounted")]
    Mounts(#[source] io::Error),
    #[error("no control group controllers are mounted")]
    NoControllers,
    #[error("cannot create control group {path}")]
    Create {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write '{value}' to {path}")]
    Write {
        path: PathBuf,
        value: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot remove control group {path}")]
    Remove {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("processes in control group {0} do not die")]
    Alive(PathBuf),
    #[error("cannot restrict the devices of control group {path}")]
    Devices {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// How long processes may take to die of SIGKILL before we give up on them: they hang in the kernel.
const DEATH: Duration = Duration::from_secs(10);

/// One group; it need not exist.
#[derive(Debug, Clone)]
pub struct Cgroup<'a> {
    hierarchy: &'a Hierarchy,
    path: PathBuf,
}

impl<'a> Cgroup<'a> {
    /// The group at `path`, counted from the top of the hierarchy.
    pub fn new(hierarchy: &'a Hierarchy, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().strip_prefix("/").unwrap_or(path.as_ref()).to_owned();
        Self { hierarchy, path }
    }

    /// Creates it with its parents; one that is there already is left as it is.
    pub fn create(&self) -> Result<(), Error> {
        self.hierarchy.create(&self.path)
    }

    /// Sets what `limits` names and leaves the rest.
    pub fn limit(&self, limits: &Limits) -> Result<(), Error> {
        limits::apply(self, limits)
    }

    /// Lets processes of the group open only the devices that `rules` name.
    pub fn allow_devices(&self, rules: &[DeviceRule]) -> Result<(), Error> {
        devices::apply(self, rules)
    }

    /// What the group has used so far.
    pub fn usage(&self) -> Result<Usage, Error> {
        usage::read(self)
    }

    /// How many processes of the group the kernel killed for want of memory; 0 when it cannot be told.
    pub fn oom_kills(&self) -> u64 {
        usage::oom_kills(self)
    }

    pub fn exists(&self) -> bool {
        self.hierarchy.folders(&self.path).any(|folder| folder.exists())
    }

    /// Moves a process into the group.
    pub fn add(&self, pid: u32) -> Result<(), Error> {
        self.hierarchy
            .folders(&self.path)
            .try_for_each(|folder| write(&folder.join("cgroup.procs"), &pid.to_string()))
    }

    /// The processes in the group and in those below it.
    pub fn processes(&self) -> Result<Vec<Pid>, Error> {
        let mut found = Vec::new();
        for folder in self.folders_deepest_first()? {
            let path = folder.join("cgroup.procs");
            match fs::read_to_string(&path) {
                Ok(list) => found.extend(list.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?))),
                Err(error) if is_gone(&error) => {}
                Err(source) => return Err(Error::Read { path, source }),
            }
        }
        found.sort_unstable_by_key(|pid| pid.as_raw_nonzero());
        found.dedup();
        Ok(found)
    }

    /// Kills every process in the group and below it, and waits until they are gone.
    pub fn kill(&self) -> Result<(), Error> {
        self.kill_and_wait(None, &mut || {})
    }

    /// The same for whoever has children among them: `reap` is called whenever `endings` becomes readable. The first process of
    /// a namespace is gone only when all others in it were reaped, so a parent that only waited would wait for itself.
    pub(crate) fn kill_reaping(&self, endings: &OwnedFd, mut reap: impl FnMut()) -> Result<(), Error> {
        self.kill_and_wait(Some(endings), &mut reap)
    }

    fn kill_and_wait(&self, endings: Option<&OwnedFd>, reap: &mut dyn FnMut()) -> Result<(), Error> {
        let deadline = Instant::now() + DEATH;
        loop {
            let alive = self.processes()?;
            if alive.is_empty() {
                return Ok(());
            }
            // A handle from before the signal: waiting on it cannot meet another process with the same number.
            let handles = alive.into_iter().filter_map(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
            let handles: Vec<_> = handles.collect();
            for handle in &handles {
                let _already_gone = pidfd_send_signal(handle, Signal::KILL);
            }
            for handle in &handles {
                self.await_death(handle, deadline, endings, reap)?;
            }
        }
    }

    fn await_death(
        &self,
        handle: &OwnedFd,
        deadline: Instant,
        endings: Option<&OwnedFd>,
        reap: &mut dyn FnMut(),
    ) -> Result<(), Error> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(0), tv_nsec: 0 };
            let mut events = vec![PollFd::new(handle, PollFlags::IN)];
            events.extend(endings.map(|endings| PollFd::new(endings, PollFlags::IN)));
            if poll(&mut events, Some(&left)) == Ok(0) {
                return Err(Error::Alive(self.path.clone()));
            }
            // Also when the wait failed: signals to a process that is gone do no harm.
            if events.get(1).is_none_or(|children| children.revents().is_empty()) {
                return Ok(());
            }
            reap();
        }
    }

    /// Removes the group and all below it. Its processes must be gone; a group that is not there is fine.
    pub fn remove(&self) -> Result<(), Error> {
        for folder in self.folders_deepest_first()? {
            match fs::remove_dir(&folder) {
                Ok(()) => {}
                Err(error) if is_gone(&error) => {}
                Err(source) => return Err(Error::Remove { path: folder, source }),
            }
        }
        Ok(())
    }

    fn folders_deepest_first(&self) -> Result<Vec<PathBuf>, Error> {
        let mut folders = Vec::new();
        for top in self.hierarchy.folders(&self.path) {
            collect_below(top, &mut folders)?;
        }
        Ok(folders)
    }

    /// The folder where `controller` keeps this group's files.
    pub(crate) fn folder(&self, controller: &str) -> Option<PathBuf> {
        self.hierarchy.folder(controller, &self.path)
    }

    pub(crate) fn is_v2(&self) -> bool {
        self.hierarchy.is_v2()
    }
}

fn collect_below(folder: PathBuf, into: &mut Vec<PathBuf>) -> Result<(), Error> {
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if is_gone(&error) => return Ok(()),
        Err(source) => return Err(Error::Read { path: folder, source }),
    };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        collect_below(entry.path(), into)?;
    }
    into.push(folder);
    Ok(())
}

/// A group may vanish at any time, between its name being read and its files being opened.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

pub(crate) fn write(path: &Path, value: &str) -> Result<(), Error> {
    // One write(2) without truncation: the kernel takes a value whole or not at all.
    let written = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()));
    written.map_err(|source| Error::Write { path: path.to_owned(), value: value.to_owned(), source })
}
