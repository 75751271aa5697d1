//! Nodes as the cluster sees them: their share of the pod network, whether they live, and what becomes of their pods if not.
//!
//! - [`pod_cidr`] gives every node its part of the pod network.
//! - [`node`] looks at each node: is it heard of, which taints does it carry, may its pods be moved.
//! - [`eviction`] deletes pods from nodes whose NoExecute taints they do not tolerate, or not for so long.
//!
//! Whether a node lives is judged by when *we* last saw its lease or its status change, on a clock that only runs forward: what
//! time a board without a clock believes it is does not matter.

mod disruption;
pub(crate) mod eviction;
mod heard;
pub(crate) mod node;
mod pace;
pub(crate) mod pod_cidr;
mod silence;
mod taints;
