//! Images from files, for machines that reach no registry: OCI image layouts and the archives of `docker save`, as tar,
//! compressed or not.
//!
//! An archive is read from front to back, as a compressed one cannot be read otherwise: once for the documents, which are
//! small and anywhere in it, and once more for the layers that are not here yet. Importing again what is here writes nothing.

mod archive;
mod contents;
mod plan;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::catalog::Image;
use super::digest::Digest;
use super::error::{Error, ImportError};
use super::images::{Images, blocking};
use super::layer::{self, Kind, Unpacked};
use super::store::Store;
use contents::Contents;
use plan::{Layer, Plan};

impl Images {
    /// Imports all images of an archive that run here. An image that is known already only gets the names that the archive has
    /// for it.
    pub async fn import(&self, archive: &Path) -> Result<Vec<Arc<Image>>, Error> {
        let (store, path) = (Arc::clone(&self.0), archive.to_owned());
        blocking(move || import(&store, &path).map_err(|source| Error::Import { path, source })).await
    }
}

fn import(store: &Store, path: &Path) -> Result<Vec<Arc<Image>>, ImportError> {
    let contents = Contents::read(path)?;
    let plans = plan::plans(&contents, store)?;
    let mut unpacked = unpack_missing(store, path, &contents, &plans)?;
    plans.into_iter().map(|plan| commit(store, plan, &mut unpacked)).collect()
}

/// By chain id. Two images can have the same file as a layer upon different ones: then it is read once for each.
fn unpack_missing(
    store: &Store,
    path: &Path,
    contents: &Contents,
    plans: &[Plan],
) -> Result<BTreeMap<Digest, Unpacked>, ImportError> {
    let mut unpacked = BTreeMap::new();
    loop {
        let layers = plans.iter().flat_map(|plan| &plan.layers);
        let missing =
            layers.filter(|layer| !unpacked.contains_key(&layer.chain) && !store.has_layer(&layer.chain));
        let missing: BTreeMap<PathBuf, &Layer> =
            missing.map(|layer| (contents.place_of(&layer.file), layer)).collect();
        if missing.is_empty() {
            return Ok(unpacked);
        }
        unpack_from(store, path, missing, &mut unpacked)?;
    }
}

/// One pass over the archive, one layer for each file.
fn unpack_from(
    store: &Store,
    path: &Path,
    mut missing: BTreeMap<PathBuf, &Layer>,
    unpacked: &mut BTreeMap<Digest, Unpacked>,
) -> Result<(), ImportError> {
    let mut archive = archive::open(path)?;
    while !missing.is_empty()
        && let Some(entry) = archive.next()?
    {
        let wanted =
            (entry.kind == Kind::File).then(|| missing.remove(&contents::clean(&entry.path))).flatten();
        let Some(layer) = wanted else { continue };
        let (blob, name) = (layer.blob.as_ref(), || layer.file.display().to_string());
        let done = layer::unpack(&mut archive, blob, &layer.diff_id, store.workshop.stage());
        unpacked
            .insert(layer.chain.clone(), done.map_err(|source| ImportError::Layer { name: name(), source })?);
    }
    match missing.into_keys().next() {
        None => Ok(()),
        Some(file) => Err(ImportError::Missing(file.display().to_string())),
    }
}

/// From the lowest layer up; a pull may have been faster.
fn commit(
    store: &Store,
    plan: Plan,
    unpacked: &mut BTreeMap<Digest, Unpacked>,
) -> Result<Arc<Image>, ImportError> {
    let mut below: Vec<PathBuf> = Vec::new();
    for layer in &plan.layers {
        let place = store.layer(&layer.chain);
        let _guard = layer.slot.blocking_lock();
        if let Some(unpacked) = unpacked.remove(&layer.chain).filter(|_| !place.is_dir()) {
            let name = || layer.file.display().to_string();
            let committed = unpacked.commit(&below, &place);
            committed.map_err(|source| ImportError::Layer { name: name(), source })?;
        }
        below.insert(0, place);
    }
    Ok(store.add(&plan.id, plan.record, plan.names)?)
}
