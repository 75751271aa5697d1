//! What images there are: their records on disk, and who is called what.
//!
//! ```text
//! ROOT/lock             one process at a time
//! ROOT/names.json       name:tag and name@digest → image id
//! ROOT/images/HEX.json  configuration and layers of an image, by id
//! ROOT/layers/HEX/      an unpacked layer, by chain id: what is below it counts too
//! ROOT/containers/ID/   the root of a container, see `mount`
//! ROOT/staging/         what is half made or half removed
//! ```
//!
//! A record is written after the layers it names and before the names it bears. Whatever is missing or damaged after a power cut
//! is forgotten, with a warning: images can be had again, a start that fails cannot.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::digest::Digest;
use super::document::ImageConfig;
use super::reference::Reference;
use crate::durable::{self, FileError};

/// An image that can be mounted: all its layers are here.
#[derive(Debug, Clone)]
pub struct Image {
    /// `sha256:` of its configuration.
    pub id: String,
    /// `docker.io/library/nginx:latest`.
    pub tags: Vec<String>,
    /// `docker.io/library/nginx@sha256:…`.
    pub digests: Vec<String>,
    /// In bytes, as the registry or archive holds it.
    pub size: u64,
    pub config: ImageConfig,
    /// Chain ids, the lowest first.
    pub(super) layers: Vec<Digest>,
}

/// What is kept of an image.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) size: u64,
    pub(super) config: ImageConfig,
    pub(super) layers: Vec<Digest>,
}

/// Whoever has it makes a layer, or waits for whoever does. A layer with a slot is not removed.
pub(super) type Slot = Arc<Mutex<()>>;

#[derive(Debug)]
pub(super) struct Catalog {
    root: PathBuf,
    names: BTreeMap<String, Digest>,
    images: BTreeMap<Digest, Arc<Image>>,
    slots: HashMap<Digest, Weak<Mutex<()>>>,
}

impl Catalog {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        for folder in ["images", "layers", "containers"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let (names, images, slots) = (BTreeMap::new(), BTreeMap::new(), HashMap::new());
        let mut catalog = Self { root: root.to_owned(), names, images, slots };
        for file in fs::read_dir(root.join("images"))? {
            catalog.read(&file?.path())?;
        }
        catalog.read_names();
        Ok(catalog)
    }

    /// Removes the record of what cannot be mounted.
    fn read(&mut self, path: &Path) -> io::Result<()> {
        let id = match path.extension() {
            Some(extension) if extension == "json" => {
                path.file_stem().and_then(OsStr::to_str).and_then(Digest::from_hex)
            }
            _ => None,
        };
        let Some(id) = id else { return fs::remove_file(path) };
        match durable::read::<Record>(path) {
            Ok(record) if record.layers.iter().all(|layer| self.has_layer(layer)) => {
                self.images.insert(id.clone(), Arc::new(record.named(&id)));
                return Ok(());
            }
            Ok(_) => tracing::warn!(image = %id, "an image has lost layers and must be pulled again"),
            Err(error) => tracing::warn!(image = %id, %error, "an image must be pulled again"),
        }
        fs::remove_file(path)
    }

    fn read_names(&mut self) {
        let path = self.root.join("names.json");
        if path.exists() {
            match durable::read(&path) {
                Ok(names) => self.names = names,
                Err(error) => tracing::warn!(%error, "all images have lost their names"),
            }
        }
        let images = &self.images;
        self.names.retain(|_, id| images.contains_key(id));
        self.name_images();
    }

    pub(super) fn layer(&self, chain: &Digest) -> PathBuf {
        self.root.join("layers").join(chain.hex())
    }

    pub(super) fn has_layer(&self, chain: &Digest) -> bool {
        self.layer(chain).is_dir()
    }

    /// Reserves a layer for as long as the result lives.
    pub(super) fn slot(&mut self, chain: &Digest) -> Slot {
        self.slots.retain(|_, slot| slot.strong_count() > 0);
        if let Some(slot) = self.slots.get(chain).and_then(Weak::upgrade) {
            return slot;
        }
        let slot = Slot::default();
        self.slots.insert(chain.clone(), Arc::downgrade(&slot));
        slot
    }

    pub(super) fn by_id(&self, id: &Digest) -> Option<Arc<Image>> {
        self.images.get(id).cloned()
    }

    /// By `name:tag`, `name@digest` or id.
    pub(super) fn find(&self, text: &str) -> Option<Arc<Image>> {
        if let Some(id) = Digest::from_hex(text.strip_prefix("sha256:").unwrap_or(text)) {
            return self.by_id(&id);
        }
        let name = Reference::parse(text).ok()?.to_string();
        self.by_id(self.names.get(&name)?)
    }

    pub(super) fn list(&self) -> Vec<Arc<Image>> {
        self.images.values().cloned().collect()
    }

    /// Puts an image on record, if it is not, and gives it names, which another image may lose.
    pub(super) fn add(
        &mut self,
        id: &Digest,
        record: Record,
        names: Vec<String>,
    ) -> Result<Arc<Image>, FileError> {
        if !self.images.contains_key(id) {
            durable::write(&self.record(id), &record)?;
            self.images.insert(id.clone(), Arc::new(record.named(id)));
        }
        let before = self.names.clone();
        self.names.extend(names.into_iter().map(|name| (name, id.clone())));
        if before != self.names {
            durable::write(&self.root.join("names.json"), &self.names)
                .inspect_err(|_| self.names = before)?;
            self.name_images();
        }
        Ok(Arc::clone(&self.images[id]))
    }

    pub(super) fn remove(&mut self, id: &Digest) -> Result<(), FileError> {
        let mut names = self.names.clone();
        names.retain(|_, named| named != id);
        if names.len() != self.names.len() {
            durable::write(&self.root.join("names.json"), &names)?;
            self.names = names;
        }
        let path = self.record(id);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(FileError::Write { path, source }),
            _ => {
                self.images.remove(id);
                Ok(())
            }
        }
    }

    /// The layers that belong to no image and that nobody is about to use.
    pub(super) fn unused_layers(&self) -> io::Result<Vec<PathBuf>> {
        let used: BTreeSet<&Digest> = self.images.values().flat_map(|image| &image.layers).collect();
        let reserved = |chain: &Digest| self.slots.get(chain).is_some_and(|slot| slot.strong_count() > 0);
        let mut unused = Vec::new();
        for entry in fs::read_dir(self.root.join("layers"))? {
            let entry = entry?;
            let chain = entry.file_name().to_str().and_then(Digest::from_hex);
            if !chain.is_some_and(|chain| used.contains(&chain) || reserved(&chain)) {
                unused.push(entry.path());
            }
        }
        Ok(unused)
    }

    fn record(&self, id: &Digest) -> PathBuf {
        self.root.join("images").join(id.hex()).with_extension("json")
    }

    /// Images are shared with whoever looks at them: one that changes is replaced.
    fn name_images(&mut self) {
        for (id, image) in &mut self.images {
            let names = self.names.iter().filter(|(_, named)| *named == id).map(|(name, _)| name.clone());
            let (digests, tags): (Vec<_>, Vec<_>) = names.partition(|name| name.contains('@'));
            if (&digests, &tags) != (&image.digests, &image.tags) {
                *image = Arc::new(Image { tags, digests, ..Image::clone(image) });
            }
        }
    }
}

impl Record {
    fn named(self, id: &Digest) -> Image {
        let Self { size, config, layers } = self;
        Image { id: id.to_string(), tags: Vec::new(), digests: Vec::new(), size, config, layers }
    }
}
