//! The roots of containers: layers of an image below, a folder of the container's own on top.
//!
//! ```text
//! ROOT/containers/ID/image  a symbolic link that names the image's id: made at once or not at all, and small
//! ROOT/containers/ID/upper  what the container changed
//! ROOT/containers/ID/work   overlayfs' own
//! ROOT/containers/ID/root   where it is mounted
//! ```
//!
//! Layers are named to the kernel as `/proc/self/fd/N`, which keeps the longest image far below the page that mount options must
//! fit in, on every kernel.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use super::catalog::Image;
use super::digest::Digest;
use super::error::Error;
use super::images::{Images, blocking};
use super::layer::{descriptor_path, hides_all};
use super::store::Store;
use crate::layout::is_id;

impl Images {
    /// The root of a container, made of an image and empty on top, or as the container left it. It outlives this process; after a
    /// restart of the machine it is mounted again with all that the container wrote.
    pub async fn mount(&self, image: &Image, container: &str) -> Result<PathBuf, Error> {
        let (store, container) = (Arc::clone(&self.0), container.to_owned());
        let (id, layers) = (image.id.clone(), image.layers.clone());
        blocking(move || {
            let folder = store.container(&container)?;
            let _alone = store.mounts();
            store.claim(&folder, &container, &id)?;
            store.mount_root(&folder, &layers).map_err(|source| Error::Mount { container, source })
        })
        .await
    }

    /// Removes a container's root and what it wrote. Does nothing when there is none.
    pub async fn unmount(&self, container: &str) -> Result<(), Error> {
        let (store, container) = (Arc::clone(&self.0), container.to_owned());
        blocking(move || {
            let folder = store.container(&container)?;
            let _alone = store.mounts();
            let removed = unmount_all(&folder.join("root")).and_then(|()| store.workshop.take(&folder));
            removed.map(drop).map_err(|source| Error::Unmount { container, source })
        })
        .await
    }

    /// The ids of all containers that have a root, or have had one before a restart of the machine.
    pub fn mounted(&self) -> Vec<String> {
        self.0.containers()
    }
}

impl Store {
    fn container(&self, id: &str) -> Result<PathBuf, Error> {
        if is_id(id) {
            Ok(self.root.join("containers").join(id))
        } else {
            Err(Error::ContainerId(id.to_owned()))
        }
    }

    fn containers(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root.join("containers")).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// The container whose root is made of an image.
    pub(super) fn user_of(&self, image: &str) -> Option<String> {
        let uses =
            |id: &String| image_of(&self.root.join("containers").join(id)).is_some_and(|used| used == image);
        self.containers().into_iter().find(uses)
    }

    /// From now on the image is in use. Whoever removes images waits meanwhile.
    fn claim(&self, folder: &Path, container: &str, image: &str) -> Result<(), Error> {
        let id = Digest::try_from(image.to_owned()).ok();
        if id.and_then(|id| self.catalog().by_id(&id)).is_none() {
            return Err(Error::NoImage(image.to_owned()));
        }
        let failed = |source| Error::Mount { container: container.to_owned(), source };
        make_folder(folder).map_err(failed)?;
        match symlink(image, folder.join("image")) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match image_of(folder) {
                Some(other) if other != image => {
                    Err(Error::OtherImage { container: container.to_owned(), image: other })
                }
                _ => Ok(()),
            },
            made => made.map_err(failed),
        }
    }

    fn mount_root(&self, folder: &Path, layers: &[Digest]) -> io::Result<PathBuf> {
        let root = folder.join("root");
        for name in ["upper", "work", "root"] {
            make_folder(&folder.join(name))?;
        }
        if !is_mounted(&root)? {
            let paths: Vec<PathBuf> = layers.iter().rev().map(|layer| self.layer(layer)).collect();
            mount_overlay(&paths, folder, &root)?;
        }
        Ok(root)
    }
}

/// `layers` from the uppermost down.
fn mount_overlay(layers: &[PathBuf], folder: &Path, root: &Path) -> io::Result<()> {
    // Overlayfs wants at least one layer; an image may have none.
    let nothing = [folder.join("empty")];
    if layers.is_empty() {
        make_folder(&nothing[0])?;
    }
    let seen = layers.iter().position(|layer| hides_all(layer)).map_or(layers.len(), |last| last + 1);
    let layers = if layers.is_empty() { &nothing[..] } else { &layers[..seen] };
    let opened = layers.iter().map(|layer| open(layer)).collect::<io::Result<Vec<_>>>()?;
    let lower: Vec<String> = opened.iter().map(shown).collect();
    let (upper, work) = (open(&folder.join("upper"))?, open(&folder.join("work"))?);
    let options = format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), shown(&upper), shown(&work));
    let options = std::ffi::CString::new(options)?;
    Ok(rustix::mount::mount("overlay", root, "overlay", MountFlags::empty(), Some(options.as_c_str()))?)
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn shown(descriptor: &OwnedFd) -> String {
    descriptor_path(descriptor).display().to_string()
}

fn make_folder(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn image_of(folder: &Path) -> Option<String> {
    fs::read_link(folder.join("image")).ok()?.into_os_string().into_string().ok()
}

fn is_mounted(path: &Path) -> io::Result<bool> {
    let status = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())?;
    Ok(status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn unmount_all(path: &Path) -> io::Result<()> {
    loop {
        match is_mounted(path) {
            Ok(true) => rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?,
            Ok(false) => return Ok(()),
            Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
