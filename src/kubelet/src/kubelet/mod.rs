//! The node agent as a whole: what it is built of, and the life of its workers.

mod dispatch;
mod sweep;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{Caches, Recorder};
use k8s_openapi::api::core::v1::{Pod, Service};
use network::pods::PodNetwork;
use oci::cgroup::{Cgroup, Hierarchy, Limits};
use oci::image::Images;
use task::{Shutdown, causes};
use tokio::sync::{Notify, watch};

use crate::config::Config;
use crate::context::Context;
use crate::environment;
use crate::granted::Granted;
use crate::node::{self, Machine};
use crate::referenced::Referenced;
use crate::resources::{Qos, class_cgroup, shares};
use crate::saved;
use crate::server::Workloads;
use crate::volumes::Volumes;
use crate::workloads::OfNode;

use self::dispatch::Dispatch;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use control groups")]
    Cgroups(#[from] oci::cgroup::Error),
    #[error("cannot find the pods of an earlier run")]
    Adopt(#[from] oci::Error),
    #[error("cannot make {path}")]
    Folder {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// What the agent works with.
#[derive(Debug)]
pub struct Parts {
    /// The Pods among them may be narrowed to this node's.
    pub caches: Caches,
    pub recorder: Recorder,
    pub pods: oci::Pods,
    pub images: Images,
    /// None until the node has been given addresses for its pods.
    pub network: watch::Receiver<Option<PodNetwork>>,
}

/// The node agent, built and not yet running.
#[derive(Debug)]
pub struct Kubelet {
    context: Arc<Context>,
    machine: Machine,
}

/// After a start pods on disk wait so long for the server: it may know that they are not wanted any more.
const PATIENCE: Duration = Duration::from_secs(10);

impl Kubelet {
    /// Must be called on a tokio runtime: it begins to follow the API.
    pub fn new(config: Config, parts: Parts) -> Result<Self, Error> {
        for path in [&config.pods_dir, &config.run_dir, &config.log_dir] {
            std::fs::create_dir_all(path).map_err(|source| Error::Folder { path: path.clone(), source })?;
        }
        let hierarchy = Hierarchy::detect()?;
        let machine = Machine::read(&config.pods_dir);
        make_classes(&config, &hierarchy, &machine)?;
        let Parts { caches, recorder, pods, images, network } = parts;
        let referenced = Referenced::new(caches.client().clone());
        let allocatable = machine.allocatable(&config);
        let volumes = Volumes::new(
            &config.pods_dir,
            Arc::clone(&referenced),
            caches.client().clone(),
            allocatable.clone(),
        );
        let environment = environment::Sources { referenced, services: caches.of::<Service>() };
        let context = Context {
            config,
            caches,
            recorder,
            pods,
            images,
            network,
            unlinked: Mutex::default(),
            volumes,
            environment,
            hierarchy,
            memory: machine.memory,
            allocatable,
            alone: AtomicBool::new(false),
            granted: Granted::default(),
            room: watch::Sender::new(()),
            node_changed: Notify::new(),
        };
        Ok(Self { context: Arc::new(context), machine })
    }

    /// What the node's [`crate::server`] asks about.
    pub fn workloads(&self) -> Arc<impl Workloads + use<>> {
        Arc::new(OfNode(Arc::clone(&self.context)))
    }

    /// Until the shutdown. Containers go on running; the next run finds them.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Error> {
        let Self { context, machine } = self;
        let (_, errors) = context.pods.adopt().await?;
        for error in errors {
            tracing::error!(error = %causes(&error), "a pod of an earlier run cannot be taken over");
        }
        let node = node::run(Arc::clone(&context), machine, shutdown.clone());
        let pods = shutdown.or_requested(Box::pin(serve(&context)));
        futures_util::future::join(Box::pin(node), pods).await;
        Ok(())
    }
}

/// Follows the pods of this node for ever.
async fn serve(context: &Arc<Context>) {
    let mut dispatch = Dispatch::new(Arc::clone(context));
    let mut changes = context.caches.of::<Pod>().changes();
    let saved = saved::read_all(&context.config.pods_dir);
    dispatch.take_running(&saved);
    let mut waiting = Some(tokio::time::Instant::now() + PATIENCE);
    let (mut swept, mut links_swept) = (false, false);
    loop {
        let patience = async {
            match waiting {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            change = changes.next() => {
                waiting = None;
                context.alone.store(false, Ordering::Relaxed);
                dispatch.change(&change);
                if !std::mem::replace(&mut swept, true) {
                    dispatch.forget_unknown(&saved);
                    sweep::sweep(context, &dispatch.uids()).await;
                }
            }
            Some(network) = context.network(), if swept && !links_swept => {
                links_swept = true;
                sweep::sweep_links(context, &network, &dispatch.uids()).await;
            }
            () = dispatch.ended() => {}
            () = patience => {
                waiting = None;
                context.alone.store(true, Ordering::Relaxed);
                tracing::warn!("no server answers: starting the pods that are on disk");
                dispatch.take_all(&saved);
            }
        }
    }
}

/// The groups of all pods and of each class: pods share the machine by what they ask for, those that ask for nothing come last.
fn make_classes(config: &Config, hierarchy: &Hierarchy, machine: &Machine) -> Result<(), Error> {
    for (qos, cpu) in [(Qos::Guaranteed, machine.cores * 1000), (Qos::Burstable, 0), (Qos::BestEffort, 0)] {
        let group = Cgroup::new(hierarchy, class_cgroup(&config.cgroup_root, qos));
        group.create()?;
        group.limit(&Limits { cpu_shares: Some(shares(cpu)), ..Limits::default() })?;
    }
    Ok(())
}
