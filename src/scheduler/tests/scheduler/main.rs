//! The scheduler on a real API server over a store in memory. What kubelets do to pods, the tests do.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod cluster;
mod placing;
mod preempting;
mod waiting;
