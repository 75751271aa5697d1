//! overlayfs with its upper layer in the data directory, tried for real: whether a file system can hold whiteouts and the
//! extended attributes of overlayfs depends on its type, its options and the kernel.

use std::fs::{FileType, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::features::Facts;
use super::finding::Check;
use super::probe::{Attempt, Subject, judge};
use super::sandbox;

const OVERLAY: Subject = Subject {
    name: "overlayfs",
    option: "OVERLAY_FS",
    modules: "overlay",
    proof: "mounted on the data directory, with whiteouts and opaque folders",
    remedy: "put the data directory on ext4, xfs, btrfs or f2fs (--data-dir)",
};

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("make folders")]
    Folder(#[source] std::io::Error),
    #[error("mount")]
    Mount(#[source] Errno),
    #[error("remove a file of the lower layer")]
    Remove(#[source] std::io::Error),
    #[error("no whiteout appeared in the upper layer")]
    Whiteout,
    #[error("the upper layer does not keep trusted.overlay.opaque")]
    Opaque(#[source] Errno),
    #[error("unmount")]
    Unmount(#[source] Errno),
}

/// `folder` is the data directory, or its nearest ancestor that exists.
pub(super) fn check(facts: &Facts, folder: &Path) -> Vec<Check> {
    vec![judge(&OVERLAY, facts, &attempt(folder))]
}

fn attempt(folder: &Path) -> Attempt {
    if !rustix::process::geteuid().is_root() {
        return Attempt::NotTried("not tried: that takes root".into());
    }
    let place = match tempfile::Builder::new().prefix(".skiff-check-").tempdir_in(folder) {
        Ok(place) => place,
        Err(error) => return Attempt::Refused(format!("write: {error}")),
    };
    sandbox::in_mounts(|| {
        try_overlay(place.path()).map_or_else(|error| refusal(folder, error), |()| Attempt::Worked)
    })
}

fn refusal(folder: &Path, error: Error) -> Attempt {
    let folder = folder.display();
    match error {
        Error::Mount(errno) => Attempt::refused(&format!("mount with the upper layer in {folder}"), errno),
        other => Attempt::Refused(format!("in {folder}: {:#}", anyhow::Error::from(other))),
    }
}

/// Works in relative paths, as the working directory is the thread's own here: no path needs escaping in the options.
fn try_overlay(place: &Path) -> Result<(), Error> {
    rustix::process::chdir(place).map_err(|errno| Error::Folder(errno.into()))?;
    for folder in ["lower/folder", "upper", "work", "merged"] {
        std::fs::create_dir_all(folder).map_err(Error::Folder)?;
    }
    std::fs::write("lower/file", "").map_err(Error::Folder)?;
    let layers = c"lowerdir=lower,upperdir=upper,workdir=work";
    mount("overlay", "merged", "overlay", MountFlags::empty(), layers).map_err(Error::Mount)?;
    let result = change();
    // Explicitly: the end of the namespace may come a moment after the end of the thread, and the folders go then.
    unmount("merged", UnmountFlags::empty()).map_err(Error::Unmount)?;
    result
}

/// Removes what the lower layer has, and looks for the traces in the upper one.
fn change() -> Result<(), Error> {
    std::fs::remove_file("merged/file").map_err(Error::Remove)?;
    if !std::fs::symlink_metadata("upper/file").is_ok_and(|file| is_whiteout(&file)) {
        return Err(Error::Whiteout);
    }
    std::fs::remove_dir("merged/folder").map_err(Error::Remove)?;
    std::fs::create_dir("merged/folder").map_err(Error::Folder)?;
    rustix::fs::lgetxattr("upper/folder", "trusted.overlay.opaque", &mut [0u8; 8][..])
        .map_err(Error::Opaque)?;
    Ok(())
}

fn is_whiteout(file: &Metadata) -> bool {
    FileType::is_char_device(&file.file_type()) && file.rdev() == 0
}
