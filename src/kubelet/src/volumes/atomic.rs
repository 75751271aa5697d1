//! Files that change all at once, in the layout that programs in pods rely on.
//!
//! ```text
//! VOLUME/..2026_11_21_09_00_00.123456789/   what was written then
//! VOLUME/..data -> ..2026_11_21_…           swapped by one rename
//! VOLUME/key -> ..data/key                  what people see
//! ```
//!
//! Whoever watches `..data` learns of every change; whoever holds a file open keeps what it held.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Component, Path};

use k8s_openapi::jiff::Timestamp;

use super::{Cause, ownership};

/// One file of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) data: Vec<u8>,
    pub(super) mode: u32,
    pub(super) owner: Option<u32>,
}

/// Files by their path in the volume.
pub(super) type Payload = BTreeMap<String, File>;

const DATA: &str = "..data";
const NEXT: &str = "..data_tmp";

/// Makes `volume` hold exactly `payload`, and touches nothing if it does already.
pub(super) fn write(volume: &Path, payload: &Payload, group: Option<u32>) -> Result<(), Cause> {
    payload.keys().try_for_each(|path| check(path))?;
    make_folder(volume).map_err(Cause::file("make", volume))?;
    let current = fs::read_link(volume.join(DATA)).ok().map(|name| volume.join(name));
    if current.as_deref().is_some_and(|current| holds(current, payload, group)) {
        return link_all(volume, payload);
    }
    let new = volume.join(Timestamp::now().strftime("..%Y_%m_%d_%H_%M_%S.%9f").to_string());
    fill(&new, payload, group)?;
    swap(volume, &new)?;
    link_all(volume, payload)?;
    clear(volume, &new)
}

/// A path inside the volume that is not one of our own.
fn check(path: &str) -> Result<(), Cause> {
    let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let plain = !path.is_empty() && !path.starts_with("..") && inside;
    if plain { Ok(()) } else { Err(Cause::Path(path.to_owned())) }
}

fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        // As upstream's: anybody may look, and nobody can write to the read-only mount.
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(0o777)),
    }
}

fn holds(folder: &Path, payload: &Payload, group: Option<u32>) -> bool {
    let same = |(path, file): (&String, &File)| {
        let path = folder.join(path);
        let metadata = fs::metadata(&path).ok()?;
        let mode = metadata.mode() & 0o7777 == ownership::read_only_mode(file.mode, group);
        let owned = file.owner.is_none_or(|owner| owner == metadata.uid())
            && group.is_none_or(|group| group == metadata.gid());
        Some(mode && owned && fs::read(&path).ok()? == file.data)
    };
    let all = payload.iter().all(|file| same(file).unwrap_or(false));
    all && files_below(folder).is_ok_and(|files| files == payload.len())
}

fn files_below(folder: &Path) -> io::Result<usize> {
    let mut files = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() { files_below(&entry.path())? } else { 1 };
    }
    Ok(files)
}

fn fill(folder: &Path, payload: &Payload, group: Option<u32>) -> Result<(), Cause> {
    make_open(folder)?;
    for (path, file) in payload {
        let mut parent = folder.to_owned();
        let (folders, _name) = path.rsplit_once('/').unwrap_or_default();
        for part in Path::new(folders).components() {
            parent.push(part);
            if !parent.is_dir() {
                make_open(&parent)?;
            }
        }
        let path = folder.join(path);
        write_file(&path, file).map_err(Cause::file("write", &path))?;
    }
    ownership::set_all(folder, group)
}

/// A folder that everybody may look into, whatever our umask.
fn make_open(path: &Path) -> Result<(), Cause> {
    let made = fs::create_dir(path).and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)));
    made.map_err(Cause::file("make", path))
}

fn write_file(path: &Path, file: &File) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    new.write_all(&file.data)?;
    chown(path, file.owner, None)?;
    new.set_permissions(Permissions::from_mode(file.mode))
}

fn swap(volume: &Path, new: &Path) -> Result<(), Cause> {
    let (data, next) = (volume.join(DATA), volume.join(NEXT));
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Cause::file("remove", &next)(error));
        }
        _ => {}
    }
    symlink(new.file_name().unwrap_or_default(), &next).map_err(Cause::file("link", &next))?;
    fs::rename(&next, &data).map_err(Cause::file("replace", &data))
}

/// What people see: a link for the first part of each path.
fn link_all(volume: &Path, payload: &Payload) -> Result<(), Cause> {
    let tops: BTreeSet<_> = payload.keys().filter_map(|path| path.split('/').next()).collect();
    for top in &tops {
        let link = volume.join(top);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(top), &link).map_err(Cause::file("link", &link))?;
        }
    }
    for name in names(volume)? {
        let ours = name.to_str().is_some_and(|name| name.starts_with("..") || tops.contains(name));
        if !ours {
            let link = volume.join(&name);
            fs::remove_file(&link).map_err(Cause::file("remove", &link))?;
        }
    }
    Ok(())
}

/// Removes all that was written before.
fn clear(volume: &Path, current: &Path) -> Result<(), Cause> {
    for name in names(volume)? {
        let path = volume.join(&name);
        let old = name.to_str().is_some_and(|name| name.starts_with("..2")) && path != current;
        if old {
            fs::remove_dir_all(&path).map_err(Cause::file("remove", &path))?;
        }
    }
    Ok(())
}

fn names(volume: &Path) -> Result<Vec<std::ffi::OsString>, Cause> {
    let entries = fs::read_dir(volume).map_err(Cause::file("list", volume))?;
    Ok(entries.flatten().map(|entry| entry.file_name()).collect())
}
