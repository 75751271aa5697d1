//! A node agent with an API server in this process, and real containers: the shim of this very binary, busybox as the image,
//! the machine's own kernel in a network namespace of its own.
//!
//! Needs root and Debian's `busybox-static`; without them every test says that it was skipped. `cargo test -p kubelet --test
//! pods -- WORD` runs the tests whose names hold WORD.

#![expect(clippy::unwrap_used, reason = "tests, though they have a main function")]

mod failures;
#[path = "../../../oci/tests/harness/mod.rs"]
mod harness;
mod image;
mod lifecycle;
mod node;
mod probes;
mod resize;
mod restarts;

use std::process::ExitCode;

use node::Ground;

fn main() -> ExitCode {
    harness::main(
        prepare,
        &[lifecycle::TESTS, failures::TESTS, probes::TESTS, resize::TESTS, restarts::TESTS],
    )
}

fn prepare() {
    let level =
        if std::env::var_os("DEBUG").is_some() { tracing::Level::DEBUG } else { tracing::Level::WARN };
    tracing_subscriber::fmt().with_max_level(level).init();
    // All threads to come, and nothing else on this machine, are in it.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
}
