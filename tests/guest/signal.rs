//! Signals as events: blocked in every thread and taken one by one, so that no code runs in a handler.
//!
//! The kernel drops signals with the default action for PID 1 of a container, but keeps blocked ones.

use std::ffi::c_int;
use std::fmt;
use std::str::FromStr;
use std::thread;

/// `sigset_t` of Linux's C libraries: 1024 bits.
#[repr(C, align(8))]
struct SignalSet([u8; 128]);

const SIG_BLOCK: c_int = 0;

unsafe extern "C" {
    fn sigfillset(set: *mut SignalSet) -> c_int;
    fn pthread_sigmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
    fn sigwait(set: *const SignalSet, signal: *mut c_int) -> c_int;
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signal(c_int);

impl Signal {
    pub const INT: Self = Self(2);
    pub const TERM: Self = Self(15);
    const NAMES: [(c_int, &str); 10] = [
        (1, "HUP"),
        (2, "INT"),
        (3, "QUIT"),
        (10, "USR1"),
        (12, "USR2"),
        (14, "ALRM"),
        (15, "TERM"),
        (17, "CHLD"),
        (18, "CONT"),
        (28, "WINCH"),
    ];
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Signal {
    type Err = ();
    fn from_str(name: &str) -> Result<Self, ()> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(number, _)| Self(*number)).ok_or(())
    }
}

pub struct Signals(SignalSet);

impl Signals {
    /// Blocks all signals in this thread and in those it will start.
    pub fn block() -> Self {
        let mut set = SignalSet([0; 128]);
        // SAFETY: `set` is as large as the C library's sigset_t and outlives both calls.
        unsafe {
            sigfillset(&mut set);
            pthread_sigmask(SIG_BLOCK, &set, std::ptr::null_mut());
        }
        Self(set)
    }

    pub fn next(&self) -> Signal {
        let mut number = 0;
        // SAFETY: the set was filled by sigfillset and is blocked; `number` outlives the call.
        unsafe { sigwait(&self.0, &mut number) };
        Signal(number)
    }

    pub fn end_on_term(self) {
        thread::spawn(move || {
            while !matches!(self.next(), Signal::TERM | Signal::INT) {}
            std::process::exit(0);
        });
    }
}
