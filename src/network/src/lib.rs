//! What skiff asks of the kernel's network, in plain structs: no API types, no helper binaries, only netlink.

pub mod ipam;
pub mod nft;
