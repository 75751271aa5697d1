//! What an archive's documents say: which images there are, of which files.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::contents::Contents;
use crate::image::catalog::Slot;
use crate::image::digest::Digest;
use crate::image::document::{self, Configuration, Descriptor, Document, ImageConfig, Index, Manifest};
use crate::image::error::ImportError;
use crate::image::platform;
use crate::image::records::Record;
use crate::image::reference::Reference;
use crate::image::store::Store;

pub(super) struct Plan {
    pub(super) id: Digest,
    pub(super) names: Vec<String>,
    pub(super) record: Record,
    pub(super) layers: Vec<Layer>,
}

pub(super) struct Layer {
    pub(super) file: PathBuf,
    /// Of the file, where the archive says it.
    pub(super) blob: Option<Digest>,
    pub(super) diff_id: Digest,
    pub(super) chain: Digest,
    pub(super) slot: Slot,
}

/// One image of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: PathBuf,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<PathBuf>>,
}

/// The first is the full name, where there is one.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// An archive of `docker save` can be both; then the layout knows more.
pub(super) fn plans(contents: &Contents, store: &Store) -> Result<Vec<Plan>, ImportError> {
    if let Some(index) = contents.document("index.json") {
        return layout_plans(&decode(index, "index.json")?, contents, store);
    }
    let saved = contents.document("manifest.json").ok_or(ImportError::Unknown)?;
    let saved: Vec<Saved> = decode(saved, "manifest.json")?;
    saved.into_iter().map(|saved| saved_plan(saved, contents, store)).collect()
}

/// What does not run here is left out, unless nothing else is there.
fn layout_plans(index: &Index, contents: &Contents, store: &Store) -> Result<Vec<Plan>, ImportError> {
    let (mut plans, mut unfit) = (Vec::new(), None);
    for top in &index.manifests {
        match layout_plan(top, contents, store) {
            Ok(plan) => plans.push(plan),
            Err(ImportError::Image { name, source }) if source.is_about_kind() => {
                unfit.get_or_insert(ImportError::Image { name, source });
            }
            Err(error) => return Err(error),
        }
    }
    match unfit {
        Some(error) if plans.is_empty() => Err(error),
        _ => Ok(plans),
    }
}

fn layout_plan(top: &Descriptor, contents: &Contents, store: &Store) -> Result<Plan, ImportError> {
    let reference = NAMES.iter().filter_map(|key| top.annotations.get(*key)).find_map(|name| full_name(name));
    let name = reference.as_ref().map_or_else(|| top.digest.to_string(), ToString::to_string);
    let failed = |source| ImportError::Image { name: name.clone(), source };
    let manifest = match Document::parse(blob(contents, &top.digest)?, &top.media_type).map_err(failed)? {
        Document::Manifest(manifest) => manifest,
        Document::Index(index) => {
            let chosen = index.choose(platform::HERE).map_err(failed)?;
            manifest(chosen, contents)?.map_err(failed)?
        }
    };
    let files = manifest.layers.iter().map(|layer| (blob_path(&layer.digest), Some(layer.digest.clone())));
    let config = blob(contents, &manifest.config.digest)?;
    let mut plan = plan(config, files.collect(), contents, store).map_err(failed)?;
    if let Some(reference) = reference {
        plan.names = vec![reference.to_string(), reference.at(top.digest.clone()).to_string()];
    }
    Ok(plan)
}

/// The outer error is the archive's, the inner one the document's.
fn manifest(
    chosen: &Descriptor,
    contents: &Contents,
) -> Result<Result<Manifest, document::Error>, ImportError> {
    let bytes = blob(contents, &chosen.digest)?;
    Ok(Document::parse(bytes, &chosen.media_type).and_then(|document| match document {
        Document::Manifest(manifest) => Ok(manifest),
        Document::Index(_) => Err(document::Error::NoImage("an index of indexes".to_owned())),
    }))
}

fn saved_plan(saved: Saved, contents: &Contents, store: &Store) -> Result<Plan, ImportError> {
    let tags = saved.repo_tags.unwrap_or_default();
    let config = contents.document(&saved.config);
    let config = config.ok_or_else(|| ImportError::Missing(saved.config.display().to_string()))?;
    let files = saved.layers.unwrap_or_default().into_iter().map(|file| (file, None)).collect();
    let name = tags.first().cloned().unwrap_or_else(|| saved.config.display().to_string());
    let plan = plan(config, files, contents, store).map_err(|source| ImportError::Image { name, source })?;
    let names = tags.iter().filter_map(|tag| full_name(tag)).map(|reference| reference.to_string());
    Ok(Plan { names: names.collect(), ..plan })
}

fn plan(
    config: &[u8],
    files: Vec<(PathBuf, Option<Digest>)>,
    contents: &Contents,
    store: &Store,
) -> Result<Plan, document::Error> {
    let configuration = Configuration::parse(config)?;
    let diff_ids = configuration.diff_ids(files.len(), platform::HERE)?;
    let layers = files.into_iter().zip(diff_ids).zip(Digest::chains(diff_ids));
    let layers = layers.map(|(((file, blob), diff_id), chain)| {
        let slot = store.catalog().slot(&chain);
        Layer { file, blob, diff_id: diff_id.clone(), chain, slot }
    });
    let layers: Vec<Layer> = layers.collect();
    let size = layers.iter().map(|layer| contents.size(&layer.file)).sum::<u64>() + config.len() as u64;
    let chains = layers.iter().map(|layer| layer.chain.clone()).collect();
    let record = Record { size, config: ImageConfig::from(configuration), layers: chains };
    Ok(Plan { id: Digest::of(config), names: Vec::new(), record, layers })
}

/// A tag alone names no image.
fn full_name(name: &str) -> Option<Reference> {
    let is_full = name.contains(['/', ':']);
    is_full.then(|| Reference::parse(name).ok()).flatten()
}

fn blob_path(digest: &Digest) -> PathBuf {
    Path::new("blobs/sha256").join(digest.hex())
}

/// A document of a layout, which must be what its name says.
fn blob<'a>(contents: &'a Contents, digest: &Digest) -> Result<&'a [u8], ImportError> {
    let path = blob_path(digest);
    let bytes = contents.document(&path).filter(|bytes| Digest::of(bytes) == *digest);
    bytes.ok_or_else(|| ImportError::Missing(path.display().to_string()))
}

fn decode<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<T, ImportError> {
    serde_json::from_slice(bytes).map_err(|source| ImportError::Decode { name: name.to_owned(), source })
}
