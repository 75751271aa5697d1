//! Who ended: signalfd for the shim's own children, and how to start one.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, WaitOptions, wait};

use crate::launch::Job;
use crate::layout::PodFolder;
use crate::state::Ended;

/// Whoever started skiff may ignore SIGCHLD, and a process whose parent does so ends unseen.
pub(super) fn let_them_be_waited_for() {
    // SAFETY: installs no handler.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Becomes readable when children have ended.
pub(super) fn endings() -> io::Result<OwnedFd> {
    // SAFETY: an all-zero set is what sigemptyset fills in anyway, and all three calls get valid pointers to it.
    let descriptor = unsafe {
        let mut signals: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut signals);
        libc::sigaddset(&raw mut signals, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const signals, std::ptr::null_mut());
        libc::signalfd(-1, &raw const signals, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so the number is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// For what a shim starts: undoes what [`endings`] did to the signal mask.
pub(super) fn unblock_signals() -> io::Result<()> {
    // SAFETY: both calls get valid pointers to a set of their own.
    let done = unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// All children that have ended since the last time. Signals merge, so their number says nothing.
pub(super) fn reap(endings: &OwnedFd) -> Vec<(i32, Ended)> {
    let mut info = [0; size_of::<libc::signalfd_siginfo>()];
    while rustix::io::read(endings, &mut info).is_ok_and(|count| count > 0) {}
    let mut ended = Vec::new();
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        let how = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Ended::Code(code),
            (None, Some(signal)) => Ended::Signal(signal),
            (None, None) => continue,
        };
        ended.push((Pid::as_raw(Some(pid)), how));
    }
    ended
}

/// A launcher at work.
pub(super) struct Launch {
    pub(super) pid: i32,
    pub(super) reports: OwnedFd,
}

pub(super) fn launch(folder: &PodFolder, job: &Job) -> io::Result<Launch> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("skiff").args(["shim", "launch"]).arg(folder.path()).args(job.arguments());
    // Errors that cannot be reported go where the shim's own go.
    let child = command.stdin(theirs).stdout(Stdio::null()).spawn()?;
    Ok(Launch { pid: i32::try_from(child.id()).map_err(io::Error::other)?, reports: ours })
}
