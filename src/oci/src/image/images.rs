//! The node agent's side of images: one handle, cheap to clone.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::FlockOperation;
use tokio::sync::Semaphore;

use super::catalog::{Catalog, Image};
use super::digest::Digest;
use super::error::Error;
use super::registries::Registries;
use super::registry::Tokens;
use super::staging::{Staging, Workshop};

/// Layers that come and are unpacked at the same time, of all images. More would not be faster on a few cores and a card.
pub(super) const LAYERS_AT_ONCE: usize = 3;

/// All images below one folder, and the roots of containers made of them.
#[derive(Clone)]
pub struct Images(pub(super) Arc<Store>);

pub(super) struct Store {
    pub(super) root: PathBuf,
    pub(super) registries: Registries,
    pub(super) tokens: Arc<Tokens>,
    pub(super) workshop: Workshop,
    pub(super) downloads: Semaphore,
    /// Held while roots of containers come or go: one call of each kind at a time.
    pub(super) mounts: Mutex<()>,
    catalog: Mutex<Catalog>,
    /// Held for as long as this lives.
    _lock: File,
}

impl Images {
    /// Reaches registries as they say themselves. See [`Images::open_with`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::open_with(root, Registries::default())
    }

    /// `root` must be on a file system that overlayfs can use, such as `/var/lib/skiff/agent/images`. What an earlier run or a
    /// power cut left half made is removed: this can take a moment. One process at a time.
    pub fn open_with(root: impl Into<PathBuf>, registries: Registries) -> Result<Self, Error> {
        let root = root.into();
        let failed = |source| Error::Folder { path: root.clone(), source };
        // Programs in layers can be set-user-id: nobody but root gets at them here.
        DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(failed)?;
        let lock = lock(&root)?;
        let workshop = Workshop::open(root.join("staging")).map_err(failed)?;
        let catalog = Mutex::new(Catalog::open(&root).map_err(failed)?);
        let (downloads, tokens) = (Semaphore::new(LAYERS_AT_ONCE), Arc::default());
        let mounts = Mutex::default();
        let store = Store { root, registries, tokens, workshop, downloads, mounts, catalog, _lock: lock };
        Ok(Self(Arc::new(store)))
    }

    /// By `name:tag`, where short names mean the usual, `name@digest` or image id.
    pub fn get(&self, reference: &str) -> Option<Arc<Image>> {
        self.0.catalog().find(reference)
    }

    pub fn list(&self) -> Vec<Arc<Image>> {
        self.0.catalog().list()
    }

    /// Removes an image and the layers that only it has. Refuses one that is mounted.
    pub async fn remove(&self, id: &str) -> Result<(), Error> {
        let (store, id) = (Arc::clone(&self.0), id.to_owned());
        blocking(move || {
            let image = store.catalog().find(&id).ok_or(Error::NoImage(id))?;
            store.forget(&image)?;
            store.sweep().map(drop)
        })
        .await
    }

    /// Removes the images that are neither mounted nor in `in_use` (names or ids), and the layers that no image needs, those of
    /// pulls under way excepted. Returns how many bytes that freed.
    pub async fn collect(&self, in_use: &BTreeSet<String>) -> Result<u64, Error> {
        let (store, in_use) = (Arc::clone(&self.0), in_use.clone());
        blocking(move || {
            let kept: BTreeSet<String> =
                in_use.iter().filter_map(|name| Some(store.catalog().find(name)?.id.clone())).collect();
            let images = store.catalog().list();
            for image in images.into_iter().filter(|image| !kept.contains(&image.id)) {
                match store.forget(&image) {
                    Ok(()) | Err(Error::InUse { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            store.sweep()
        })
        .await
    }
}

impl std::fmt::Debug for Images {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Images").field("root", &self.0.root).finish_non_exhaustive()
    }
}

impl Store {
    /// For moments: whoever holds it reads or writes a small file at most.
    pub(super) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A root is mounted, or about to be, under the same lock: either it sees the image or this sees the root.
    fn forget(&self, image: &Image) -> Result<(), Error> {
        let mut catalog = self.catalog();
        if let Some(container) = self.user_of(&image.id) {
            return Err(Error::InUse { image: image.id.clone(), container });
        }
        let Some(id) = Digest::try_from(image.id.clone()).ok() else {
            return Err(Error::NoImage(image.id.clone()));
        };
        Ok(catalog.remove(&id)?)
    }

    /// Removes what no image needs. Layers go out of sight at once, and off the disk without anybody waiting for the lock.
    fn sweep(&self) -> Result<u64, Error> {
        let taken = self.take_unused().map_err(Error::Sweep)?;
        let freed = taken.into_iter().map(Staging::remove).sum::<io::Result<u64>>();
        freed.map_err(Error::Sweep)
    }

    fn take_unused(&self) -> io::Result<Vec<Staging>> {
        let catalog = self.catalog();
        let layers = catalog.unused_layers()?;
        let taken = layers.iter().map(|layer| self.workshop.take(layer));
        Ok(taken.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

fn lock(root: &Path) -> Result<File, Error> {
    let path = root.join("lock");
    let lock = File::create(&path).map_err(|source| Error::Folder { path, source })?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(_) => Err(Error::Locked(root.to_owned())),
    }
}

/// On a thread where it may take long. What was begun is finished, even when nobody waits any more.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down: there is no one to go on for.
            Err(_) => std::future::pending().await,
        },
    }
}
