//! emptyDir: a folder on the node's disk, or a tmpfs. It lives as long as the pod, whatever happens to the node agent.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::EmptyDirVolumeSource;

use super::{Cause, mounts, ownership};
use crate::downward;

const ON_DISK_MODE: u32 = 0o777;
/// Upstream leaves a tmpfs as the kernel makes it: there, nobody removes the files of others.
const IN_MEMORY_MODE: u32 = 0o1777;

/// `memory` is all that the pod may use: a volume in memory that asks for no limit, or a higher one, holds no more.
pub(super) fn make(
    pod: &Path,
    name: &str,
    source: &EmptyDirVolumeSource,
    group: Option<u32>,
    memory: Option<u64>,
) -> Result<PathBuf, Cause> {
    let mode = source.mode.and_then(|mode| u32::try_from(mode).ok());
    match source.medium.as_deref().unwrap_or_default() {
        "" => on_disk(&pod.join("empty").join(name), mode.unwrap_or(ON_DISK_MODE), group),
        "Memory" => {
            let limit = source.size_limit.as_ref().map(downward::quantity).transpose()?;
            let limit = limit.and_then(|limit| u64::try_from(limit.value()).ok()).filter(|limit| *limit > 0);
            let limit = limit.into_iter().chain(memory).min();
            in_memory(&pod.join("memory").join(name), limit, mode.unwrap_or(IN_MEMORY_MODE), group)
        }
        _ => Err(Cause::Unsupported("emptyDir HugePages")),
    }
}

/// One that is there already is the pod's business alone. It appears with its final mode and owner: a start that was
/// interrupted leaves nothing half-made under its name.
fn on_disk(path: &Path, mode: u32, group: Option<u32>) -> Result<PathBuf, Cause> {
    if path.is_dir() {
        return Ok(path.to_owned());
    }
    let new = path.with_extension("new..");
    if let Some(parent) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o750).create(parent);
        made.map_err(Cause::file("make", parent))?;
    }
    match fs::create_dir(&new) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Cause::file("make", &new)(error));
        }
        _ => {}
    }
    finish(&new, mode, group)?;
    fs::rename(&new, path).map_err(Cause::file("make", path))?;
    Ok(path.to_owned())
}

fn in_memory(path: &Path, limit: Option<u64>, mode: u32, group: Option<u32>) -> Result<PathBuf, Cause> {
    if mounts::tmpfs(path, limit, mode)? {
        finish(path, mode, group)?;
    }
    Ok(path.to_owned())
}

fn finish(path: &Path, mode: u32, group: Option<u32>) -> Result<(), Cause> {
    let set = fs::set_permissions(path, Permissions::from_mode(mode));
    set.map_err(Cause::file("change the mode of", path))?;
    ownership::set_folder(path, group)
}
