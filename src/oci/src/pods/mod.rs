//! The node agent's side: pods as handles, whatever becomes of the processes behind them.
//!
//! A [`Pod`] is a handle to a task of its own (the *keeper*) that talks to the pod's shim. The keeper publishes the pod's
//! state to a watch, so whoever waits sees the latest state and nobody polls. When the shim dies the keeper starts another
//! one; orders that were under way fail, the containers do not. Dropping every handle ends the keeper and nothing else.
//!
//! Every order has a limit. A shim does one thing at a time and none for long, so one that does not answer what it does by
//! itself was stopped or hangs: it is killed and replaced, which costs the pod its terminals. That what needs a launcher takes
//! too long says nothing of the shim.

mod cleanup;
mod keeper;
mod link;
mod pod;
mod streams;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use crate::cgroup;
use crate::durable::FileError;
use crate::identity::boot_id;
use crate::layout::{PodFile, PodFolder, is_id};
use crate::spec::PodSpec;

pub use pod::{Exec, Pod};
pub use streams::{Input, Output, Streams, Wanted};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("'{0}' cannot be the id of a pod or container")]
    Id(String),
    #[error("there is a pod {0} already")]
    Exists(String),
    #[error("cannot prepare {path}")]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot start the shim of pod {pod}")]
    Spawn {
        pod: String,
        #[source]
        source: io::Error,
    },
    #[error("the shim of pod {pod} ended: {log}")]
    Shim { pod: String, log: String },
    #[error("the shim of pod {pod} speaks version {version}")]
    Version { pod: String, version: u32 },
    #[error("the shim of pod {0} does not answer")]
    Silent(String),
    #[error("the shim of {0} cannot be ended")]
    Held(PathBuf),
    #[error("cannot make the sandbox of pod {pod}: {message}")]
    Sandbox { pod: String, message: String },
    /// What the shim answered, in the runtime's words.
    #[error("{0}")]
    Refused(String),
    /// Whether the order was carried out is not known.
    #[error("the shim died")]
    Interrupted,
    #[error("it was not done within {}s", .0.as_secs())]
    Late(Duration),
    #[error("the pod was removed or its namespaces are gone")]
    Gone,
    #[error("there is no container {0}")]
    NoContainer(String),
    #[error("cannot make streams")]
    Streams(#[source] io::Error),
    #[error(transparent)]
    Cgroup(#[from] cgroup::Error),
    #[error("cannot remove {path}")]
    Remove {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// All pods below one folder.
#[derive(Debug)]
pub struct Pods {
    root: PathBuf,
    pods: Mutex<BTreeMap<String, Pod>>,
}

impl Pods {
    /// `root` should be on a tmpfs, such as `/run/skiff/pods`: its content means nothing after a restart of the machine.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        // Environment variables of containers are in there.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&root);
        made.map_err(|source| Error::Folder { path: root.clone(), source })?;
        Ok(Self { root, pods: Mutex::default() })
    }

    /// Makes a pod's namespaces and starts its shim.
    pub async fn create_pod(&self, spec: PodSpec) -> Result<Pod, Error> {
        if !is_id(&spec.id) {
            return Err(Error::Id(spec.id));
        }
        let path = self.root.join(&spec.id);
        match fs::create_dir(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(Error::Exists(spec.id)),
            Err(source) => return Err(Error::Folder { path, source }),
        }
        let folder = PodFolder::new(path);
        let made = self.make(folder.clone(), spec).await;
        if made.is_err() {
            cleanup::remove(&folder).await?;
        }
        made
    }

    async fn make(&self, folder: PodFolder, spec: PodSpec) -> Result<Pod, Error> {
        let boot = boot_id().map_err(|source| Error::Folder { path: folder.path().to_owned(), source })?;
        folder.write_spec(&PodFile { boot, spec: spec.clone() })?;
        let pod = Pod::connect(folder, spec).await?;
        Ok(self.remember(pod))
    }

    /// Finds the pods of an earlier run of the node agent, side by side. One that cannot be read or reached is reported beside
    /// them, and is [`crate::Sandbox::Gone`]: whatever still runs in it ends when it is removed.
    pub async fn adopt(&self) -> Result<(Vec<Pod>, Vec<Error>), Error> {
        let boot = boot_id().map_err(|source| Error::Folder { path: self.root.clone(), source })?;
        let all = join_all(self.folders()?.into_iter().map(|folder| adopt_one(folder, &boot))).await;
        let (pods, errors): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let pods = pods.into_iter().flatten().map(|pod| self.remember(pod)).collect();
        Ok((pods, errors.into_iter().flatten().collect()))
    }

    fn folders(&self) -> Result<Vec<PodFolder>, Error> {
        let failed = |source| Error::Folder { path: self.root.clone(), source };
        let entries = fs::read_dir(&self.root).map_err(failed)?;
        entries.map(|entry| entry.map(|entry| PodFolder::new(entry.path())).map_err(failed)).collect()
    }

    /// The pods that were created or adopted and not removed, by id.
    pub fn get(&self, id: &str) -> Option<Pod> {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.retain(|_, pod| !pod.is_removed());
        pods.get(id).cloned()
    }

    fn remember(&self, pod: Pod) -> Pod {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.retain(|_, pod| !pod.is_removed());
        pods.insert(pod.id().to_owned(), pod.clone());
        pod
    }

    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// The pod, and why it can only be removed. None for one whose making was interrupted before it was on record: it is cleared away.
async fn adopt_one(folder: PodFolder, boot: &str) -> (Option<Pod>, Option<Error>) {
    let spec = match folder.spec() {
        Ok(PodFile { boot: then, spec }) if then == boot => spec,
        Ok(PodFile { spec, .. }) => return (Some(Pod::gone(folder, spec)), None),
        Err(FileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return (None, cleanup::remove(&folder).await.err());
        }
        Err(error) => {
            let spec = PodSpec { id: folder.id(), ..PodSpec::default() };
            return (Some(Pod::gone(folder, spec)), Some(error.into()));
        }
    };
    match Pod::connect(folder.clone(), spec.clone()).await {
        Ok(pod) => (Some(pod), None),
        Err(error) => (Some(Pod::gone(folder, spec)), Some(error)),
    }
}
