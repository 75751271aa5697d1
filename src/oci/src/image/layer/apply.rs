//! Turns the entries of a layer's archive into the folder that overlayfs wants.
//!
//! Deletions become what overlayfs takes for them: a character device 0/0 for a file, an attribute for everything in a
//! folder. Folders that the archive leaves out, as the layers below have them, are made and remembered: they must look as
//! they do below, or the lower folder's owner and mode would be hidden.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, Timespec, Uid, XattrFlags};
use rustix::io::Errno;

use super::tar::{Archive, Entry, Kind, Skip};
use super::tree::{Place, Tree, reopen, times};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// The kernel heeds it in every folder but a layer's root; that one is left to whoever mounts.
pub(super) const OPAQUE_ATTRIBUTE: &str = "trusted.overlay.opaque";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("it leads out of the layer")]
    Escape,
    #[error("the layer has more than {MAX_FOLDERS} folders")]
    TooMany,
    #[error("it is a hard link to {0}, which is not in the layer")]
    NoTarget(PathBuf),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Errno> for Error {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// What is remembered of a layer's folders must not fill the memory of a small board.
const MAX_FOLDERS: usize = 200_000;

pub(super) struct Layer {
    pub(super) tree: Tree,
    /// Folders that the archive did not describe.
    pub(super) implied: BTreeSet<PathBuf>,
    /// Times are set last, as whatever is put into a folder changes them.
    folders: Vec<(PathBuf, Timespec)>,
    buffer: Vec<u8>,
}

impl Layer {
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let tree = Tree::open(folder)?;
        Ok(Self { tree, implied: BTreeSet::new(), folders: Vec::new(), buffer: vec![0; 64 << 10] })
    }

    pub(super) fn apply<R: Skip>(&mut self, entry: &Entry, archive: &mut Archive<R>) -> Result<(), Error> {
        let path = inside(&entry.path)?;
        let Some(name) = path.file_name() else {
            // The root of a container always looks the same.
            return Ok(());
        };
        if self.folders.len() + self.implied.len() > MAX_FOLDERS {
            return Err(Error::TooMany);
        }
        self.make_folders(path.parent().unwrap_or(Path::new("")))?;
        if name.as_bytes().starts_with(WHITEOUT) {
            return self.delete(&path, name);
        }
        let place = self.tree.place(&path)?;
        match &entry.kind {
            Kind::File => self.file(&place, entry, archive),
            Kind::Folder => self.folder(&place, &path, entry),
            Kind::HardLink(target) => self.hard_link(&place, target),
            Kind::Symlink(target) => {
                place.replace(|| rustix::fs::symlinkat(target, &place.folder, place.name))?;
                describe(&place, entry)
            }
            Kind::Character { major, minor } => {
                node(&place, FileType::CharacterDevice, rustix::fs::makedev(*major, *minor), entry)
            }
            Kind::Block { major, minor } => {
                node(&place, FileType::BlockDevice, rustix::fs::makedev(*major, *minor), entry)
            }
            Kind::Fifo => node(&place, FileType::Fifo, 0, entry),
        }
    }

    fn file<R: Skip>(
        &mut self,
        place: &Place<'_>,
        entry: &Entry,
        archive: &mut Archive<R>,
    ) -> Result<(), Error> {
        let mut file = place.file()?;
        loop {
            match archive.read(&mut self.buffer)? {
                0 => break,
                count => file.write_all(&self.buffer[..count])?,
            }
        }
        describe_open(&file, entry)?;
        Ok(rustix::fs::futimens(&file, &times(entry.modified))?)
    }

    fn folder(&mut self, place: &Place<'_>, path: &Path, entry: &Entry) -> Result<(), Error> {
        let folder = make_folder(place)?;
        describe_open(&folder, entry)?;
        self.implied.remove(path);
        self.folders.push((path.to_owned(), entry.modified));
        Ok(())
    }

    fn hard_link(&self, place: &Place<'_>, target: &Path) -> Result<(), Error> {
        let target = inside(target)?;
        let missing = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Error::NoTarget(target.clone()),
            _ => error.into(),
        };
        let from = self.tree.place(&target).map_err(missing)?;
        let link =
            || rustix::fs::linkat(&from.folder, from.name, &place.folder, place.name, AtFlags::empty());
        place.replace(link).map_err(missing)
    }

    fn delete(&self, path: &Path, name: &OsStr) -> Result<(), Error> {
        let name = name.as_bytes();
        if name == OPAQUE {
            let parent = self.tree.folder(path.parent().unwrap_or(Path::new("")))?;
            return Ok(make_opaque(&reopen(&parent)?)?);
        }
        if name.starts_with(b".wh..wh.") {
            // Left behind by AUFS, for itself.
            return Ok(());
        }
        let hidden = path.with_file_name(OsStr::from_bytes(&name[WHITEOUT.len()..]));
        let place = self.tree.place(&hidden)?;
        match place.status()?.map(|status| FileType::from_raw_mode(status.st_mode)) {
            None => Ok(place.make_node(FileType::CharacterDevice, 0)?),
            // Only what lower layers have is deleted.
            Some(FileType::Directory) => Ok(make_opaque(&place.open_folder()?)?),
            Some(_) => Ok(()),
        }
    }

    fn make_folders(&mut self, path: &Path) -> io::Result<()> {
        match self.tree.folder(path) {
            Err(error) if is_no_folder(&error) => {}
            opened => return opened.map(drop),
        }
        if let Some(parent) = path.parent() {
            self.make_folders(parent)?;
        }
        let place = self.tree.place(path)?;
        if place.status()?.is_some_and(|status| !is_whiteout(&status)) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        rustix::fs::fchmod(make_folder(&place)?, Mode::from_raw_mode(0o755))?;
        self.implied.insert(path.to_owned());
        Ok(())
    }

    /// To be called once, after the last entry.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        for (path, modified) in self.folders.drain(..) {
            match self.tree.place(&path).and_then(|place| place.set_modified(modified)) {
                // A later entry took its place.
                Err(error) if is_no_folder(&error) => {}
                done => done?,
            }
        }
        Ok(())
    }
}

/// The path below the layer's root; empty for the root itself.
pub(super) fn inside(path: &Path) -> Result<PathBuf, Error> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(Error::Escape),
        }
    }
    Ok(clean)
}

fn is_no_folder(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What is here already if it is a folder. One that takes the place of a deletion hides what was deleted.
fn make_folder(place: &Place<'_>) -> io::Result<OwnedFd> {
    let status = place.status()?;
    let there = status.map(|status| FileType::from_raw_mode(status.st_mode));
    if there != Some(FileType::Directory) {
        place.replace(|| rustix::fs::mkdirat(&place.folder, place.name, Mode::RWXU))?;
    }
    let folder = place.open_folder()?;
    if status.is_some_and(|status| is_whiteout(&status)) {
        make_opaque(&folder)?;
    }
    Ok(folder)
}

fn is_whiteout(status: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice && status.st_rdev == 0
}

fn make_opaque(folder: impl AsFd) -> io::Result<()> {
    Ok(rustix::fs::fsetxattr(folder, OPAQUE_ATTRIBUTE, b"y", XattrFlags::empty())?)
}

fn node(place: &Place<'_>, kind: FileType, device: u64, entry: &Entry) -> Result<(), Error> {
    place.make_node(kind, device)?;
    place.set_owner(entry.uid, entry.gid)?;
    place.set_mode(entry.mode)?;
    describe(place, entry)
}

/// What has no descriptor: symbolic links, devices, pipes.
fn describe(place: &Place<'_>, entry: &Entry) -> Result<(), Error> {
    place.set_owner(entry.uid, entry.gid)?;
    for (name, value) in attributes(entry) {
        tolerate(name, place.set_attribute(name, value))?;
    }
    Ok(place.set_modified(entry.modified)?)
}

/// In this order: a new owner takes away the set-user-id bit and capabilities.
fn describe_open(file: impl AsFd, entry: &Entry) -> Result<(), Error> {
    let file = file.as_fd();
    rustix::fs::fchown(file, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode))?;
    for (name, value) in attributes(entry) {
        let set = rustix::fs::fsetxattr(file, OsStr::from_bytes(name), value, XattrFlags::empty());
        tolerate(name, set.map_err(Into::into))?;
    }
    Ok(())
}

/// Those of overlayfs are ours to set: they could show parts of other layers.
fn attributes(entry: &Entry) -> impl Iterator<Item = (&[u8], &[u8])> {
    let attributes = entry.attributes.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    attributes
        .filter(|(name, _)| !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay."))
}

/// File systems without some kinds of attributes exist; without capabilities programs fail in odd ways.
fn tolerate(name: &[u8], set: io::Result<()>) -> io::Result<()> {
    match set {
        Err(error) if error.kind() == io::ErrorKind::Unsupported && name != b"security.capability" => Ok(()),
        set => set,
    }
}
