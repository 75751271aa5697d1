//! The exit codes of skiff, for init systems and scripts.

use std::process::ExitCode;

/// How a run of skiff ended.
///
/// A second SIGTERM or SIGINT ends the process at once with 128 plus the signal's number, 143 or 130, as a shell reports a
/// process that a signal killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Success = 0,
    /// The command could not do its work, or a component ended by itself. Restarting may help.
    Failed = 1,
    /// The command line, the environment or a configuration file is wrong. Restarting does not help.
    Usage = 2,
    /// Asked to stop, but work was left when the drain deadline passed.
    NotDrained = 3,
    /// A thread panicked: a bug in skiff. The same code that Rust gives a panic in `main`.
    Panicked = 101,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
