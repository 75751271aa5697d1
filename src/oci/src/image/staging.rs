//! Where things are made before they have a name, and go before they are gone.
//!
//! What is left in there after a crash or a power cut is worth nothing and removed at the next start.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::removal::remove;

/// The folder of all that is half made.
#[derive(Debug)]
pub(crate) struct Workshop {
    folder: PathBuf,
    next: AtomicU64,
}

/// A path that nobody else uses. Whatever is there is removed when this is dropped, which may take long: not on a thread
/// that others wait for.
#[derive(Debug)]
pub(crate) struct Staging(PathBuf);

impl Workshop {
    /// Empties it. What cannot be removed is in nobody's way.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        if let Err(error) = remove(&folder) {
            tracing::warn!(path = %folder.display(), %error, "cannot remove what an earlier run left half done");
        }
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, next: AtomicU64::new(0) })
    }

    pub(crate) fn stage(&self) -> Staging {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let path = self.folder.join(number.to_string());
            if !path.exists() {
                return Staging(path);
            }
        }
    }

    /// Takes a folder away at once, to be removed later. `None` when there is no such folder.
    pub(crate) fn take(&self, path: &Path) -> io::Result<Option<Staging>> {
        let staging = self.stage();
        match fs::rename(path, staging.path()) {
            Ok(()) => Ok(Some(staging)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Staging {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Lasting: the rename itself is on the disk.
    pub(crate) fn rename_to(self, place: &Path) -> io::Result<()> {
        fs::rename(&self.0, place)?;
        place.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }

    /// Returns how many bytes that frees.
    pub(crate) fn remove(self) -> io::Result<u64> {
        remove(&self.0)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove what is no longer needed");
        }
    }
}
