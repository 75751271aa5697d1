//! What the node's server does with real containers: the shim of this very binary, busybox, and clients of every protocol.
//!
//! Needs root and Debian's `busybox-static`; without them every test says that it was skipped. `cargo test -p kubelet --test
//! streams -- WORD` runs the tests whose names hold WORD.

#![expect(clippy::unwrap_used, reason = "tests, though they have a main function")]

mod attach;
mod client;
mod exec;
mod forward;
mod ground;
#[path = "../../../oci/tests/harness/mod.rs"]
mod harness;
mod logs;
mod spdy;

use std::process::ExitCode;

use ground::Ground;

fn main() -> ExitCode {
    harness::main(|| (), &[logs::TESTS, exec::TESTS, attach::TESTS, forward::TESTS])
}
