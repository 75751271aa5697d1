//! The volumes of this node's pods.
//!
//! ```text
//! POD/content/VOLUME     configMap, secret, downwardAPI, projected; POD/content is one tmpfs
//! POD/empty/VOLUME       emptyDir on disk
//! POD/memory/VOLUME      emptyDir in memory, each a tmpfs with its own limit
//! POD/paths/VOLUME/HASH  sub-paths, bound so that nobody can swing them elsewhere
//! ```
//!
//! What is written comes from [`Referenced`](crate::referenced::Referenced) and is written again as soon as that changes, each
//! volume at once as a whole. All of it lives in memory: Secrets and tokens must not reach the disk, and the flash is spared
//! the rest. After the machine restarted it is written anew.
//!
//! Mounts stay when the node agent stops: pods go on without it. [`Volumes::prepare`] may be called again at any time and
//! changes only what differs.

mod atomic;
mod content;
mod empty_dir;
mod host_path;
mod kind;
mod mounts;
mod ownership;
mod pod;
mod sub_path;
#[cfg(test)]
mod tests;
mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use client::Client;
use k8s_openapi::api::core::v1::Pod;

use crate::downward::{self, Amounts};
use crate::referenced::{self, Referenced};

use self::pod::PodVolumes;

pub use self::sub_path::SubPathError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The message of a FailedMount event: it is all that people see, so it names its causes.
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {cause}")]
    SetUp { volume: String, cause: Cause },
    #[error("cannot remove the volumes of pod {uid}: {cause}")]
    Remove { uid: String, cause: Cause },
    #[error("a pod's uid cannot be '{0}'")]
    Uid(String),
    #[error("cannot list the volumes in {path}: {source}")]
    List {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What stands in the way of one volume.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    #[error(transparent)]
    Referenced(#[from] referenced::Error),
    #[error(transparent)]
    Downward(#[from] downward::Error),
    #[error("configmap references non-existent config key: {0}")]
    ConfigKey(String),
    #[error("references non-existent secret key: {0}")]
    SecretKey(String),
    #[error("failed to fetch token: {0}")]
    Token(#[source] client::Error),
    #[error("failed to fetch token: the answer holds none")]
    NoToken,
    #[error("{}", listed(.0))]
    Several(Vec<Cause>),
    #[error("invalid path '{0}': it must be relative and must not contain '..'")]
    Path(String),
    #[error("hostPath type check failed: {path} is not a {wanted}")]
    HostPath { path: PathBuf, wanted: &'static str },
    #[error("{0} is an invalid volume type")]
    HostPathType(String),
    #[error("{0} volumes are not supported by skiff yet")]
    Unsupported(&'static str),
    #[error("the volume has no source")]
    NoSource,
    #[error("cannot {action} {path}: {source}")]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Cause {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::File { action, path: path.to_owned(), source }
    }

    /// Whether it may pass without any object changing.
    fn passes(&self) -> bool {
        match self {
            Self::Token(_) | Self::NoToken | Self::File { .. } => true,
            Self::Referenced(error) => !error.is_not_found(),
            Self::Several(causes) => causes.iter().any(Self::passes),
            _ => false,
        }
    }
}

/// As upstream joins errors: one as it is, several in brackets.
fn listed(causes: &[Cause]) -> String {
    match causes {
        [one] => one.to_string(),
        several => format!("[{}]", several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// A volume that is ready to be shown in containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    path: PathBuf,
    /// Whatever the container asks for.
    pub read_only: bool,
    /// Where sub-paths are bound.
    paths: PathBuf,
}

impl Mounted {
    /// What to mount: the volume itself, or `sub_path` in it. A sub-path that is not there becomes a folder; one that leads
    /// out of the volume is refused, also by way of links.
    pub fn source(&self, sub_path: &str) -> Result<PathBuf, SubPathError> {
        if sub_path.is_empty() {
            return Ok(self.path.clone());
        }
        sub_path::bind(&self.path, sub_path, &self.paths)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What all volumes are made with.
#[derive(Debug)]
struct Sources {
    referenced: Arc<Referenced>,
    client: Client,
    /// What the node has to give, for the downward API.
    allocatable: Amounts,
}

/// The volumes of all pods on this node.
#[derive(Debug)]
pub struct Volumes {
    root: PathBuf,
    sources: Arc<Sources>,
    pods: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<PodVolumes>>>>,
}

impl Volumes {
    /// Volumes in `root`, a folder per pod.
    pub fn new(
        root: impl Into<PathBuf>,
        referenced: Arc<Referenced>,
        client: Client,
        allocatable: Amounts,
    ) -> Self {
        let sources = Arc::new(Sources { referenced, client, allocatable });
        Self { root: root.into(), sources, pods: Mutex::default() }
    }

    /// Makes every volume of `pod` ready and keeps its content up to date until [`Volumes::remove`]. From here on the pod also
    /// holds the ConfigMaps and Secrets that its environment needs. To be called again when the pod's object has changed.
    ///
    /// Fails with the first volume that cannot be made; what is ready stays. Cancel safe.
    pub async fn prepare(&self, pod: &Arc<Pod>) -> Result<BTreeMap<String, Mounted>, Error> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let folder = self.folder(uid)?;
        let volumes = {
            let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
            pods.entry(uid.to_owned())
                .or_insert_with(|| {
                    Arc::new(tokio::sync::Mutex::new(PodVolumes::new(folder, self.sources.clone())))
                })
                .clone()
        };
        let mut volumes = volumes.lock().await;
        volumes.prepare(pod).await
    }

    /// Unmounts and deletes all that a pod's folder holds. The pod's containers must be gone.
    pub async fn remove(&self, uid: &str) -> Result<(), Error> {
        let folder = self.folder(uid)?;
        // Its content is no longer kept up to date.
        self.pods.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        let work = tokio::task::spawn_blocking(move || mounts::remove_tree(&folder));
        // It does not panic, and is cancelled only when the whole process ends.
        let removed = work.await.unwrap_or(Ok(()));
        removed.map_err(|cause| Error::Remove { uid: uid.to_owned(), cause })
    }

    /// Removes the folders of all pods but those with the given uids: what earlier runs left behind.
    pub async fn sweep(&self, keep: &BTreeSet<String>) -> Vec<Error> {
        let mut errors = Vec::new();
        let entries = match std::fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return errors,
            Err(source) => return vec![Error::List { path: self.root.clone(), source }],
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        for uid in names.filter(|uid| !keep.contains(uid)).collect::<Vec<_>>() {
            errors.extend(self.remove(&uid).await.err());
        }
        errors
    }

    /// Where a pod's files are.
    pub fn folder(&self, uid: &str) -> Result<PathBuf, Error> {
        let plain = !matches!(uid, "" | "." | "..") && !uid.contains(['/', '\0']);
        if plain { Ok(self.root.join(uid)) } else { Err(Error::Uid(uid.to_owned())) }
    }
}
