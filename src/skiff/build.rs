//! Hands the program what only the build knows: the commit and its time, the target and the compiler.
//!
//! Nothing that differs between two builds of one commit (time, host, path) is taken, so builds stay reproducible. A
//! build from an archive without `.git` sets `SKIFF_COMMIT` and `SOURCE_DATE_EPOCH`.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=SKIFF_COMMIT");
    println!("cargo::rustc-env=SKIFF_COMMIT={}", commit());
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rustc-env=SKIFF_BUILT={}", built());
    println!("cargo::rustc-env=SKIFF_TARGET={}", env::var("TARGET").expect("cargo sets TARGET"));
    println!("cargo::rustc-env=SKIFF_RUSTC={}", rustc());
}

fn commit() -> String {
    let given = env::var("SKIFF_COMMIT").ok().filter(|commit| !commit.is_empty());
    given.or_else(commit_of_checkout).unwrap_or_else(|| "unknown".into())
}

/// In seconds since 1970. Clocks that say less are known to be wrong.
fn built() -> String {
    let given = env::var("SOURCE_DATE_EPOCH").ok().filter(|seconds| seconds.parse::<i64>().is_ok());
    given.or_else(|| git(&["log", "-1", "--format=%ct"])).unwrap_or_else(|| {
        println!("cargo::warning=neither SOURCE_DATE_EPOCH nor a commit says how old this is: a clock in 1970 is believed");
        "0".into()
    })
}

/// The checked-out commit; the build runs again when HEAD or the branch it names moves.
fn commit_of_checkout() -> Option<String> {
    let branch = git(&["symbolic-ref", "-q", "HEAD"]);
    for moving in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        let path = git(&["rev-parse", "--git-path", moving])?;
        // A path that does not exist would make cargo run this at every build.
        if std::fs::exists(&path).unwrap_or(false) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "HEAD"])
}

fn git(args: &[&str]) -> Option<String> {
    output(Command::new("git").args(args))
}

/// The version alone: `rustc 1.95.0 (59807616e 2026-04-14)` becomes `1.95.0`.
fn rustc() -> String {
    let compiler = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let line = output(Command::new(compiler).arg("--version")).unwrap_or_default();
    line.split(' ').nth(1).unwrap_or("unknown").to_owned()
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
