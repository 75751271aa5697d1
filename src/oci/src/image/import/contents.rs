//! What is in an archive: its documents, and the names and sizes of everything else.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::archive;
use crate::image::document::MAX_SIZE;
use crate::image::error::ImportError;
use crate::image::layer::Kind;

/// All documents together.
const MAX_DOCUMENTS: u64 = 32 << 20;

#[derive(Default)]
pub(super) struct Contents {
    documents: BTreeMap<PathBuf, Vec<u8>>,
    sizes: BTreeMap<PathBuf, u64>,
    /// Older versions of `docker save` write a layer once and link to it.
    links: BTreeMap<PathBuf, PathBuf>,
}

impl Contents {
    pub(super) fn read(path: &Path) -> Result<Self, ImportError> {
        let mut archive = archive::open(path)?;
        let (mut contents, mut held) = (Self::default(), 0);
        while let Some(entry) = archive.next()? {
            let path = clean(&entry.path);
            match entry.kind {
                Kind::File => {
                    let size = archive.left();
                    contents.sizes.insert(path.clone(), size);
                    let document = if size <= MAX_SIZE { document(&mut archive)? } else { None };
                    held += document.as_ref().map_or(0, |document| document.len() as u64);
                    contents.documents.extend(document.map(|document| (path, document)));
                }
                Kind::Symlink(target) => {
                    let target = clean(&path.parent().unwrap_or(Path::new("")).join(target));
                    contents.links.insert(path, target);
                }
                Kind::HardLink(target) => drop(contents.links.insert(path, clean(&target))),
                _ => {}
            }
            if held > MAX_DOCUMENTS {
                return Err(ImportError::TooLarge(MAX_DOCUMENTS));
            }
        }
        Ok(contents)
    }

    pub(super) fn document(&self, path: impl AsRef<Path>) -> Option<&[u8]> {
        self.documents.get(&self.place_of(path.as_ref())).map(Vec::as_slice)
    }

    pub(super) fn size(&self, path: &Path) -> u64 {
        self.sizes.get(&self.place_of(path)).copied().unwrap_or_default()
    }

    /// Where the file of that name really is.
    pub(super) fn place_of(&self, path: &Path) -> PathBuf {
        let path = clean(path);
        self.links.get(&path).cloned().unwrap_or(path)
    }
}

/// The content of the current entry if it is JSON.
fn document(content: &mut impl Read) -> Result<Option<Vec<u8>>, ImportError> {
    let mut bytes = Vec::new();
    content.by_ref().take(1).read_to_end(&mut bytes)?;
    if !matches!(bytes.as_slice(), b"{" | b"[") {
        return Ok(None);
    }
    content.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// The same name for the same file: nothing is opened by it.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}
