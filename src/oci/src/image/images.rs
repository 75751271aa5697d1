//! The node agent's side of images: one handle, cheap to clone.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::catalog::Image;
use super::error::Error;
use super::registries::Registries;
use super::store::Store;

/// All images below one folder, and the roots of containers made of them.
#[derive(Clone)]
pub struct Images(pub(super) Arc<Store>);

impl Images {
    /// Reaches registries as they say themselves. See [`Images::open_with`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::open_with(root, Registries::default())
    }

    /// `root` must be on a file system that overlayfs can use, such as `/var/lib/skiff/agent/images`. What an earlier run or a
    /// power cut left half made is removed: this can take a moment. One process at a time.
    pub fn open_with(root: impl Into<PathBuf>, registries: Registries) -> Result<Self, Error> {
        let root = root.into();
        // Programs in layers can be set-user-id: nobody but root gets at them here.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&root);
        made.map_err(|source| Error::Folder { path: root.clone(), source })?;
        Store::open(root, registries).map(|store| Self(Arc::new(store)))
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
    ///
    /// An image that was pulled and not mounted yet is removed unless it is in `in_use`.
    pub async fn collect(&self, in_use: &BTreeSet<String>) -> Result<u64, Error> {
        let (store, in_use) = (Arc::clone(&self.0), in_use.clone());
        blocking(move || {
            let images = store.catalog().list();
            let kept = in_use.iter().filter_map(|name| Some(store.catalog().find(name)?.id.clone()));
            let kept: BTreeSet<String> = kept.collect();
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
