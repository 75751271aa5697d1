//! A program on a terminal of its own, and whoever sits in front of it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{self, Child, ExitStatus};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::daemon::PATIENCE;

#[derive(Debug)]
pub struct Terminal {
    screen: File,
    program: Child,
    /// What was shown and has not been looked at.
    shown: String,
}

impl Terminal {
    pub(crate) fn start(
        mut command: process::Command,
        (rows, columns): (u16, u16),
        spawn: impl FnOnce(process::Command) -> Result<Child>,
    ) -> Result<Self> {
        let (screen, keyboard) = pair().context("making a terminal")?;
        resize(&screen, rows, columns)?;
        command.stdin(keyboard.try_clone()?).stdout(keyboard.try_clone()?).stderr(keyboard);
        // SAFETY: two system calls.
        unsafe { command.pre_exec(|| Ok(take_over()?)) };
        Ok(Self { screen: screen.into(), program: spawn(command)?, shown: String::new() })
    }

    pub fn enter(&mut self, keys: &str) -> Result<()> {
        self.screen.write_all(keys.as_bytes()).context("typing")
    }

    /// As if its window had been dragged to this size.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        resize(&self.screen, rows, columns)
    }

    /// Waits until it shows this; what came after it is left for the next time.
    pub fn wait_for(&mut self, wanted: &str) -> Result<()> {
        loop {
            if let Some(position) = self.shown.find(wanted) {
                self.shown.drain(..position + wanted.len());
                return Ok(());
            }
            ensure!(self.read()?, "it ended without {wanted:?}: {}", self.shown);
        }
    }

    /// Its end, and what it showed at last.
    pub fn wait_exit(mut self) -> Result<(ExitStatus, String)> {
        while self.read()? {}
        Ok((self.program.wait()?, std::mem::take(&mut self.shown)))
    }

    /// Whether there was anything more to read.
    fn read(&mut self) -> Result<bool> {
        let patience = Timespec::try_from(PATIENCE)?;
        if poll(&mut [PollFd::new(&self.screen, PollFlags::IN)], Some(&patience))? == 0 {
            bail!("nothing more was shown: {}", self.shown);
        }
        let mut bytes = [0; 4096];
        match self.screen.read(&mut bytes) {
            // How a terminal says that its last user is gone.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(false),
            count => {
                let count = count.context("reading the screen")?;
                self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
                Ok(count > 0)
            }
        }
    }
}

/// Who is left unfinished is ended: a machine is not off before all who entered it have been waited for.
impl Drop for Terminal {
    fn drop(&mut self) {
        // Harmless when it has ended.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// Its two ends: the one people see, the one programs see.
fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&screen)?;
    unlockpt(&screen)?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let keyboard = open(ptsname(&screen, Vec::new())?.as_c_str(), flags, Mode::empty())?;
    Ok((screen, keyboard))
}

/// In the new process: its terminal tells it of keys and sizes.
fn take_over() -> rustix::io::Result<()> {
    rustix::process::setsid()?;
    rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())
}

fn resize(screen: impl std::os::fd::AsFd, rows: u16, columns: u16) -> Result<()> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(screen, size).context("setting the size of a terminal")
}
