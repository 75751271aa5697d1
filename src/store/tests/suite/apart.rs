//! Tests that need a process of their own, because mounts and limits are the process's.

use std::path::PathBuf;
use std::process::Command;

/// Runs the ignored test `child` after the shell commands `before`, with a directory as `$STORE_DIRECTORY`.
pub(crate) fn run(shell: &[&str], before: &str, child: &str) {
    let directory = tempfile::tempdir().unwrap();
    let script = format!("{before} && exec \"$0\" --exact {child} --ignored --nocapture");
    let (program, arguments) = shell.split_first().unwrap();
    let output = Command::new(program)
        .args(arguments)
        .args(["sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("STORE_DIRECTORY", directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{complained}");
    println!("{said}");
}

pub(crate) fn directory() -> PathBuf {
    std::env::var_os("STORE_DIRECTORY").unwrap().into()
}

pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: mounting needs root");
    }
    root
}
