//! Settings of the wall clock: a board without a battery starts in 1970 or at its last shutdown, and is set when a time server answers.
//!
//! Whoever computed a wait from the time of day computes it anew then: no timer notices, they run by a clock that nobody sets.

#![expect(
    unsafe_code,
    reason = "tokio's registration of a descriptor is unsafe, and so is a test's call of the kernel"
)]

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

/// A time of day that never comes, in seconds: the kernel tells of settings only to a timer that waits for something.
const NEVER: i64 = 1 << 40;

/// Tells whenever somebody sets the wall clock. Costs a descriptor for all clones together, and nothing while nobody does.
///
/// A clock that is only made to run faster or slower is not set.
#[derive(Clone, Debug)]
pub struct ClockSettings {
    timer: Arc<Timer>,
    told: watch::Receiver<()>,
}

/// The kernel tells a setting once, to whichever clone asks first: that one tells the others.
#[derive(Debug)]
struct Timer {
    descriptor: AsyncFd<OwnedFd>,
    tell: watch::Sender<()>,
}

impl ClockSettings {
    /// From now on. Must be called on a tokio runtime.
    pub fn watch() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let never = Itimerspec { it_interval: zero, it_value: Timespec { tv_sec: NEVER, tv_nsec: 0 } };
        timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &never)?;
        // SAFETY: an `OwnedFd` is the same open descriptor as long as it lives, and the `AsyncFd` owns it.
        let descriptor = unsafe { AsyncFd::register(timer) }.map_err(io::Error::from)?;
        let (tell, told) = watch::channel(());
        Ok(Self { timer: Arc::new(Timer { descriptor, tell }), told })
    }

    /// Waits for the next one; several since the last call are one. Cancel safe.
    pub async fn next(&mut self) -> io::Result<()> {
        tokio::select! {
            // Fails only when the timer is gone, which we hold.
            _told = self.told.changed() => Ok(()),
            asked = self.timer.set() => {
                self.told.mark_unchanged();
                asked
            }
        }
    }
}

impl Timer {
    async fn set(&self) -> io::Result<()> {
        loop {
            let mut ready = self.descriptor.readable().await?;
            let told = ready.try_io(|timer| Ok(rustix::io::read(timer, &mut [0; 8])?));
            match told {
                // The timer stays as it is, and tells of the next setting too.
                Ok(Err(error)) if error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => {
                    self.tell.send_replace(());
                    return Ok(());
                }
                Ok(Err(error)) => return Err(error),
                Ok(Ok(_)) | Err(_) => {}
            }
        }
    }
}

/// Sets the clock a billionth of a second ahead, which hurts nobody and is told like any other setting. Needs the right to: false
/// without it.
#[cfg(any(test, feature = "test-util"))]
pub fn set_clock_for_test() -> bool {
    // SAFETY: all zero is a valid value of this plain C struct.
    let mut change: libc::timex = unsafe { std::mem::zeroed() };
    change.modes = libc::ADJ_SETOFFSET | libc::ADJ_NANO;
    change.time.tv_usec = 1;
    // SAFETY: the struct is ours and complete.
    let set = unsafe { libc::adjtimex(&raw mut change) } >= 0;
    if !set {
        eprintln!("skipped: setting the clock: {}", io::Error::last_os_error());
    }
    set
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    #[tokio::test]
    async fn every_setting_is_told() {
        // Somebody else may set it at any time, but not each time that we look.
        const LOOKS: usize = 100;
        let mut settings = ClockSettings::watch().unwrap();
        let mut others = settings.clone();
        let mut told = 0;
        for _ in 0..LOOKS {
            tokio::select! {
                biased;
                setting = settings.next() => told += usize::from(setting.is_ok()),
                () = ready(()) => {}
            }
        }
        assert!(told < LOOKS, "nobody has set it yet");
        for _ in 0..2 {
            if !set_clock_for_test() {
                return;
            }
            settings.next().await.unwrap();
            others.next().await.unwrap();
        }
    }
}
