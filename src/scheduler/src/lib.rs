//! Which node a pod goes to.
//!
//! ```text
//! caches ──▶ Cluster: a Snapshot kept up to date      Queue: who waits, and for what
//!                     │                                  │
//!                     └──────▶ decide(Demand, Snapshot) ◀┘
//!                              filter ▶ score ▶ a node, or why none ▶ preemption
//!                                                │
//!                          bind, report, evict ◀─┘   (through the API, side by side)
//! ```
//!
//! One task decides, one pod after the other, so that no two pods are promised the same room; what it decides is counted
//! in its snapshot at once, before the API server has agreed. Deciding is pure: functions over plain data, which take
//! microseconds; everything that waits runs beside it.
//!
//! A pod that fits nowhere waits for an event that may change what kept it out, and for its back-off; nothing is tried again
//! by the clock alone. Filters, scores, weights and messages are those of the default profile of kube-scheduler.
//! Not there: provisioning of volumes that wait for their first consumer, dynamic resources, scheduler profiles.

mod act;
mod cluster;
mod decide;
mod demand;
mod facts;
mod filter;
#[cfg(test)]
mod fixtures;
mod message;
mod node_affinity;
mod pod_affinity;
mod preemption;
mod queue;
mod resources;
mod run;
mod score;
mod snapshot;
mod spreading;
mod volumes;

pub use run::run;
