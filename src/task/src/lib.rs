//! The life cycle of long-running work: shutdown, readiness, owned tasks, back-off.
//!
//! A part of skiff is built (nothing runs), becomes ready, runs until it is asked to stop and then has until a deadline to
//! finish what it began. Everything that waits in skiff waits with these words:
//!
//! - [`Shutdown`] says *stop now* and *stop waiting now*, the same to everyone.
//! - [`Ready`] says *you may rely on me*, once.
//! - [`Tasks`] owns what was spawned: a task ends before its owner does.
//! - [`Carrier`] owns what somebody else began and cannot wait for.
//! - [`Backoff`] spaces attempts that may fail again.
//! - [`deadline`] and [`Stopwatch`] tell time where people ask for any number of it and clocks are set.
//! - [`apart`] lets who waits for work hear of its panic.
//! - [`causes`] tells in one line why something failed.
//! - [`ClockSettings`] tells that the time of day is another one.

mod apart;
mod backoff;
mod carrier;
mod causes;
mod clock;
mod ready;
mod settings;
mod shutdown;
mod tasks;

pub use apart::{Panicked, apart, last_words};
pub use backoff::Backoff;
pub use carrier::{Carrier, Stopping};
pub use causes::causes;
pub use clock::{Stopwatch, deadline};
pub use ready::{NotReady, Ready, ReadySignal, readiness};
pub use settings::ClockSettings;
#[cfg(any(test, feature = "test-util"))]
pub use settings::set_clock_for_test;
pub use shutdown::{Shutdown, ShutdownTrigger, shutdown};
pub use tasks::{Ended, Tasks};
