//! A program that keeps running on a machine, with everything it has said so far.
//!
//! One thread per process waits on three things, both outputs and the process itself, so nothing is asked twice:
//! those who wait for a line or the end sleep on a condition. The end is told only after everything that the process
//! had said by then. All lines are kept in memory: a test ends before that matters.

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::command::Command;
use crate::place::lock;

/// Longer than anything here takes on the slowest machine: a test that hangs must end.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Clones are the same daemon.
#[derive(Clone)]
pub struct Daemon {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    command: Command,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    lines: Vec<String>,
    /// How many lines are of earlier runs.
    earlier: usize,
    life: Life,
}

#[derive(Clone)]
enum Life {
    Running { pid: u32, handle: Arc<OwnedFd> },
    Ended(ExitStatus),
}

impl Daemon {
    pub(crate) fn start(name: &str, command: Command) -> Result<Self> {
        let (child, life) = spawn(&command)?;
        let state = Mutex::new(State { lines: Vec::new(), earlier: 0, life });
        let daemon =
            Self { shared: Arc::new(Shared { name: name.into(), command, state, changed: Condvar::new() }) };
        daemon.follow(child)?;
        Ok(daemon)
    }

    /// Everything it has said so far, in all its runs, both outputs in the order of arrival.
    pub fn logs(&self) -> String {
        self.shared.state().lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// Waits for a line of this run, said already or yet to come.
    pub fn wait_line(&self, wanted: impl Fn(&str) -> bool, timeout: Duration) -> Result<String> {
        let found = |state: &State| state.lines[state.earlier..].iter().find(|line| wanted(line)).cloned();
        let state = self.wait_until(timeout, |state| found(state).is_some() || state.life.status().is_some());
        let (line, status) = (found(&state), state.life.status());
        drop(state);
        let why =
            status.map_or_else(|| format!("in {timeout:?}"), |status| format!("until it ended ({status})"));
        line.with_context(|| format!("{} did not say it {why}:\n{}", self.shared.name, self.logs()))
    }

    /// Hands every line to `show` as it comes, until the daemon ends.
    pub fn show(&self, mut show: impl FnMut(&str)) -> Result<ExitStatus> {
        let mut shown = 0;
        loop {
            let news = |state: &State| state.lines.len() > shown || state.life.status().is_some();
            let state = self.wait_until(Duration::MAX, news);
            let (lines, ended) = (state.lines[shown..].to_vec(), state.life.status());
            drop(state);
            lines.iter().for_each(|line| show(line));
            shown += lines.len();
            if let Some(status) = ended {
                return Ok(status);
            }
        }
    }

    pub fn wait_exit(&self, timeout: Duration) -> Result<ExitStatus> {
        let status = self.wait_until(timeout, |state| state.life.status().is_some()).life.status();
        status.with_context(|| format!("{} did not end in {timeout:?}:\n{}", self.shared.name, self.logs()))
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait_exit(PATIENCE)
    }

    pub fn kill(&self) -> Result<ExitStatus> {
        self.signal(Signal::KILL)?;
        self.wait_exit(PATIENCE)
    }

    /// Stops it if it runs, and starts it (anew, where the machine has been rebooted).
    pub fn restart(&self) -> Result<()> {
        if self.pid().is_ok() {
            self.stop()?;
        }
        let (child, life) = spawn(&self.shared.command)?;
        let mut state = self.shared.state();
        state.earlier = state.lines.len();
        state.life = life;
        drop(state);
        self.follow(child)
    }

    /// Its process, as the test sees it.
    pub fn pid(&self) -> Result<u32> {
        match self.shared.state().life {
            Life::Running { pid, .. } => Ok(pid),
            Life::Ended(status) => bail!("{} has ended: {status}", self.shared.name),
        }
    }

    /// Harmless when it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let Life::Running { handle, .. } = self.shared.state().life.clone() else { return Ok(()) };
        match pidfd_send_signal(&handle, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            result => result.with_context(|| format!("signalling {}", self.shared.name)),
        }
    }

    fn wait_until(&self, timeout: Duration, done: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited =
            self.shared.changed.wait_timeout_while(self.shared.state(), timeout, |state| !done(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn follow(&self, child: Child) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name(shared.name.clone());
        let running = shared.command.host().machine().running()?;
        let follower = thread.spawn(move || {
            if let Err(error) = Follower::new(Arc::clone(&shared), child).and_then(Follower::run) {
                shared.say(format!("the lab lost sight of {}: {error}", shared.name));
            }
        });
        running.keep(follower.context("starting a thread")?);
        Ok(())
    }
}

impl Debug for Daemon {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Daemon").field(&self.shared.name).finish()
    }
}

impl Life {
    fn status(&self) -> Option<ExitStatus> {
        match self {
            Self::Running { .. } => None,
            Self::Ended(status) => Some(*status),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn say(&self, line: String) {
        self.state().lines.push(line);
        self.changed.notify_all();
    }
}

fn spawn(command: &Command) -> Result<(Child, Life)> {
    let child = command.start()?;
    let handle =
        Arc::new(pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).context("opening the process")?);
    let pid = child.id();
    Ok((child, Life::Running { pid, handle }))
}

/// The thread's side of a daemon's run.
struct Follower {
    shared: Arc<Shared>,
    child: Child,
    handle: Option<Arc<OwnedFd>>,
    streams: Vec<Stream>,
}

struct Stream {
    source: OwnedFd,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    open: bool,
}

impl Follower {
    fn new(shared: Arc<Shared>, mut child: Child) -> io::Result<Self> {
        let sources = [child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)];
        let streams: Vec<Stream> = sources.into_iter().flatten().map(Stream::new).collect();
        for stream in &streams {
            rustix::io::ioctl_fionbio(&stream.source, true)?;
        }
        let Life::Running { handle, .. } = shared.state().life.clone() else {
            return Err(io::Error::other("it has ended before it began"));
        };
        Ok(Self { shared, child, handle: Some(handle), streams })
    }

    /// Until the process and all who inherited its outputs have ended.
    fn run(mut self) -> io::Result<()> {
        while self.handle.is_some() || !self.streams.is_empty() {
            let ended = self.wait()?;
            for stream in &mut self.streams {
                stream.read(&self.shared)?;
            }
            self.streams.retain(|stream| stream.open);
            if ended {
                self.handle = None;
                let status = self.child.wait()?;
                self.shared.state().life = Life::Ended(status);
                self.shared.changed.notify_all();
            }
        }
        Ok(())
    }

    /// Whether the process has ended.
    fn wait(&self) -> io::Result<bool> {
        let sources = self.streams.iter().map(|stream| PollFd::new(&stream.source, PollFlags::IN));
        let process = self.handle.iter().map(|handle| PollFd::new(handle, PollFlags::IN));
        let mut fds: Vec<PollFd<'_>> = process.chain(sources).collect();
        rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
        Ok(self.handle.is_some() && !fds[0].revents().is_empty())
    }
}

impl Stream {
    fn new(source: OwnedFd) -> Self {
        Self { source, begun: Vec::new(), open: true }
    }

    /// All that is there now.
    fn read(&mut self, shared: &Shared) -> io::Result<()> {
        let mut buffer = [0; 8192];
        loop {
            match rustix::io::read(&self.source, &mut buffer) {
                Ok(0) => {
                    self.open = false;
                    if !self.begun.is_empty() {
                        self.end_line(shared);
                    }
                    return Ok(());
                }
                Ok(count) => self.take(&buffer[..count], shared),
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn take(&mut self, bytes: &[u8], shared: &Shared) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(piece);
            if self.begun.pop_if(|last| *last == b'\n').is_some() {
                self.end_line(shared);
            }
        }
    }

    fn end_line(&mut self, shared: &Shared) {
        shared.say(String::from_utf8_lossy(&self.begun).into_owned());
        self.begun.clear();
    }
}
