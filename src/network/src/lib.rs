//! What skiff asks of the kernel's network, in plain structs: no API types, no helper binaries, only netlink.
//!
//! - [`PodNetwork`] gives pods addresses ([`ipam`]) and links them to this node.
//! - [`Overlay`] joins the nodes, and keeps the cluster's addresses inside.
//! - [`conntrack`] forgets connections.
//! - [`nft`] holds tables of rules as plain data and puts them into the kernel.

pub mod conntrack;
mod dumps;
pub mod ipam;
pub mod local;
pub mod netlink;
pub mod nft;
pub mod overlay;
pub mod pods;
mod ports;
pub mod route;
pub mod sysctl;
mod wire;

pub use overlay::device::NAME as VXLAN_DEVICE;
pub use overlay::{Backend, Overlay, OverlayConfig, Peer};
pub use pods::{PodNetwork, PodNetworkConfig};
pub use ports::HostPort;
