//! Images on disk and in memory, changed together.
//!
//! Three locks, always taken in this order: `mounts` while roots of containers come or go, `records` while records are
//! written, `catalog` for moments. Only the last is ever waited for on a thread that others need.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::FlockOperation;
use tokio::sync::Semaphore;

use super::catalog::{Catalog, Image};
use super::digest::Digest;
use super::error::Error;
use super::records::{self, Record, Records};
use super::registries::Registries;
use super::registry::Tokens;
use super::staging::{Staging, Workshop};
use crate::durable::FileError;

/// Layers that come and are unpacked at the same time, of all images. More would not be faster on a few cores and a card.
pub(super) const LAYERS_AT_ONCE: usize = 3;

pub(super) struct Store {
    pub(super) root: PathBuf,
    pub(super) registries: Registries,
    pub(super) tokens: Arc<Tokens>,
    pub(super) workshop: Workshop,
    pub(super) downloads: Semaphore,
    mounts: Mutex<()>,
    records: Mutex<Records>,
    catalog: Mutex<Catalog>,
    /// Held for as long as this lives.
    _lock: File,
}

impl Store {
    /// The folder must be there.
    pub(super) fn open(root: PathBuf, registries: Registries) -> Result<Self, Error> {
        let failed = |source| Error::Folder { path: root.clone(), source };
        let lock = lock_folder(&root)?;
        let workshop = Workshop::open(root.join("staging")).map_err(failed)?;
        let records = Records::open(&root).map_err(failed)?;
        let catalog = Catalog::new(records.read().map_err(failed)?, records.read_names());
        Ok(Self {
            root,
            registries,
            tokens: Arc::default(),
            workshop,
            downloads: Semaphore::new(LAYERS_AT_ONCE),
            mounts: Mutex::default(),
            records: Mutex::new(records),
            catalog: Mutex::new(catalog),
            _lock: lock,
        })
    }

    pub(super) fn mounts(&self) -> MutexGuard<'_, ()> {
        lock(&self.mounts)
    }

    pub(super) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        lock(&self.catalog)
    }

    pub(super) fn layer(&self, chain: &Digest) -> PathBuf {
        records::layer(&self.root, chain)
    }

    pub(super) fn has_layer(&self, chain: &Digest) -> bool {
        self.layer(chain).is_dir()
    }

    /// Puts an image on record, if it is not, and gives it names, which another image may lose. On disk first: what is told of
    /// lasts.
    pub(super) fn add(
        &self,
        id: &Digest,
        record: Record,
        names: Vec<String>,
    ) -> Result<Arc<Image>, FileError> {
        let mut records = lock(&self.records);
        if self.catalog().by_id(id).is_none() {
            records.write(id, &record)?;
        }
        let mut all = self.catalog().names().clone();
        all.extend(names.into_iter().map(|name| (name, id.clone())));
        if all != *self.catalog().names() {
            records.write_names(&all)?;
        }
        let mut catalog = self.catalog();
        catalog.put(id, record);
        catalog.set_names(all);
        Ok(catalog.by_id(id).expect("it was just put there, and the lock is still held"))
    }

    /// Out of memory first: nobody mounts what is about to go.
    pub(super) fn forget(&self, image: &Image) -> Result<(), Error> {
        let _mounts = self.mounts();
        let mut records = lock(&self.records);
        if let Some(container) = self.user_of(&image.id) {
            return Err(Error::InUse { image: image.id.clone(), container });
        }
        let id = Digest::try_from(image.id.clone()).map_err(|_| Error::NoImage(image.id.clone()))?;
        let mut catalog = self.catalog();
        catalog.remove(&id);
        let names = catalog.names().clone();
        drop(catalog);
        records.write_names(&names)?;
        Ok(records.remove(&id)?)
    }

    /// Removes the layers that nobody needs: out of sight at once, and off the disk while nobody waits. Returns how many bytes
    /// that freed.
    pub(super) fn sweep(&self) -> Result<u64, Error> {
        let taken = self.take_unused().map_err(Error::Sweep)?;
        let freed = taken.into_iter().map(Staging::remove).sum::<io::Result<u64>>();
        freed.map_err(Error::Sweep)
    }

    fn take_unused(&self) -> io::Result<Vec<Staging>> {
        let catalog = self.catalog();
        let needs = catalog.needs();
        let mut taken = Vec::new();
        for entry in fs::read_dir(self.root.join("layers"))? {
            let entry = entry?;
            let chain = entry.file_name().to_str().and_then(Digest::from_hex);
            if !chain.is_some_and(|chain| needs(&chain)) {
                taken.extend(self.workshop.take(&entry.path())?);
            }
        }
        Ok(taken)
    }
}

/// No lock here guards more than one value that could be left half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lock_folder(root: &Path) -> Result<File, Error> {
    let path = root.join("lock");
    let lock = File::create(&path).map_err(|source| Error::Folder { path, source })?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(_) => Err(Error::Locked(root.to_owned())),
    }
}
