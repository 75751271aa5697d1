//! Telling a process from a later one that got the same number.
//!
//! Numbers are reused within one boot and start again with the next, so a process on file is its number, its start time in
//! kernel ticks and the boot it belongs to. Signals go through a pidfd that was opened before the three were compared.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// Seconds until a process that was killed is given up: it hangs in the kernel.
const DEATH: i64 = 10;

/// A process, for as long as files are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    pub pid: i32,
    pub start_ticks: u64,
    pub boot: String,
}

impl ProcessId {
    /// The living process with this number.
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, start_ticks: start_ticks(pid)?, boot: boot_id()? })
    }

    /// A handle to exactly this process; `None` when it is gone.
    pub(crate) fn open(&self) -> io::Result<Option<OwnedFd>> {
        if self.boot != boot_id()? {
            return Ok(None);
        }
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let same = matches!(start_ticks(self.pid), Ok(ticks) if ticks == self.start_ticks);
        Ok(same.then_some(handle))
    }
}

/// Kills the process behind a handle and waits until it is dead; whether it is.
pub(crate) fn kill(handle: &OwnedFd) -> bool {
    let _already_gone = pidfd_send_signal(handle, Signal::KILL);
    let patience = Timespec { tv_sec: DEATH, tv_nsec: 0 };
    poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&patience)).is_ok_and(|ended| ended > 0)
}

/// A different word after each start of the machine.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn start_ticks(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_start_ticks(&stat)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable /proc/PID/stat"))
}

/// The name of a program may hold spaces and parentheses: what follows the last parenthesis begins with field 3.
fn parse_start_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_time_is_read_past_a_hostile_name() {
        let stat =
            "42 (a) 1 (b)) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1000 10 18446744073709551615";
        assert_eq!(parse_start_ticks(stat), Some(777));
        assert_eq!(parse_start_ticks("42 (short) S"), None);
    }

    #[test]
    fn only_the_same_process_of_the_same_boot_opens() {
        let own = ProcessId::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.open().unwrap().is_some());
        assert!(ProcessId { start_ticks: own.start_ticks + 1, ..own.clone() }.open().unwrap().is_none());
        assert!(ProcessId { boot: "another".to_owned(), ..own }.open().unwrap().is_none());
    }
}
