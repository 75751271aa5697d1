//! All controllers, started together.

use client::{Caches, Client, Recorder};
use ipnet::IpNet;
use task::Tasks;

use crate::context::Context;
use crate::node_lifecycle::pod_cidr;
use crate::{
    daemon_set, deployment, endpoint_slice, endpoints, garbage, job, namespace, replica_set, root_ca,
    service_account,
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
pub fn run_all(client: &Client, caches: &Caches, cluster: Cluster) -> Tasks<()> {
    let mut tasks = Tasks::new();
    let mut context = |component: &'static str| {
        let (recorder, writing) = Recorder::new(client.clone(), component, "");
        tasks.spawn("events", writing);
        Context { caches: caches.clone(), recorder }
    };
    let daemons = daemon_set::run(context("daemonset-controller"));
    let deployments = deployment::run(context("deployment-controller"));
    let slices = endpoint_slice::run(context("endpoint-slice-controller"));
    let endpoints = endpoints::run(context("endpoint-controller"));
    let jobs = job::run(context("job-controller"));
    let ended_jobs = job::ttl::run(context("ttl-after-finished-controller"));
    let namespaces = namespace::run(context("namespace-controller"));
    let pod_cidrs = pod_cidr::run(context("cidrAllocator"), cluster.pod_networks);
    let sets = replica_set::run(context("replicaset-controller"));
    let root_ca =
        root_ca::run(context("root-ca-certificate-publisher-controller"), cluster.certificate_authority);
    let accounts = service_account::run(context("serviceaccount-controller"));
    tasks.spawn("DaemonSet", daemons);
    tasks.spawn("Deployment", deployments);
    tasks.spawn("EndpointSlice", slices);
    tasks.spawn("Endpoints", endpoints);
    tasks.spawn("garbage", garbage::run(client.clone()));
    tasks.spawn("Job", jobs);
    tasks.spawn("TTL of Jobs", ended_jobs);
    tasks.spawn("Namespace", namespaces);
    tasks.spawn("pod CIDR", pod_cidrs);
    tasks.spawn("ReplicaSet", sets);
    tasks.spawn("root CA", root_ca);
    tasks.spawn("ServiceAccount", accounts);
    tasks
}
