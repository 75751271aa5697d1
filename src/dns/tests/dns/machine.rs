//! A machine with nothing but a loopback link: its own network and its own mounts.

use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountPropagationFlags, mount_change};

/// Runs a test as the only program of a machine that has these addresses. Without the right to make one, says so and passes.
pub(crate) fn on_a_machine(addresses: &[&str], test: impl AsyncFnOnce() + Send) {
    let inside = || {
        if let Err(errno) = unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS) {
            return eprintln!("skipped: a network of its own: {errno}");
        }
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        ip("link set lo up");
        addresses.iter().for_each(|address| ip(&format!("address add {address}/32 dev lo")));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    };
    std::thread::scope(|scope| {
        scope.spawn(inside).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn ip(command: &str) {
    assert!(Command::new("ip").args(command.split(' ')).status().unwrap().success(), "ip {command}");
}
