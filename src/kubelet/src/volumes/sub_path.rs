//! A path inside a volume, found so that the pod cannot lead us out of it.
//!
//! A container may put a link where another one's sub-path will be, and may swing it at any time. So the kernel resolves the
//! path without leaving the volume, and what was found is bound to a place that only we can write to: the runtime mounts that.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use ring::digest::{SHA256, digest};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fchmod, mkdirat, openat2};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount};

#[derive(Debug, thiserror::Error)]
pub enum SubPathError {
    #[error("error SubPath `{0}` must not be an absolute path")]
    Absolute(String),
    #[error("unable to provision SubPath `{0}`: must not contain '..'")]
    Back(String),
    #[error("subPath \"{sub_path}\" is outside of volume {}", .volume.display())]
    Outside { sub_path: String, volume: PathBuf },
    #[error("cannot {action} subPath \"{sub_path}\": {source}")]
    Failed {
        action: &'static str,
        sub_path: String,
        #[source]
        source: io::Error,
    },
}

/// Binds `sub_path` of `volume` to a place in `paths` and gives that place.
pub(super) fn bind(volume: &Path, sub_path: &str, paths: &Path) -> Result<PathBuf, SubPathError> {
    check(sub_path)?;
    let failed = |action| {
        move |source: io::Error| SubPathError::Failed { action, sub_path: sub_path.to_owned(), source }
    };
    let found = find(volume, sub_path).map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::XDEV.raw_os_error() => {
            SubPathError::Outside { sub_path: sub_path.to_owned(), volume: volume.to_owned() }
        }
        _ => failed("find")(error),
    })?;
    let place = paths.join(name(sub_path));
    bind_to(&found, &place).map_err(failed("bind"))?;
    Ok(place)
}

fn check(sub_path: &str) -> Result<(), SubPathError> {
    let path = Path::new(sub_path);
    if path.is_absolute() {
        return Err(SubPathError::Absolute(sub_path.to_owned()));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(SubPathError::Back(sub_path.to_owned()));
    }
    Ok(())
}

/// A file name of its own for each sub-path.
fn name(sub_path: &str) -> String {
    digest(&SHA256, sub_path.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Opens it, and makes what is missing as folders like the volume's own.
fn find(volume: &Path, sub_path: &str) -> io::Result<OwnedFd> {
    let root = open_in(CWD, volume.as_os_str().as_bytes(), ResolveFlags::empty())?;
    match open_below(&root, sub_path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(&root, sub_path),
        found => found,
    }
}

fn make(root: &OwnedFd, sub_path: &str) -> io::Result<OwnedFd> {
    let mode = Mode::from_raw_mode(rustix::fs::fstat(root)?.st_mode);
    let mut folder = root.try_clone()?;
    let mut so_far = PathBuf::new();
    for part in Path::new(sub_path).components() {
        let Component::Normal(part) = part else { continue };
        so_far.push(part);
        let Some(text) = so_far.to_str() else { return Err(io::ErrorKind::InvalidFilename.into()) };
        folder = match open_below(root, text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A link that leads nowhere is in the way here and stays so.
                mkdirat(&folder, part, mode)?;
                let new = open_below(root, text)?;
                // The umask had a say; it is ours, not the pod's.
                fchmod(reopened(&new)?, mode)?;
                new
            }
            found => found?,
        };
    }
    Ok(folder)
}

/// A descriptor for a path alone cannot change modes.
fn reopened(path: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(path, c".", flags, Mode::empty())?)
}

fn open_below(root: &OwnedFd, path: &str) -> io::Result<OwnedFd> {
    open_in(root.as_fd(), path.as_bytes(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)
}

fn open_in(folder: impl AsFd, path: &[u8], resolve: ResolveFlags) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let path = CString::new(path)?;
    loop {
        // EAGAIN: something was renamed while the kernel looked.
        match openat2(&folder, path.as_c_str(), flags, Mode::empty(), resolve) {
            Err(rustix::io::Errno::AGAIN) => {}
            opened => return Ok(opened?),
        }
    }
}

/// Binds what was opened, unless it is bound there already.
fn bind_to(found: &OwnedFd, place: &Path) -> io::Result<()> {
    let wanted = rustix::fs::fstat(found)?;
    if let Ok(there) = fs::symlink_metadata(place) {
        if there.ino() == wanted.st_ino && there.dev() == wanted.st_dev {
            return Ok(());
        }
        clear(place, &there)?;
    }
    if let Some(parent) = place.parent() {
        DirBuilder::new().recursive(true).mode(0o750).create(parent)?;
    }
    if rustix::fs::FileType::from_raw_mode(wanted.st_mode).is_dir() {
        fs::create_dir(place)?;
    } else {
        File::create_new(place)?;
    }
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(found, c"", flags)?;
    Ok(move_mount(&tree, c"", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Something else was bound here before: a container that uses it keeps it.
fn clear(place: &Path, there: &fs::Metadata) -> io::Result<()> {
    match unmount(place, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        // Nothing is mounted here: a start that was interrupted, or the machine's.
        Ok(()) | Err(rustix::io::Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    if there.is_dir() { fs::remove_dir(place) } else { fs::remove_file(place) }
}
