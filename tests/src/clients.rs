//! Real clients, where `scripts/setup clients` puts them.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::command::Command;
use crate::host::Host;

/// Where a server writes the administrator's kubeconfig.
pub const KUBECONFIG: &str = "/etc/skiff/kubeconfig.yaml";

/// kubectl on the machine of a server, as its administrator. Versions are those of `scripts/setup kubectl=VERSION`.
pub fn kubectl(host: &Host, version: &str) -> Result<Command> {
    let program = kubectl_folder(version)?.join("kubectl");
    Ok(host.command(program.to_string_lossy()).env("KUBECONFIG", KUBECONFIG).env("HOME", "/tmp"))
}

/// The folder that holds nothing but this kubectl.
pub fn kubectl_folder(version: &str) -> Result<PathBuf> {
    let folder = cache()?.join(format!("kubectl-{version}/usr/bin"));
    let kubectl = folder.join("kubectl");
    ensure!(kubectl.is_file(), "{} is not there: run scripts/setup kubectl={version}", kubectl.display());
    Ok(folder)
}

/// The Python that has the libraries.
pub fn python() -> Result<PathBuf> {
    in_clients("python/bin/python")
}

/// Where Node finds its libraries.
pub fn node_folder() -> Result<PathBuf> {
    Ok(in_clients("node/node_modules/@kubernetes/client-node/package.json")?
        .ancestors()
        .nth(4)
        .context("the file lies in four folders")?
        .to_path_buf())
}

fn in_clients(path: &str) -> Result<PathBuf> {
    let path = cache()?.join("clients").join(path);
    ensure!(path.exists(), "{} is not there: run scripts/setup clients", path.display());
    Ok(path)
}

fn cache() -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache")));
    Ok(cache.context("this user has no home directory")?.join("skiff"))
}
