//! Services, routed by the kernel.
//!
//! ```text
//! caches of Services, EndpointSlices, this Node ─▶ ruleset(): a table as plain data ─▶ one transaction
//!                                                └▶ UDP flows without endpoint are forgotten
//! ```
//!
//! - Deciding is pure: [`ruleset`] turns objects into a table; [`run`] carries what changed into the kernel.
//! - A packet costs the same however many Services and endpoints there are: one look into the map of addresses, one draw.
//! - What answers, and what is refused or dropped, is that of kube-proxy in its nftables mode: traffic policies, affinity, hints,
//!   endpoints that go but still serve, source ranges of load balancers, node ports at the node's own addresses only.
//! - Not there: the health port of load balancers that keep traffic local (`healthCheckNodePort`).

mod chains;
mod endpoint;
mod ruleset;
mod run;
mod service;
mod stale;

pub use ruleset::{Node, ruleset};
pub use run::{Context, Error, run};
