//! Layers: from a compressed stream to a folder that overlayfs can stack.
//!
//! A layer is unpacked while it arrives, in a folder of its own below `staging/`, and is checked twice on the way: the bytes
//! that came against the manifest, the archive in them against the configuration. Nothing is held in memory or written
//! twice. Only when all of it is on the disk does it get its name by a rename, after the layers below it: a power cut
//! leaves whole layers or none.

mod apply;
mod compression;
mod tar;
mod tree;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Gid, Mode, Uid};

use super::digest::{Digest, Summed};
use super::staging::Staging;
use apply::Layer;
use tree::Tree;

pub(crate) use compression::Decompressed;
pub(crate) use tar::{Archive, Error as TarError, Kind, Skip};
pub(crate) use tree::descriptor_path;

/// Whether a layer leaves nothing of those below it to be seen.
pub(crate) fn hides_all(layer: &Path) -> bool {
    rustix::fs::lgetxattr(layer, apply::OPAQUE_ATTRIBUTE, &mut [0; 1][..]).is_ok()
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot decompress the layer")]
    Decompress(#[source] io::Error),
    #[error("cannot read the layer's archive")]
    Tar(#[from] TarError),
    #[error("cannot unpack {path}")]
    Entry {
        path: PathBuf,
        #[source]
        source: apply::Error,
    },
    #[error("what arrived has the digest {found} instead of {wanted}")]
    Digest { wanted: String, found: String },
    #[error("the layer has the digest {found} after decompression instead of {wanted}")]
    DiffId { wanted: String, found: String },
    #[error("cannot put the layer on the disk")]
    Store(#[source] io::Error),
}

/// A whole layer, on the disk but not in its place.
pub(crate) struct Unpacked {
    staging: Staging,
    implied: Vec<PathBuf>,
}

/// Unpacks what `stream` holds, which must have the digest `blob` (unless nobody knows it) as it comes and `diff_id` when decompressed.
/// Blocks.
pub(crate) fn unpack(
    stream: impl Read,
    blob: Option<&Digest>,
    diff_id: &Digest,
    staging: Staging,
) -> Result<Unpacked, Error> {
    let mut layer = prepare(&staging).map_err(Error::Store)?;
    let decompressed = Decompressed::new(Summed::new(stream)).map_err(Error::Decompress)?;
    let mut archive = Archive::new(Summed::new(decompressed));
    while let Some(entry) = archive.next()? {
        let applied = layer.apply(&entry, &mut archive);
        applied.map_err(|source| Error::Entry { path: entry.path, source })?;
    }
    let (decompressed, found) = archive.finish().map_err(Error::Decompress)?.into_parts();
    check_blob(decompressed.into_inner(), blob)?;
    if found != *diff_id {
        return Err(Error::DiffId { wanted: diff_id.to_string(), found: found.to_string() });
    }
    layer.finish().and_then(|()| sync(&layer.tree)).map_err(Error::Store)?;
    Ok(Unpacked { staging, implied: layer.implied.into_iter().collect() })
}

fn prepare(staging: &Staging) -> io::Result<Layer> {
    fs::create_dir(staging.path())?;
    fs::set_permissions(staging.path(), fs::Permissions::from_mode(0o755))?;
    Layer::new(staging.path())
}

/// Some streams go on after what the decompressor wants.
fn check_blob(mut stream: Summed<impl Read>, wanted: Option<&Digest>) -> Result<(), Error> {
    let Some(wanted) = wanted else { return Ok(()) };
    io::copy(&mut stream, &mut io::sink()).map_err(Error::Decompress)?;
    let (_, found) = stream.into_parts();
    if found == *wanted {
        return Ok(());
    }
    Err(Error::Digest { wanted: wanted.to_string(), found: found.to_string() })
}

/// One call for all files: an image has tens of thousands, and each `fsync` is a round trip to a slow card.
fn sync(tree: &Tree) -> io::Result<()> {
    Ok(rustix::fs::syncfs(tree.root()?)?)
}

impl Unpacked {
    /// Gives the layer its place. `below` are the layers below it, the uppermost first, which are in theirs.
    pub(crate) fn commit(self, below: &[PathBuf], place: &Path) -> Result<(), Error> {
        self.resemble(below).map_err(Error::Store)?;
        self.staging.rename_to(place).map_err(Error::Store)
    }

    /// Makes the folders that the archive did not describe look as they do below.
    fn resemble(&self, below: &[PathBuf]) -> io::Result<()> {
        if self.implied.is_empty() || below.is_empty() {
            return Ok(());
        }
        let tree = Tree::open(self.staging.path())?;
        let below = below.iter().map(|layer| Tree::open(layer)).collect::<io::Result<Vec<_>>>()?;
        // The deepest first, so that nothing opens a folder after its time was set.
        for path in self.implied.iter().rev() {
            resemble_one(&tree, &below, path)?;
        }
        sync(&tree)
    }
}

fn resemble_one(tree: &Tree, below: &[Tree], path: &Path) -> io::Result<()> {
    let place = tree.place(path)?;
    if place.status()?.is_none_or(|status| FileType::from_raw_mode(status.st_mode) != FileType::Directory) {
        return Ok(());
    }
    let model = below.iter().find_map(|layer| layer.folder(path).ok());
    let Some(model) = model else { return Ok(()) };
    let model = fs::metadata(descriptor_path(&model))?;
    let folder = File::from(place.open_folder()?);
    let (uid, gid) = (Some(Uid::from_raw(model.uid())), Some(Gid::from_raw(model.gid())));
    rustix::fs::fchown(folder.as_fd(), uid, gid)?;
    rustix::fs::fchmod(folder.as_fd(), Mode::from_raw_mode(model.mode() & 0o7777))?;
    folder.set_modified(model.modified()?)
}

/// All of a layer counts for its digest.
impl<R: Read> Skip for Summed<R> {}
