//! Handing a volume to the pod's group, as `fsGroup` asks.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;

use super::Cause;

const SET_GID: u32 = 0o2000;

/// The mode of a file in a volume that is only read, when a group owns it.
pub(super) fn read_only_mode(mode: u32, group: Option<u32>) -> u32 {
    if group.is_some() { mode | 0o440 } else { mode }
}

/// Lets the group read everything in and below `folder`; new files would be the group's too.
pub(super) fn set_all(folder: &Path, group: Option<u32>) -> Result<(), Cause> {
    let Some(group) = group else { return Ok(()) };
    own(folder, group, 0o440 | 0o110 | SET_GID)?;
    for entry in fs::read_dir(folder).map_err(Cause::file("list", folder))? {
        let entry = entry.map_err(Cause::file("list", folder))?;
        let path = entry.path();
        match entry.file_type().map_err(Cause::file("look at", &path))? {
            kind if kind.is_dir() => set_all(&path, Some(group))?,
            kind if kind.is_symlink() => {
                lchown(&path, None, Some(group)).map_err(Cause::file("give away", &path))?;
            }
            _ => own(&path, group, 0o440)?,
        }
    }
    Ok(())
}

/// Gives a new, empty folder to the group, to be written to.
pub(super) fn set_folder(folder: &Path, group: Option<u32>) -> Result<(), Cause> {
    group.map_or(Ok(()), |group| own(folder, group, 0o660 | 0o110 | SET_GID))
}

fn own(path: &Path, group: u32, add: u32) -> Result<(), Cause> {
    lchown(path, None, Some(group)).map_err(Cause::file("give away", path))?;
    let mode = fs::metadata(path).map_err(Cause::file("look at", path))?.permissions().mode();
    let set = fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 | add));
    set.map_err(Cause::file("change the mode of", path))
}
