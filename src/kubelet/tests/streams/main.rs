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
mod logs;
mod spdy;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use ground::Ground;

/// A test's name and what it does on ground of its own.
type Test = (&'static str, fn(&tokio::runtime::Runtime, &Ground));

/// Names an async function of a module as a test.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) const TESTS: &[$crate::Test] =
            &[$((concat!(module_path!(), "::", stringify!($name)), |runtime, ground| runtime.block_on($crate::in_time($name(ground))))),*];
    };
}

/// A test that hangs fails under its own name.
async fn in_time(test: impl Future<Output = ()>) {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);
    Box::pin(tokio::time::timeout(PATIENCE, test)).await.expect("it does not end");
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|word| word == "shim").is_some() {
        return oci::shim::main(arguments);
    }
    if !nix::unistd::geteuid().is_root() || !Path::new(ground::BUSYBOX).exists() {
        println!("skipped: containers need root and {} (apt-get install busybox-static)", ground::BUSYBOX);
        return ExitCode::SUCCESS;
    }
    let words: Vec<String> =
        arguments.filter_map(|word| word.into_string().ok()).filter(|word| !word.starts_with('-')).collect();
    let all = [logs::TESTS, exec::TESTS, attach::TESTS, forward::TESTS].concat();
    let chosen =
        all.into_iter().filter(|(name, _)| words.is_empty() || words.iter().any(|word| name.contains(word)));
    let failed: Vec<&str> = chosen.filter(|(name, test)| !run(name, *test)).map(|(name, _)| name).collect();
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {failed:?}");
    ExitCode::FAILURE
}

fn run(name: &str, test: fn(&tokio::runtime::Runtime, &Ground)) -> bool {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ground = runtime.block_on(Ground::new());
    let passed = catch_unwind(AssertUnwindSafe(|| test(&runtime, &ground))).is_ok();
    let clean = catch_unwind(AssertUnwindSafe(|| runtime.block_on(ground.clear()))).is_ok();
    println!("test {name} ... {}", if passed && clean { "ok" } else { "FAILED" });
    passed && clean
}
