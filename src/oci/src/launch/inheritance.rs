//! What a process has from whoever started skiff, and containers must not have: the umask, groups and keys of a login, the
//! processors of `taskset` or of a unit's `CPUAffinity=`, signals that `nohup` ignores.
//!
//! What other runtimes pass on is passed on here too, because an administrator has no other way to mean it for all containers:
//! limits (`ulimit`), priorities, scheduling policies.

use std::io::{self, ErrorKind};

use rustix::fs::Mode;
use rustix::process::umask;
use rustix::thread::{CpuSet, disable_transparent_huge_pages, sched_setaffinity, set_thread_groups};

/// For a launcher and all that it starts.
pub(super) fn shed() -> io::Result<()> {
    // skiff does without huge pages; its containers decide for themselves.
    disable_transparent_huge_pages(false)?;
    umask(Mode::from_raw_mode(0o022));
    where_allowed(set_thread_groups(&[]).map_err(io::Error::from))?;
    where_allowed(use_all_processors())?;
    where_allowed(leave_keyring())
}

/// Who is kept from it, or has no such thing, runs inside of somebody's container, and so do our containers.
fn where_allowed(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => Ok(()),
        done => done,
    }
}

/// All that the container's control group will allow.
fn use_all_processors() -> io::Result<()> {
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|number| all.set(number));
    Ok(sched_setaffinity(None, &all)?)
}

/// For an empty one that nobody else has: containers share no keys, neither with the host nor with each other.
fn leave_keyring() -> io::Result<()> {
    let without_a_name = std::ptr::null::<libc::c_char>();
    // SAFETY: the call reads nothing but a name, and there is none.
    let joined =
        unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, without_a_name) };
    if joined < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// In the last step before a container's program. What is ignored stays ignored across an exec, and a shell cannot even trap it:
/// SIGPIPE, which Rust ignores, or SIGHUP where skiff was started under nohup.
pub(super) fn take_signals_back() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: installs no handler. Two signals and the C library's own cannot be changed, nor ignored either.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}
