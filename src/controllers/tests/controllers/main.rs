//! The controllers at work, all together, on a real API server over a store in memory. There are no nodes: what a kubelet
//! would do to pods, the tests do.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod claims;
mod cluster;
mod cron_jobs;
mod daemons;
mod garbage;
mod jobs;
mod namespaces;
mod nodes;
mod pods;
mod services;
mod sets;
