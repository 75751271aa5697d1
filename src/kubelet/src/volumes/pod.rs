//! One pod's volumes: made ready together, their content kept up to date by one task.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Volume};
use task::{Backoff, Tasks};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use super::content::Content;
use super::kind::{self, Kind};
use super::{Cause, Error, Mounted, Sources, empty_dir, host_path};
use crate::referenced::Held;
use crate::resources::pod_limits;

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(super) struct PodVolumes {
    folder: PathBuf,
    sources: Arc<Sources>,
    content: Arc<Mutex<Content>>,
    upkeep: Option<Upkeep>,
}

/// Rewrites the content whenever its sources change.
#[derive(Debug)]
struct Upkeep {
    /// A hold of its own: the task's hold is busy waiting.
    held: Held,
    _task: Tasks<()>,
}

impl PodVolumes {
    pub(super) fn new(folder: PathBuf, sources: Arc<Sources>) -> Self {
        let content = Content::new(folder.join("content"), sources.clone());
        Self { folder, sources, content: Arc::new(Mutex::new(content)), upkeep: None }
    }

    pub(super) async fn prepare(&mut self, pod: &Arc<Pod>) -> Result<BTreeMap<String, Mounted>, Error> {
        self.hold(pod);
        let spec = pod.spec.as_ref();
        let volumes = spec.and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
        let mut content = self.content.lock().await;
        content.pod = pod.clone();
        let mut mounted = BTreeMap::new();
        for volume in volumes {
            let made = self.make(&mut content, volume, pod).await;
            let made = made.map_err(|cause| Error::SetUp { volume: volume.name.clone(), cause })?;
            mounted.insert(volume.name.clone(), made);
        }
        Ok(mounted)
    }

    /// What the pod refers to is held before anything is read, and read again when it changes.
    fn hold(&mut self, pod: &Pod) {
        if self.upkeep.as_ref().is_some_and(|upkeep| upkeep.held.covers(pod)) {
            return;
        }
        let mut task = Tasks::new();
        let held = self.sources.referenced.hold(pod);
        task.spawn("volume upkeep", keep_up(self.content.clone(), self.sources.referenced.hold(pod)));
        self.upkeep = Some(Upkeep { held, _task: task });
    }

    async fn make(&self, content: &mut Content, volume: &Volume, pod: &Pod) -> Result<Mounted, Cause> {
        let (path, read_only) = match kind::of(volume)? {
            Kind::Content => (content.write(volume).await?, true),
            Kind::EmptyDir(source) => {
                let (group, memory) = (fs_group(pod), self.memory(pod));
                (empty_dir::make(&self.folder, &volume.name, source, group, memory)?, false)
            }
            Kind::HostPath(source) => (host_path::check(source)?, false),
        };
        Ok(Mounted { path, read_only, paths: self.folder.join("paths").join(&volume.name) })
    }

    /// What the pod may use of the node's.
    fn memory(&self, pod: &Pod) -> Option<u64> {
        let own = pod.spec.as_ref().and_then(|spec| pod_limits(spec).memory).filter(|limit| *limit > 0);
        let of_node = self.sources.allocatable.get("memory").map(|amount| amount.value());
        own.into_iter().chain(of_node).min().and_then(|limit| u64::try_from(limit).ok())
    }
}

/// The group that owns the pod's volumes.
pub(super) fn fs_group(pod: &Pod) -> Option<u32> {
    let context = pod.spec.as_ref()?.security_context.as_ref()?;
    u32::try_from(context.fs_group?).ok()
}

/// Until it is dropped.
async fn keep_up(content: Arc<Mutex<Content>>, mut held: Held) {
    let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
    let mut due = None;
    loop {
        tokio::select! {
            () = held.changed() => {}
            () = until(due) => {}
            () = Content::renewal(&content) => {}
        }
        let mut content = content.lock().await;
        due = match content.write_again().await {
            Ok(()) => {
                backoff.reset();
                None
            }
            Err(error) => {
                warn!(pod = content.name(), %error, "a volume keeps its old content");
                error_passes(&error).then(|| Instant::now() + backoff.next_delay())
            }
        };
    }
}

fn error_passes(error: &Error) -> bool {
    matches!(error, Error::SetUp { cause, .. } if cause.passes())
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
