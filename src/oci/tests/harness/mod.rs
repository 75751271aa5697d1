//! Runs tests in a program of their own: the shim they need is this very binary, and must be reached while it has one thread.
//!
//! For every suite with real containers, also of other crates. Words on the command line choose the tests that hold one of them.

mod processes;

use std::ffi::OsString;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::{self, Runtime};

/// A test's name and what it does on ground of its own.
pub(crate) type Test<G> = (&'static str, for<'a> fn(&'a G) -> Pin<Box<dyn Future<Output = ()> + 'a>>);

/// Names async functions of a module as tests.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) const TESTS: &[$crate::harness::Test<$crate::Ground>] =
            &[$((concat!(module_path!(), "::", stringify!($name)), |ground| Box::pin($name(ground)))),*];
    };
}

/// What a test stands on.
pub(crate) trait Stand: Sized {
    fn runtime() -> Runtime {
        runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    }
    async fn new() -> Self;
    /// Looks for what the test left, too.
    async fn clear(&self);
}

/// What the containers run.
pub(crate) const BUSYBOX: &str = "/bin/busybox";

/// Far beyond what any test takes: one that hangs fails under its own name.
const PATIENCE: Duration = Duration::from_secs(300);

/// `prepare` runs where there is no second thread yet.
pub(crate) fn main<G: Stand>(prepare: impl FnOnce(), tests: &[&[Test<G>]]) -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|word| word == "shim").is_some() {
        return oci::shim::main(arguments);
    }
    if let Some(reason) = missing() {
        println!("skipped: {reason}");
        return ExitCode::SUCCESS;
    }
    // As skiff does: what is written for containers can be read by them.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    prepare();
    let words: Vec<String> = arguments.filter_map(|word: OsString| word.into_string().ok()).collect();
    let words: Vec<String> = words.into_iter().filter(|word| !word.starts_with('-')).collect();
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    let chosen = tests.concat().into_iter().filter(|(name, _)| chosen(name));
    let failed: Vec<&str> = chosen.filter(|test| !run(test)).map(|(name, _)| name).collect();
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {failed:?}");
    ExitCode::FAILURE
}

/// Why the tests cannot run here.
fn missing() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let runs = status.lines().any(|line| line.starts_with("Uid:\t0\t")) && Path::new(BUSYBOX).exists();
    (!runs).then(|| format!("containers need root and {BUSYBOX} (apt-get install busybox-static)"))
}

fn run<G: Stand>((name, test): &Test<G>) -> bool {
    let runtime = G::runtime();
    let in_time = async |what: Pin<Box<dyn Future<Output = ()> + '_>>| {
        let ended = tokio::time::timeout(PATIENCE, what).await;
        ended.unwrap_or_else(|_| panic!("it does not end; meanwhile:\n{}", processes::told()));
    };
    println!("test {name} ...");
    let ground = runtime.block_on(Box::pin(G::new()));
    let passed = catch_unwind(AssertUnwindSafe(|| runtime.block_on(in_time(test(&ground))))).is_ok();
    let clean =
        catch_unwind(AssertUnwindSafe(|| runtime.block_on(in_time(Box::pin(ground.clear()))))).is_ok();
    println!("test {name} ... {}", if passed && clean { "ok" } else { "FAILED" });
    passed && clean
}
