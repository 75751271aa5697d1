//! What makes the cluster become what was asked for.
//!
//! One module per controller, all of one shape: `run` feeds a queue of keys from the shared caches and works on it; `reconcile`
//! reads the caches, has a pure function decide, and carries the decision out through the API. Controllers know
//! nothing of one another: a Deployment writes ReplicaSets, and whoever looks after those sees them in its cache.

mod ages;
mod context;
mod cron_job;
mod daemon_set;
mod deployment;
mod disruption_budget;
mod endpoint_slice;
mod endpoints;
mod feed;
mod garbage;
mod history;
mod in_use;
mod job;
mod make_pods;
mod namespace;
mod node_lifecycle;
mod owner;
mod pod;
mod pod_collector;
mod replica_set;
mod root_ca;
mod rounding;
mod run;
mod service_account;
mod service_pods;
mod stateful_set;
mod template;
mod work;

pub use run::{Cluster, run_all};
