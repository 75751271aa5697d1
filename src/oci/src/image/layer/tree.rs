//! A folder that nothing gets out of, whatever names and links strangers put into it.
//!
//! Every path is opened by `openat2` as if the folder were `/`; what is made is made by name in a folder so opened, and
//! never through a symbolic link.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, openat2,
};
use rustix::io::Errno;

use crate::image::removal::remove;

pub(super) struct Tree {
    root: OwnedFd,
}

/// A folder in the tree, and a name in it that may or may not be there.
pub(super) struct Place<'a> {
    pub(super) folder: OwnedFd,
    pub(super) name: &'a OsStr,
}

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

impl Tree {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let root = rustix::fs::open(path, FOLDER, Mode::empty())?;
        Ok(Self { root })
    }

    /// The folder at a path below the root, symbolic links followed as a container would.
    pub(super) fn folder(&self, path: &Path) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        loop {
            match openat2(&self.root, path, FOLDER, Mode::empty(), INSIDE) {
                // Something was renamed somewhere on this machine while the kernel walked up through a `..`.
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return Ok(opened?),
            }
        }
    }

    pub(super) fn place<'a>(&self, path: &'a Path) -> io::Result<Place<'a>> {
        let name = path.file_name().ok_or(Errno::ISDIR)?;
        let folder = self.folder(path.parent().unwrap_or(Path::new("")))?;
        Ok(Place { folder, name })
    }

    pub(super) fn root(&self) -> io::Result<OwnedFd> {
        reopen(&self.root)
    }
}

impl Place<'_> {
    pub(super) fn status(&self) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.folder, self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => Ok(Some(status)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes something here; what was here before gives way.
    pub(super) fn replace<T>(&self, make: impl Fn() -> rustix::io::Result<T>) -> io::Result<T> {
        match make() {
            Err(Errno::EXIST) => {
                self.clear()?;
                Ok(make()?)
            }
            made => Ok(made?),
        }
    }

    pub(super) fn clear(&self) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.folder, self.name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => remove(&self.path()).map(drop),
            done => Ok(done?),
        }
    }

    /// A new empty file.
    pub(super) fn file(&self) -> io::Result<fs::File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file =
            self.replace(|| rustix::fs::openat(&self.folder, self.name, flags, Mode::RUSR | Mode::WUSR))?;
        Ok(file.into())
    }

    /// The folder that is here.
    pub(super) fn open_folder(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.folder, self.name, flags, Mode::empty())?)
    }

    pub(super) fn make_node(&self, kind: FileType, device: u64) -> io::Result<()> {
        self.replace(|| rustix::fs::mknodat(&self.folder, self.name, kind, Mode::empty(), device))
    }

    pub(super) fn set_owner(&self, uid: u32, gid: u32) -> io::Result<()> {
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        Ok(rustix::fs::chownat(&self.folder, self.name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Only of what was just made and is no symbolic link.
    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::chmodat(&self.folder, self.name, Mode::from_raw_mode(mode), AtFlags::empty())?)
    }

    pub(super) fn set_modified(&self, modified: Timespec) -> io::Result<()> {
        let times = times(modified);
        Ok(rustix::fs::utimensat(&self.folder, self.name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    pub(super) fn set_attribute(&self, name: &[u8], value: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::lsetxattr(self.path(), OsStr::from_bytes(name), value, XattrFlags::empty())?)
    }

    /// For calls that know no folders; only its last part can be a symbolic link.
    fn path(&self) -> PathBuf {
        descriptor_path(&self.folder).join(self.name)
    }
}

/// The same folder, open for more than finding things in it.
pub(super) fn reopen(folder: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(folder, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

pub(super) fn times(modified: Timespec) -> Timestamps {
    Timestamps { last_access: modified, last_modification: modified }
}

/// A path to what a descriptor has open.
pub(crate) fn descriptor_path(descriptor: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", descriptor.as_raw_fd()).into()
}
