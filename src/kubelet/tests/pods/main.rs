//! A node agent with an API server in this process, and real containers: the shim of this very binary, busybox as the image,
//! the machine's own kernel in a network namespace of its own.
//!
//! Needs root and Debian's `busybox-static`; without them every test says that it was skipped. `cargo test -p kubelet --test
//! pods -- WORD` runs the tests whose names hold WORD.

#![expect(clippy::unwrap_used, reason = "tests, though they have a main function")]

mod failures;
mod image;
mod lifecycle;
mod node;
mod probes;
mod restarts;

use std::path::Path;
use std::process::ExitCode;

use node::Ground;

/// A test's name and what it does on a node of its own.
type Test = (&'static str, fn(&tokio::runtime::Runtime, &Ground));

/// Names an async function of a module as a test.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) const TESTS: &[$crate::Test] =
            &[$((concat!(module_path!(), "::", stringify!($name)), |runtime, ground| runtime.block_on(Box::pin($name(ground))))),*];
    };
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|word| word == "shim").is_some() {
        return oci::shim::main(arguments);
    }
    if !nix::unistd::geteuid().is_root() || !Path::new(image::BUSYBOX).exists() {
        println!("skipped: containers need root and {} (apt-get install busybox-static)", image::BUSYBOX);
        return ExitCode::SUCCESS;
    }
    let level =
        if std::env::var_os("DEBUG").is_some() { tracing::Level::DEBUG } else { tracing::Level::WARN };
    tracing_subscriber::fmt().with_max_level(level).init();
    // Before there is a second thread: all of them, and nothing else on this machine, are in it.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    let words: Vec<String> =
        arguments.filter_map(|word| word.into_string().ok()).filter(|word| !word.starts_with('-')).collect();
    let all = [lifecycle::TESTS, failures::TESTS, probes::TESTS, restarts::TESTS].concat();
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
    use std::panic::{AssertUnwindSafe, catch_unwind};
    println!("test {name} ...");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ground = Ground::new(&runtime);
    let passed = catch_unwind(AssertUnwindSafe(|| test(&runtime, &ground))).is_ok();
    let clean = catch_unwind(AssertUnwindSafe(|| runtime.block_on(Box::pin(ground.clear())))).is_ok();
    println!("test {name} ... {}", if passed && clean { "ok" } else { "FAILED" });
    passed && clean
}
