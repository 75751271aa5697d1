//! What images there are, in memory: found without waiting for the disk.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use tokio::sync::Mutex;

use super::digest::Digest;
use super::document::ImageConfig;
use super::records::{Names, Record};
use super::reference::Reference;

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

/// Whoever has it makes a layer, or waits for whoever does. A layer with a slot is not removed.
pub(super) type Slot = Arc<Mutex<()>>;

#[derive(Debug)]
pub(super) struct Catalog {
    names: Names,
    images: BTreeMap<Digest, Arc<Image>>,
    slots: HashMap<Digest, Weak<Mutex<()>>>,
}

impl Catalog {
    pub(super) fn new(records: BTreeMap<Digest, Record>, mut names: Names) -> Self {
        names.retain(|_, id| records.contains_key(id));
        let images = records.into_iter().map(|(id, record)| (id.clone(), Arc::new(record.named(&id))));
        let mut catalog = Self { names: Names::new(), images: images.collect(), slots: HashMap::new() };
        catalog.set_names(names);
        catalog
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

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn put(&mut self, id: &Digest, record: Record) {
        self.images.entry(id.clone()).or_insert_with(|| Arc::new(record.named(id)));
    }

    /// Images are shared with whoever looks at them: one whose names change is replaced.
    pub(super) fn set_names(&mut self, names: Names) {
        self.names = names;
        for (id, image) in &mut self.images {
            let names = self.names.iter().filter(|(_, named)| *named == id).map(|(name, _)| name.clone());
            let (digests, tags): (Vec<_>, Vec<_>) = names.partition(|name| name.contains('@'));
            if (&digests, &tags) != (&image.digests, &image.tags) {
                *image = Arc::new(Image { tags, digests, ..Image::clone(image) });
            }
        }
    }

    pub(super) fn remove(&mut self, id: &Digest) {
        self.images.remove(id);
        self.names.retain(|_, named| named != id);
    }

    /// Whether an image has the layer, or somebody is about to use it.
    pub(super) fn needs(&self) -> impl Fn(&Digest) -> bool {
        let used: BTreeSet<&Digest> = self.images.values().flat_map(|image| &image.layers).collect();
        let reserved = |chain: &Digest| self.slots.get(chain).is_some_and(|slot| slot.strong_count() > 0);
        move |chain| used.contains(chain) || reserved(chain)
    }
}

impl Record {
    fn named(self, id: &Digest) -> Image {
        let Self { size, config, layers } = self;
        Image { id: id.to_string(), tags: Vec::new(), digests: Vec::new(), size, config, layers }
    }
}
