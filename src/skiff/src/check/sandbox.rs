//! Namespaces to try things in that nobody else sees and that need no cleaning up.
//!
//! A thread of its own leaves the machine's namespaces, does the work and ends; with it end its namespaces and all that
//! was made in them. Nothing has a name or a path, so nothing can be left behind even by a kill.

use std::io;
use std::thread;

use nix::sched::CloneFlags;
use rustix::mount::{MountPropagationFlags, mount_change};

use super::probe::Attempt;

/// Runs `work` on a thread in a new, empty network namespace.
pub(super) fn in_network(work: impl FnOnce() -> Attempt + Send) -> Attempt {
    run(CloneFlags::CLONE_NEWNET, || Ok(()), work)
}

/// Runs `work` on a thread with mounts and a working directory of its own.
pub(super) fn in_mounts(work: impl FnOnce() -> Attempt + Send) -> Attempt {
    let private = || mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC);
    run(CloneFlags::CLONE_NEWNS, move || private().map_err(io::Error::from), work)
}

fn run(
    namespaces: CloneFlags,
    prepare: impl FnOnce() -> io::Result<()> + Send,
    work: impl FnOnce() -> Attempt + Send,
) -> Attempt {
    if !rustix::process::geteuid().is_root() {
        return Attempt::NotTried("not tried: that takes root".into());
    }
    let leave = move || nix::sched::unshare(namespaces).map_err(io::Error::from).and_then(|()| prepare());
    let not_tried =
        |error: io::Error| Attempt::NotTried(format!("not tried: no namespaces can be made here ({error})"));
    thread::scope(|scope| {
        let work = move || leave().map_or_else(not_tried, |()| work());
        match thread::Builder::new().name("check".into()).spawn_scoped(scope, work) {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => not_tried(error),
        }
    })
}
