//! All controllers, started together.

use client::{Caches, Client, Recorder};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::Pod;
use task::{ClockSettings, Tasks};

use crate::ages::Ages;
use crate::context::Context;
use crate::node_lifecycle::{eviction, node, pod_cidr};
use crate::{
    cron_job, daemon_set, deployment, disruption_budget, endpoint_slice, endpoints, garbage, in_use, job,
    namespace, pod_collector, replica_set, root_ca, service_account, stateful_set,
};

/// What the controllers need to know of the cluster they run in.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// PEM of the authority that signs the API server's certificate.
    pub certificate_authority: String,
    /// The networks of which every node gets a part for its pods: one per address family, the preferred one first.
    pub pod_networks: Vec<IpNet>,
}

/// Starts every controller, on one set of caches; each tells events in its own name.
///
/// None of them ends by itself. Must be called on a tokio runtime.
pub fn run_all(client: &Client, caches: &Caches, cluster: Cluster, clock: ClockSettings) -> Tasks<()> {
    let Cluster { certificate_authority, pod_networks } = cluster;
    let mut all = Controllers { client, caches, ages: Ages::default(), clock, tasks: Tasks::new() };
    all.start("claims in use", "pvc-protection-controller", in_use::claims);
    all.start("CronJob", "cronjob-controller", cron_job::run);
    all.start("DaemonSet", "daemonset-controller", daemon_set::run);
    all.start("Deployment", "deployment-controller", deployment::run);
    all.start("disruption budget", "controllermanager", disruption_budget::run);
    all.start("EndpointSlice", "endpoint-slice-controller", endpoint_slice::run);
    all.start(
        "EndpointSlice of Endpoints",
        "endpoint-slice-mirroring-controller",
        endpoint_slice::mirror::run,
    );
    all.start("Endpoints", "endpoint-controller", endpoints::run);
    all.start("eviction", "taint-eviction-controller", eviction::run);
    all.start("Job", "job-controller", job::run);
    all.start("Namespace", "namespace-controller", namespace::run);
    all.start("node", "node-controller", node::run);
    all.start("pod CIDR", "cidrAllocator", |context| pod_cidr::run(context, pod_networks));
    all.start("pod collector", "pod-garbage-collector", pod_collector::run);
    all.start("ReplicaSet", "replicaset-controller", replica_set::run);
    all.start("ReplicationController", "replication-controller", replica_set::run_old);
    all.start("root CA", "root-ca-certificate-publisher-controller", |context| {
        root_ca::run(context, certificate_authority)
    });
    all.start("ServiceAccount", "serviceaccount-controller", service_account::run);
    all.start("StatefulSet", "statefulset-controller", stateful_set::run);
    all.start("TTL of Jobs", "ttl-after-finished-controller", job::ttl::run);
    all.start(
        "volume attribute classes in use",
        "volumeattributesclass-protection-controller",
        in_use::attribute_classes,
    );
    all.start("volumes in use", "pv-protection-controller", in_use::volumes);
    all.tasks.spawn("ages of pods", all.ages.clone().follow(caches.of::<Pod>()));
    all.tasks.spawn("garbage", garbage::run(client.clone()));
    all.tasks
}

struct Controllers<'a> {
    client: &'a Client,
    caches: &'a Caches,
    ages: Ages,
    clock: ClockSettings,
    tasks: Tasks<()>,
}

impl Controllers<'_> {
    /// `component` is who its events come from.
    fn start<F>(&mut self, name: &'static str, component: &'static str, run: impl FnOnce(Context) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (recorder, writing) = Recorder::new(self.client.clone(), component, "");
        self.tasks.spawn("events", writing);
        let (caches, ages, clock) = (self.caches.clone(), self.ages.clone(), self.clock.clone());
        self.tasks.spawn(name, run(Context { caches, recorder, ages, clock }));
    }
}
