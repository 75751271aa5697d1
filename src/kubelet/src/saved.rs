//! Pods on disk: what a node starts after a loss of power when no server answers.
//!
//! A pod is written when something of it changed that matters to this: not for each new status, as the flash wears out.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::Path;

use api::codec::{self, Typed};
use k8s_openapi::api::core::v1::Pod;

const NAME: &str = "pod.json";

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot encode the pod: {0}")]
    Encode(#[from] codec::Error),
    #[error("cannot write {NAME}: {0}")]
    Write(#[from] io::Error),
}

/// Of what matters of a pod: another mark, another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u64);

/// Writes the pod, and waits for the disk.
pub(crate) fn write(folder: &Path, pod: &Pod) -> Result<(), Error> {
    fs::create_dir_all(folder)?;
    let (path, new) = (folder.join(NAME), folder.join("pod.json.new"));
    let mut file = File::create(&new)?;
    file.write_all(&pod.encode()?)?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    Ok(File::open(folder)?.sync_all()?)
}

pub(crate) fn mark(pod: &Pod) -> Result<Mark, Error> {
    let mut lasting = pod.clone();
    let phase = lasting.status.take().and_then(|status| status.phase);
    lasting.metadata.resource_version = None;
    let mut hasher = DefaultHasher::new();
    lasting.encode()?.hash(&mut hasher);
    // Only that it is over, and how.
    phase.filter(|phase| phase == "Succeeded" || phase == "Failed").hash(&mut hasher);
    Ok(Mark(hasher.finish()))
}

/// One pod as it is on disk, if it is.
pub(crate) fn read(folder: &Path) -> Option<Pod> {
    Pod::decode(&fs::read(folder.join(NAME)).ok()?).ok()
}

/// All pods below `root`. One that cannot be read is told of and left out: the server knows it too.
pub(crate) fn read_all(root: &Path) -> Vec<Pod> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path().join(NAME)).filter(|path| path.exists());
    let read = files.filter_map(|path| {
        let pod = fs::read(&path).map_err(|error| error.to_string());
        let pod = pod.and_then(|json| Pod::decode(&json).map_err(|error| error.to_string()));
        pod.inspect_err(|error| tracing::warn!(path = %path.display(), error, "a pod on disk cannot be read"))
            .ok()
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{PodSpec, PodStatus};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    #[test]
    fn a_pod_is_written_when_it_matters() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("uid");
        let metadata = ObjectMeta { name: Some("web".into()), ..ObjectMeta::default() };
        let mut pod = Pod { metadata, spec: Some(PodSpec::default()), status: None };
        let first = mark(&pod).unwrap();
        write(&folder, &pod).unwrap();
        assert_eq!(read_all(root.path()), [pod.clone()]);
        let status = |phase: &str| Some(PodStatus { phase: Some(phase.into()), ..PodStatus::default() });
        pod.status = status("Running");
        pod.metadata.resource_version = Some("7".into());
        assert_eq!(mark(&pod).unwrap(), first);
        pod.status = status("Failed");
        assert_ne!(mark(&pod).unwrap(), first);
        write(&folder, &pod).unwrap();
        assert_eq!(read_all(root.path()), [pod]);
        fs::write(folder.join(NAME), "{").unwrap();
        assert_eq!(read_all(root.path()), []);
    }
}
