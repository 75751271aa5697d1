//! Names of Services and pods.
//!
//! It runs on every node, so that a name is resolved without crossing the network, and nobody's pods lose DNS because another
//! node is gone.
//!
//! ```text
//! UDP, TCP ──▶ Resolver ──▶ Zone: read from the caches of Services and EndpointSlices
//!                  │
//!                  └──────▶ Forwarder ──▶ the node's resolvers, as /etc/resolv.conf names them now
//! ```
//!
//! - The zone holds nothing: an answer is worked out from the shared caches when it is asked for, so it is never older than they
//!   are. Before they are filled, cluster names fail (SERVFAIL) rather than be denied; all other names work from the first moment.
//! - A name of the cluster, or an address of it asked backwards, is never asked of the node's resolvers.
//! - Answers are those of CoreDNS with k3s' configuration: schema 1.1.0, 5 seconds, names for pods by their dashed
//!   address, addresses in turning order, and an ExternalName resolved to the end.

mod cache;
mod forward;
mod message;
mod names;
mod resolver;
mod reverse;
mod server;
mod upstream;
mod zone;

pub use server::{Config, Dns, Error};
