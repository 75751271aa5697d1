//! What every pod's worker is given.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client::{Caches, Client, Recorder};
use k8s_openapi::api::core::v1::Pod;
use network::pods::PodNetwork;
use oci::cgroup::Hierarchy;
use oci::image::Images;
use tokio::sync::{Notify, watch};

use crate::config::Config;
use crate::downward::{Amounts, Facts};
use crate::environment;
use crate::event::Events;
use crate::granted::Granted;
use crate::volumes::Volumes;

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) caches: Caches,
    pub(crate) recorder: Recorder,
    pub(crate) pods: oci::Pods,
    pub(crate) images: Images,
    /// None until this node has been given addresses for pods.
    pub(crate) network: watch::Receiver<Option<PodNetwork>>,
    /// Pods that were cleared away before that: what they had in an earlier run is taken back then.
    pub(crate) unlinked: Mutex<BTreeSet<String>>,
    pub(crate) volumes: Volumes,
    pub(crate) environment: environment::Sources,
    pub(crate) hierarchy: Hierarchy,
    /// Bytes that the machine has.
    pub(crate) memory: i64,
    pub(crate) allocatable: Amounts,
    /// The machine was started, and no server has answered yet.
    pub(crate) alone: AtomicBool,
    pub(crate) granted: Granted,
    /// Told when pods have gone or have become smaller: others may grow.
    pub(crate) room: watch::Sender<()>,
    /// The node's object may have more to say: an image came.
    pub(crate) node_changed: Notify,
}

impl Context {
    pub(crate) fn client(&self) -> &Client {
        self.caches.client()
    }

    pub(crate) fn events<'a>(&'a self, pod: &'a Pod) -> Events<'a> {
        Events { recorder: &self.recorder, pod }
    }

    /// The pods that the API has on this node.
    pub(crate) fn own_pods(&self) -> Vec<Arc<Pod>> {
        let mut pods = self.caches.of::<Pod>().list();
        pods.retain(|pod| self.is_own(pod));
        pods
    }

    pub(crate) fn is_own(&self, pod: &Pod) -> bool {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        node == Some(self.config.node_name.as_str())
    }

    /// Waits until there is one.
    pub(crate) async fn network(&self) -> Option<PodNetwork> {
        let mut network = self.network.clone();
        // Fails when nobody is left who could open it: the agent is ending.
        network.wait_for(Option::is_some).await.ok().and_then(|network| network.clone())
    }

    /// Takes a pod's link and addresses away, as soon as there is a network.
    pub(crate) async fn detach(&self, uid: &str) -> Result<(), network::pods::Error> {
        // On the list before the look: the network may open between the two.
        self.unlinked().insert(uid.to_owned());
        let Some(network) = self.network.borrow().clone() else { return Ok(()) };
        network.detach(uid).await?;
        self.unlinked().remove(uid);
        Ok(())
    }

    pub(crate) fn unlinked(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.unlinked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn facts(&self, pod_ips: Vec<IpAddr>) -> Facts {
        Facts {
            host_ips: self.config.node_ips.clone(),
            pod_ips,
            allocatable: self.allocatable.clone(),
            alone: self.alone.load(Ordering::Relaxed),
        }
    }
}
