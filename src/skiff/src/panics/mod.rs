//! Panics: logged where everything else is logged, then the end of the process, whichever thread it was.
//!
//! A component that lost a task would go on half alive; a supervisor restarts the whole quickly and the pods do not
//! notice. Who waits for an answer is told first ([`task::apart`]).

mod backtrace;

use std::panic::PanicHookInfo;
use std::thread;

use crate::exit::Exit;

/// Takes effect for all threads.
pub(crate) fn handle() {
    std::panic::set_hook(Box::new(|panic| {
        report(panic);
        task::last_words();
        #[expect(clippy::disallowed_methods, reason = "there is no way back to main from here")]
        std::process::exit(Exit::Panicked as i32);
    }));
}

fn report(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("(no message)");
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = thread::current().name().unwrap_or("(no name)").to_owned();
    let backtrace = backtrace::capture();
    if tracing::dispatcher::has_been_set() {
        tracing::error!(thread, location, %backtrace, "panic: {message}");
    } else {
        eprintln!("skiff: panic in thread {thread} at {location}: {message}\nbacktrace: {backtrace}");
    }
}
