//! `skiff check-config`: whether this machine can run skiff, and what to do where it cannot.
//!
//! One file per concern, all with the same anatomy: `Facts` are gathered by small readers below a [`Root`] folder, so that
//! tests feed them the real bytes of other machines; `judge` is a pure function from facts to [`Check`]s; `check` joins
//! the two. Where a name proves little the kernel is asked for the real thing, in namespaces that end with the thread
//! that made them (see [`sandbox`]): nothing of the machine is changed.
//!
//! Rejected: asking `modprobe`, `iptables` or `systemctl`. A minimal board has none of them, and the answer that counts is the
//! kernel's.

mod boot;
mod cgroups;
mod clock;
mod command;
mod descriptors;
mod disk;
mod features;
mod finding;
mod firewall;
mod forwarding;
mod inotify;
mod kernel;
mod links;
mod module;
mod mounts;
mod netlink;
mod nftables;
mod overlay;
mod ports;
mod pressure;
mod probe;
mod report;
mod root;
mod sandbox;
mod seccomp;
mod sockets;
mod swap;
mod users;

pub(crate) use command::{Args, Settings, brief, run};
