//! One layer: files in the order they were added, as a tar archive, compressed or not.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

/// When every file of every image was last changed.
const MTIME: u64 = 0;

#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Compression {
    Uncompressed,
    #[default]
    Gzip,
    Zstd,
}

impl Compression {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Uncompressed => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    pub(super) fn compress(self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Uncompressed => Ok(bytes),
            Self::Gzip => {
                let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(&bytes)?;
                gzip.finish()
            }
            Self::Zstd => zstd::encode_all(bytes.as_slice(), 1),
        }
    }
}

#[derive(Debug, Clone)]
enum Content {
    File(Vec<u8>),
    Dir,
    Symlink(PathBuf),
}

#[derive(Debug, Clone)]
struct Entry {
    path: PathBuf,
    content: Content,
    mode: u32,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Layer {
    pub(super) compression: Compression,
    entries: Vec<Entry>,
}

impl Layer {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn file(&mut self, path: &Path, bytes: Vec<u8>, mode: u32) {
        self.push(path, Content::File(bytes), mode);
    }

    pub(super) fn dir(&mut self, path: &Path, mode: u32) {
        self.push(path, Content::Dir, mode);
    }

    pub(super) fn symlink(&mut self, path: &Path, target: &Path) {
        self.push(path, Content::Symlink(target.into()), 0o777);
    }

    /// Image paths are absolute, those in a layer are not.
    fn push(&mut self, path: &Path, content: Content, mode: u32) {
        let path = path.strip_prefix("/").unwrap_or(path).into();
        self.entries.push(Entry { path, content, mode });
    }

    pub(super) fn tar(&self) -> io::Result<Vec<u8>> {
        let mut archive = Builder::new(Vec::new());
        for entry in &self.entries {
            entry.append_to(&mut archive)?;
        }
        archive.into_inner()
    }
}

impl Entry {
    fn append_to(&self, archive: &mut Builder<Vec<u8>>) -> io::Result<()> {
        let mut header = plain_header(self.mode);
        match &self.content {
            Content::File(bytes) => append_bytes(archive, header, &self.path, bytes),
            Content::Dir => {
                header.set_entry_type(EntryType::Directory);
                archive.append_data(&mut header, &self.path, io::empty())
            }
            Content::Symlink(target) => {
                header.set_entry_type(EntryType::Symlink);
                archive.append_link(&mut header, &self.path, target)
            }
        }
    }
}

/// Owned by root, of no time, and nothing else that differs between machines.
pub(super) fn plain_header(mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(mode);
    header.set_mtime(MTIME);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

pub(super) fn append_bytes(
    archive: &mut Builder<Vec<u8>>,
    mut header: Header,
    path: &Path,
    bytes: &[u8],
) -> io::Result<()> {
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, path, bytes)
}
