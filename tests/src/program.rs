//! Where the programs under test are, and how the lab runs its own tools.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Where Debian keeps its programs, administration included.
pub(crate) const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The path of a binary of this workspace, built by the same cargo and profile as the running program.
pub fn binary(name: &str) -> Result<PathBuf> {
    let path = build_directory()?.join(name);
    ensure!(
        path.is_file(),
        "{} is not there: build it first, with `cargo build --bin {name}`",
        path.display()
    );
    Ok(path)
}

/// `target/debug`: a test runs from `target/debug/deps`, a binary from `target/debug` itself.
pub(crate) fn build_directory() -> Result<PathBuf> {
    let program = std::env::current_exe().context("finding the running program")?;
    let directory = program.parent().context("the running program lies in no directory")?;
    let is_test = directory.file_name().is_some_and(|name| name == "deps");
    let directory = if is_test { directory.parent().unwrap_or(directory) } else { directory };
    Ok(directory.to_path_buf())
}

/// A tool of the system, with nothing of the caller's environment.
pub(crate) fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env_clear().env("PATH", SYSTEM_PATH).env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a tool to its end, giving it `input` to read.
pub(crate) fn run(mut command: Command, input: &str) -> Result<()> {
    command.stdin(input_file(input.as_bytes())?);
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}: {}{input}", output.status, said);
    }
    Ok(())
}

/// Input for a program from memory. Unlike a pipe it needs nobody who feeds it.
pub(crate) fn input_file(bytes: &[u8]) -> Result<Stdio> {
    let mut file = tempfile::tempfile().context("making a file for the input")?;
    file.write_all(bytes).context("writing the input")?;
    std::io::Seek::rewind(&mut file).context("rewinding the input")?;
    Ok(Stdio::from(file))
}
