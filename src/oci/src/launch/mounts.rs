//! What a container sees of the host's files, and how mounts made later travel.
//!
//! libcontainer ignores propagation per mount and applies one kind to everything. So the launcher makes each source ready in
//! a mount namespace of its own first: with the propagation it shall have, on a private tmpfs, everything else private. The
//! container's namespace is a copy of that one, and the host never sees any of it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat2};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_change, move_mount,
    open_tree,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::spec::{Mount, Propagation};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot make a mount namespace")]
    Namespace(#[source] io::Error),
    #[error("cannot prepare the mount of {path}")]
    Source {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("path \"{path}\" is mounted on a mount that is not shared")]
    NotShared { path: PathBuf },
}

/// The strongest propagation that any mount asks for, as the runtime must apply it to all.
pub(super) fn rootfs_propagation(mounts: &[Mount]) -> &'static str {
    let any = |kind| mounts.iter().any(|mount| mount.propagation == kind);
    if any(Propagation::Bidirectional) {
        "shared"
    } else if any(Propagation::HostToContainer) {
        "slave"
    } else {
        "private"
    }
}

/// Enters a mount namespace in which the sources of `mounts` are ready below `staging`, and names them there.
pub(super) fn stage(mounts: &[Mount], staging: &Path) -> Result<Vec<PathBuf>, Error> {
    // SAFETY: CLONE_NEWNS leaves open descriptors alone.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.map_err(|error| Error::Namespace(error.into()))?;
    // Copies that are still in the host's peer groups, made before all else becomes private.
    let travelling = mounts.iter().filter(|mount| mount.propagation != Propagation::None);
    let copies =
        travelling.map(|mount| copy(mount).map(|copy| (mount, copy))).collect::<Result<Vec<_>, _>>()?;
    own_tree(staging).map_err(Error::Namespace)?;
    for (position, (mount, copy)) in copies.iter().enumerate() {
        place(copy, mount.propagation, &staged(staging, position))
            .map_err(|source| Error::Source { path: mount.source.clone(), source })?;
    }
    let mut positions = 0..;
    Ok(mounts
        .iter()
        .map(|mount| match mount.propagation {
            Propagation::None => mount.source.clone(),
            _ => staged(staging, positions.next().unwrap_or(0)),
        })
        .collect())
}

fn staged(staging: &Path, position: usize) -> PathBuf {
    staging.join(position.to_string())
}

fn copy(mount: &Mount) -> Result<OwnedFd, Error> {
    let failed = |source: Errno| Error::Source { path: mount.source.clone(), source: source.into() };
    if mount.propagation == Propagation::Bidirectional
        && !is_shared(&mount.source).map_err(|source| Error::Source { path: mount.source.clone(), source })?
    {
        return Err(Error::NotShared { path: mount.source.clone() });
    }
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, &mount.source, flags).map_err(failed)
}

fn own_tree(staging: &Path) -> io::Result<()> {
    fs::create_dir_all(staging)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    Ok(mount("staging", staging, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=700,size=64k")?)
}

fn place(copy: &OwnedFd, propagation: Propagation, at: &Path) -> io::Result<()> {
    if FileType::from_raw_mode(fstat(copy)?.st_mode) == FileType::Directory {
        fs::create_dir(at)?;
    } else {
        File::create(at)?;
    }
    move_mount(copy, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    if propagation == Propagation::HostToContainer {
        mount_change(at, MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
    }
    Ok(())
}

/// Whether the mount that holds `path` has peers.
fn is_shared(path: &Path) -> io::Result<bool> {
    let path = fs::canonicalize(path)?;
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    // The last of the longest: later mounts hide earlier ones.
    let holder = table.lines().filter_map(|line| line.split(' ').nth(4).map(|point| (unescape(point), line)));
    let holder =
        holder.filter(|(point, _)| path.starts_with(point)).max_by_key(|(point, _)| point.as_os_str().len());
    Ok(holder
        .is_some_and(|(_, line)| line.split(" - ").next().is_some_and(|fields| fields.contains(" shared:"))))
}

/// `mountinfo` writes spaces, tabs, newlines and backslashes as three octal digits.
fn unescape(point: &str) -> PathBuf {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.into_iter().fold(point.to_owned(), |text, (from, to)| text.replace(from, to)).into()
}

/// Creates `path` as seen from inside `rootfs`; links in it cannot lead outside.
pub(super) fn create_folder_inside(rootfs: &Path, path: &Path) -> io::Result<()> {
    let root = OpenOptions::new().read(true).open(rootfs)?;
    let inside = |path: &Path| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat2(&root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)
    };
    let mut walked = PathBuf::from("/");
    for name in path.strip_prefix("/").unwrap_or(path) {
        let parent = inside(&walked)?;
        walked.push(name);
        match inside(&walked) {
            Err(Errno::NOENT) => mkdirat(&parent, name, Mode::from_raw_mode(0o755))?,
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_inside_even_through_a_hostile_link() {
        let temporary = tempfile::tempdir().unwrap();
        let (root, outside) = (temporary.path().join("root"), temporary.path().join("outside"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, root.join("data")).unwrap();
        // The link's target does not exist inside.
        assert!(create_folder_inside(&root, Path::new("/data/x")).is_err());
        assert!(fs::read_dir(&outside).unwrap().next().is_none());
        create_folder_inside(&root, Path::new("/a/b/../c")).unwrap();
        assert!(root.join("a/c").is_dir());
    }

    #[test]
    fn the_strongest_propagation_is_the_container_s() {
        let mount = |propagation| Mount {
            source: "/".into(),
            destination: "/mnt".into(),
            read_only: false,
            recursive_read_only: false,
            propagation,
        };
        assert_eq!(rootfs_propagation(&[]), "private");
        assert_eq!(rootfs_propagation(&[mount(Propagation::HostToContainer)]), "slave");
        let both = [mount(Propagation::Bidirectional), mount(Propagation::HostToContainer)];
        assert_eq!(rootfs_propagation(&both), "shared");
    }

    #[test]
    fn mount_points_are_unescaped() {
        assert_eq!(unescape("/a\\040b\\134c"), Path::new("/a b\\c"));
    }
}
