//! The shim: one process per pod that starts its containers, keeps their logs and knows how they ended.
//!
//! It has one thread, waits in epoll and holds almost nothing: what a container was asked to be stays on disk, what needs
//! libcontainer happens in launchers. It outlives the node agent, and a shim that was killed is replaced by another one that
//! finds everything on disk: containers and their output pipes do not depend on the shim's life. Only a container's terminal
//! does, as there is no way to keep a terminal open without a process.

mod adoption;
mod children;
mod clients;
mod container;
mod execs;
mod lifecycle;
mod log;
mod output;
mod poller;
mod routing;
mod server;
pub(crate) mod socket;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::launch::{self, Job};

/// The entry of `skiff shim`. Only the node agent and shims call it; it must be reached with one thread.
///
/// - `serve FOLDER` holds a pod, with a listening socket as its standard input.
/// - `launch FOLDER JOB...` starts something in it.
/// - `init` is the first process of a pod that shares one pid namespace.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // Started by way of /proc, it would be called "exe" in lists of processes.
    let _a_mere_name = rustix::thread::set_name(c"skiff-shim");
    children::let_them_be_waited_for();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let done = match words.as_slice() {
        // What is started must not inherit that the shim takes SIGCHLD by other means.
        ["launch" | "init", ..] if let Err(error) = children::unblock_signals() => Err(error.to_string()),
        ["serve", folder] => {
            close_what_was_inherited();
            server::serve(PathBuf::from(folder)).map_err(|error| launch::with_causes(&error))
        }
        ["launch", folder, job @ ..] => match Job::parse(job) {
            Some(job) => launch::run(PathBuf::from(folder), &job).map_err(|error| error.to_string()),
            None => Err("unknown job".to_owned()),
        },
        ["init"] => launch::hold_pid_namespace(),
        _ => Err("the shim is started by the node agent, not by hand".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shim: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A shim outlives skiff, and so would a lock or a pipe that somebody left open when he started skiff.
fn close_what_was_inherited() {
    let (first, last, flags): (libc::c_uint, libc::c_uint, libc::c_uint) = (3, libc::c_uint::MAX, 0);
    // SAFETY: nothing was opened here yet, so nobody uses one of these.
    let _not_in_kernels_before_5_9 = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
}
