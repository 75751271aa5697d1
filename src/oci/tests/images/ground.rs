//! What a test stands on: a folder for images, and proof that no mount of it is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::image::{Credentials, Error, Image, Images, Progress, Reference, Registries};
use tokio::sync::watch;

pub(crate) struct Ground {
    folder: tempfile::TempDir,
    images: Option<Images>,
}

impl Ground {
    /// `None` for those who may not mount.
    pub(crate) fn new() -> Option<Self> {
        Self::with(Registries::default())
    }

    pub(crate) fn with(registries: Registries) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("oci-images-").tempdir().unwrap();
        let images = Images::open_with(folder.path(), registries).unwrap();
        Some(Self { folder, images: Some(images) })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn images(&self) -> &Images {
        self.images.as_ref().unwrap()
    }

    /// What a new process sees.
    pub(crate) fn reopen(&mut self) {
        drop(self.images.take());
        self.images = Some(Images::open(self.folder.path()).unwrap());
    }

    /// Lets go of the folder, for a test that changes it behind our back.
    pub(crate) fn close(&mut self) {
        drop(self.images.take());
    }

    pub(crate) async fn pull(&self, name: &str) -> Result<Arc<Image>, Error> {
        self.pull_as(name, &[]).await
    }

    pub(crate) async fn pull_as(&self, name: &str, credentials: &[Credentials]) -> Result<Arc<Image>, Error> {
        let progress = watch::Sender::new(Progress::default());
        self.images().pull(&Reference::parse(name).unwrap(), credentials, &progress).await
    }

    /// The root of a container `c` made of an image.
    pub(crate) async fn mount(&self, image: &Image) -> PathBuf {
        self.images().mount(image, "c").await.unwrap()
    }

    pub(crate) fn layers(&self) -> usize {
        fs::read_dir(self.path().join("layers")).unwrap().count()
    }

    pub(crate) fn staged(&self) -> usize {
        fs::read_dir(self.path().join("staging")).unwrap().count()
    }

    /// Whether the kernel has anything mounted below the folder.
    pub(crate) fn has_mounts(&self) -> bool {
        let here = self.path().to_str().unwrap();
        fs::read_to_string("/proc/self/mountinfo").unwrap().contains(here)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.path().join("containers")).into_iter().flatten().flatten() {
            let root = entry.path().join("root");
            while rustix::mount::unmount(&root, rustix::mount::UnmountFlags::DETACH).is_ok() {}
        }
    }
}
