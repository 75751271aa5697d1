//! The real kubectl, of the versions that Debian has.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::command::Command;
use crate::host::Host;

/// Where a server writes the administrator's kubeconfig.
const KUBECONFIG: &str = "/etc/skiff/kubeconfig.yaml";

/// kubectl on the machine of a server, as its administrator. Versions are those of `scripts/setup kubectl=VERSION`.
pub fn kubectl(host: &Host, version: &str) -> Result<Command> {
    let program = program(version)?;
    Ok(host.command(program.to_string_lossy()).env("KUBECONFIG", KUBECONFIG).env("HOME", "/tmp"))
}

fn program(version: &str) -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache")));
    let cache = cache.context("this user has no home directory")?;
    let path = cache.join(format!("skiff/kubectl-{version}/usr/bin/kubectl"));
    ensure!(path.is_file(), "{} is not there: run scripts/setup kubectl={version}", path.display());
    Ok(path)
}
