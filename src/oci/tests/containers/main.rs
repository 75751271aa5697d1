//! Real containers: the shim of this very binary, busybox as the image, the machine's own kernel.
//!
//! Needs root and Debian's `busybox-static`; without them every test says that it was skipped. `cargo test -p oci --test
//! containers -- WORD` runs the tests whose names hold WORD.

#![expect(unsafe_code, reason = "registering a descriptor with tokio, keyctl(2)")]
#![expect(clippy::unwrap_used, reason = "tests, though they have a main function")]

mod confinement;
mod ground;
#[path = "../harness/mod.rs"]
mod harness;
mod lifecycle;
mod recovery;
mod streams;

use std::process::ExitCode;

use ground::Ground;

fn main() -> ExitCode {
    harness::main(|| (), &[lifecycle::TESTS, streams::TESTS, confinement::TESTS, recovery::TESTS])
}
