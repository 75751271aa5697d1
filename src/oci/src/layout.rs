//! Where a pod's files are.
//!
//! ```text
//! POD/pod.json              what was asked for, and in which boot        written by the node agent
//! POD/ns/{net,ipc,uts}      the namespaces, pinned by bind mounts        by the launcher
//! POD/shm                   the containers' common /dev/shm              by the launcher
//! POD/init.json             the first process of a shared pid namespace  by the launcher
//! POD/lock POD/shim.sock    one shim at a time, which process it is, and how to reach it
//! POD/shim.log              what the shim has to say; empty when all is well
//! POD/containers/ID/        spec.json, state.json (by the shim alone), config.json, stdin, stdout, stderr, run/
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable::{self, FileError};
use crate::spec::{ContainerSpec, PodSpec};
use crate::state::ContainerState;

/// One pod's folder.
#[derive(Debug, Clone)]
pub(crate) struct PodFolder(PathBuf);

/// One container's folder.
#[derive(Debug, Clone)]
pub(crate) struct ContainerFolder(PathBuf);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PodFile {
    pub(crate) boot: String,
    pub(crate) spec: PodSpec,
}

impl PodFolder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The pod's id, which is its folder's name.
    pub(crate) fn id(&self) -> String {
        self.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub(crate) fn spec(&self) -> Result<PodFile, FileError> {
        durable::read(&self.0.join("pod.json"))
    }

    /// Where its processes are: all that must be understood of a pod to be rid of it.
    pub(crate) fn cgroup(&self) -> Option<PathBuf> {
        #[derive(Deserialize)]
        struct File {
            spec: Spec,
        }
        #[derive(Deserialize)]
        struct Spec {
            cgroup: PathBuf,
        }
        let file: Result<File, _> = durable::read(&self.0.join("pod.json"));
        file.ok().map(|file| file.spec.cgroup)
    }

    pub(crate) fn write_spec(&self, file: &PodFile) -> Result<(), FileError> {
        durable::write(&self.0.join("pod.json"), file)
    }

    pub(crate) fn namespace(&self, name: &str) -> PathBuf {
        self.0.join("ns").join(name)
    }

    pub(crate) fn shm(&self) -> PathBuf {
        self.0.join("shm")
    }

    pub(crate) fn init(&self) -> PathBuf {
        self.0.join("init.json")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("shim.sock")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("shim.log")
    }

    pub(crate) fn container(&self, id: &str) -> ContainerFolder {
        ContainerFolder(self.0.join("containers").join(id))
    }

    /// The ids of all containers, whatever their state.
    pub(crate) fn container_ids(&self) -> io::Result<Vec<String>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(self.0.join("containers"))? {
            ids.extend(entry?.file_name().into_string());
        }
        Ok(ids)
    }
}

impl ContainerFolder {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn spec(&self) -> Result<ContainerSpec, FileError> {
        durable::read(&self.0.join("spec.json"))
    }

    pub(crate) fn write_spec(&self, spec: &ContainerSpec) -> Result<(), FileError> {
        durable::write(&self.0.join("spec.json"), spec)
    }

    pub(crate) fn state(&self) -> Result<ContainerState, FileError> {
        durable::read(&self.0.join("state.json"))
    }

    pub(crate) fn write_state(&self, state: &ContainerState) -> Result<(), FileError> {
        durable::write(&self.0.join("state.json"), state)
    }

    /// The state is written last.
    pub(crate) fn is_on_record(&self) -> bool {
        self.0.join("state.json").exists()
    }

    /// libcontainer's own files.
    pub(crate) fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    pub(crate) fn stream(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn console(&self) -> PathBuf {
        self.0.join("console.sock")
    }
}

/// Whether `id` can be the name of a pod or container here: a file name that libcontainer takes too.
pub(crate) fn is_id(id: &str) -> bool {
    let fits = (1..=128).contains(&id.len()) && !id.starts_with('.');
    fits && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
