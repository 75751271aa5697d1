//! Pulling: manifest, configuration, then the layers, which are unpacked as they arrive.
//!
//! ```text
//! registry ──▶ bounded queue ──▶ a thread: digest ▸ decompress ▸ digest ▸ unpack ──▶ rename
//! ```
//!
//! Pulls share layers, not requests: who finds that somebody else makes the layer it needs waits, and makes it itself should
//! the other one fail, with its own login. A pull that is dropped leaves what it has finished to the next one.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::{OwnedMutexGuard, mpsc, watch};

use super::catalog::{Image, Slot};
use super::credentials::{Credentials, Login};
use super::digest::Digest;
use super::document::{Configuration, Descriptor, Document, ImageConfig, Manifest};
use super::error::{Error, PullError};
use super::images::{Images, blocking};
use super::layer::{self, Unpacked};
use super::platform;
use super::records::Record;
use super::reference::Reference;
use super::registries::Endpoint;
use super::registry::{self, Session};
use super::store::{LAYERS_AT_ONCE, Store};

/// How far a pull has come. Bytes are those of compressed layers; a layer that was here before counts as done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub layers_total: usize,
    pub layers_done: usize,
    pub bytes_total: u64,
    pub bytes_done: u64,
}

/// Pieces of a layer between network and disk: of at most 64 KiB each. When it is full, the network waits.
const QUEUE: usize = 4;
/// An index may name an index, but not for ever.
const MAX_INDEXES: usize = 3;

/// One layer of a pull, in the order from the lowest up.
struct Wanted {
    descriptor: Descriptor,
    diff_id: Digest,
    chain: Digest,
    /// Also keeps the layer from being swept away before the image is on record.
    slot: Slot,
}

/// A layer that is here, or is here but for its name.
enum Layer {
    Here,
    Unpacked(Unpacked, OwnedMutexGuard<()>),
}

impl Images {
    /// Fetches an image, whatever is here already. Of `credentials` those for this image are tried, the most specific first,
    /// then those of `registries.yaml`.
    pub async fn pull(
        &self,
        reference: &Reference,
        credentials: &[Credentials],
        progress: &watch::Sender<Progress>,
    ) -> Result<Arc<Image>, Error> {
        let pulled = Box::pin(pull(&self.0, reference, credentials, progress)).await;
        pulled.map_err(|source| Error::Pull { reference: reference.to_string(), source })
    }
}

async fn pull(
    store: &Arc<Store>,
    reference: &Reference,
    credentials: &[Credentials],
    progress: &watch::Sender<Progress>,
) -> Result<Arc<Image>, PullError> {
    let (session, fetched) = resolve(store, reference, credentials).await?;
    let mut names = vec![reference.at(fetched.digest.clone()).to_string()];
    if reference.pinned().is_none() {
        names.push(reference.to_string());
    }
    let manifest = choose_manifest(&session, fetched).await?;
    let id = manifest.config.digest.clone();
    let bytes = session.small_blob(&manifest.config).await?;
    let configuration = Configuration::parse(&bytes)?;
    let size = manifest.size();
    let wanted = want(store, manifest, &configuration)?;
    fetch_layers(store, &session, &wanted, progress).await?;
    let layers = wanted.iter().map(|layer| layer.chain.clone()).collect();
    let record = Record { size, config: ImageConfig::from(configuration), layers };
    let store = Arc::clone(store);
    Ok(blocking(move || store.add(&id, record, names)).await?)
}

/// The first endpoint and login that know the image, and what they say it is.
async fn resolve(
    store: &Store,
    reference: &Reference,
    credentials: &[Credentials],
) -> Result<(Session, registry::Fetched), PullError> {
    let mut errors = Vec::new();
    for endpoint in store.registries.endpoints(reference.registry()) {
        match resolve_at(store, &endpoint, reference, credentials).await {
            Ok(found) => return Ok(found),
            Err(error) => errors.push(error),
        }
    }
    Err(PullError::Endpoints(errors))
}

async fn resolve_at(
    store: &Store,
    endpoint: &Endpoint,
    reference: &Reference,
    credentials: &[Credentials],
) -> Result<(Session, registry::Fetched), registry::Error> {
    let mut logins = logins(endpoint, reference, credentials).into_iter();
    loop {
        let login = logins.next().flatten();
        let (endpoint, tokens, wanted) = (endpoint.clone(), Arc::clone(&store.tokens), reference.clone());
        let session = blocking(move || Session::open(endpoint, &wanted, login, tokens)).await?;
        match session.manifest(reference.version()).await {
            Ok(fetched) => return Ok((session, fetched)),
            Err(error) if error.is_refusal() && logins.len() > 0 => {}
            Err(error) => return Err(error),
        }
    }
}

/// Those to try at an endpoint; nobody's when there is none.
fn logins(endpoint: &Endpoint, reference: &Reference, credentials: &[Credentials]) -> Vec<Option<Login>> {
    let fitting = credentials.iter().filter_map(|one| Some((one.fit(reference)?, &one.login)));
    let mut fitting: Vec<_> = fitting.collect();
    fitting.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    let mut logins: Vec<_> = fitting.into_iter().map(|(_, login)| Some(login.clone())).collect();
    logins.extend(endpoint.login.clone().map(Some));
    if logins.is_empty() { vec![None] } else { logins }
}

async fn choose_manifest(session: &Session, mut fetched: registry::Fetched) -> Result<Manifest, PullError> {
    for _ in 0..MAX_INDEXES {
        let index = match Document::parse(&fetched.bytes, &fetched.media_type)? {
            Document::Manifest(manifest) => return Ok(manifest),
            Document::Index(index) => index,
        };
        let chosen = index.choose(platform::HERE)?;
        fetched = session.manifest(chosen.digest.as_str()).await?;
    }
    Err(super::document::Error::NoImage("an index of indexes".to_owned()).into())
}

fn want(store: &Store, manifest: Manifest, configuration: &Configuration) -> Result<Vec<Wanted>, PullError> {
    let diff_ids = configuration.diff_ids(manifest.layers.len(), platform::HERE)?;
    let layers = manifest.layers.into_iter().zip(diff_ids).zip(Digest::chains(diff_ids));
    let wanted = layers.map(|((descriptor, diff_id), chain)| {
        let slot = store.catalog().slot(&chain);
        Wanted { descriptor, diff_id: diff_id.clone(), chain, slot }
    });
    Ok(wanted.collect())
}

/// Some at a time, but each gets its place after the one below it. Who holds a slot waits for lower layers only: pulls cannot
/// wait for each other in a circle.
async fn fetch_layers(
    store: &Arc<Store>,
    session: &Session,
    wanted: &[Wanted],
    progress: &watch::Sender<Progress>,
) -> Result<(), PullError> {
    let bytes_total = wanted.iter().map(|layer| layer.descriptor.size).sum();
    progress.send_replace(Progress { layers_total: wanted.len(), bytes_total, ..Progress::default() });
    // Not by `StreamExt::map`: the compiler cannot see that such a future may be sent between threads.
    let fetches: Vec<_> = wanted.iter().map(|layer| fetch_layer(store, session, layer, progress)).collect();
    let mut layers = stream::iter(fetches).buffered(LAYERS_AT_ONCE);
    for position in 0.. {
        let Some(layer) = layers.try_next().await? else { break };
        if let Layer::Unpacked(unpacked, guard) = layer {
            commit(store, unpacked, &wanted[..=position]).await?;
            drop(guard);
        }
        progress.send_modify(|progress| progress.layers_done += 1);
    }
    Ok(())
}

async fn fetch_layer(
    store: &Arc<Store>,
    session: &Session,
    layer: &Wanted,
    progress: &watch::Sender<Progress>,
) -> Result<Layer, PullError> {
    let arrived = |count| progress.send_modify(|progress| progress.bytes_done += count);
    let guard = Arc::clone(&layer.slot).lock_owned().await;
    if store.has_layer(&layer.chain) {
        arrived(layer.descriptor.size);
        return Ok(Layer::Here);
    }
    let _turn = store.downloads.acquire().await;
    let (sink, source) = mpsc::channel(QUEUE);
    let unpacked = unpack(store, source, layer);
    let (downloaded, unpacked) =
        tokio::join!(Box::pin(session.blob(&layer.descriptor, sink, arrived)), unpacked);
    // A download that was cut off makes the archive look damaged.
    downloaded?;
    let digest = layer.descriptor.digest.to_string();
    let unpacked = unpacked.map_err(|source| PullError::Layer { digest, source })?;
    Ok(Layer::Unpacked(unpacked, guard))
}

fn unpack(
    store: &Store,
    source: mpsc::Receiver<Bytes>,
    layer: &Wanted,
) -> impl Future<Output = Result<Unpacked, layer::Error>> + use<> {
    let staging = store.workshop.stage();
    let (digest, diff_id) = (layer.descriptor.digest.clone(), layer.diff_id.clone());
    let stream = Arriving { source, current: Bytes::new() };
    blocking(move || layer::unpack(stream, Some(&digest), &diff_id, staging))
}

/// `layers` are those of the image up to the one to commit.
async fn commit(store: &Arc<Store>, unpacked: Unpacked, layers: &[Wanted]) -> Result<(), PullError> {
    let mut places: Vec<PathBuf> = layers.iter().rev().map(|layer| store.layer(&layer.chain)).collect();
    let Some(last) = layers.last() else { return Ok(()) };
    let digest = last.descriptor.digest.to_string();
    let place = places.remove(0);
    let committed = blocking(move || unpacked.commit(&places, &place)).await;
    committed.map_err(|source| PullError::Layer { digest, source })
}

/// A layer as it comes from the network, for a thread that waits for it. An end too early is found by the digest.
struct Arriving {
    source: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() {
            let Some(next) = self.source.blocking_recv() else { return Ok(0) };
            self.current = next;
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
