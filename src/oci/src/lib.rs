//! Containers without a daemon of their own.
//!
//! A pod is held by one small process, its *shim*, which is this same binary started again. The node agent talks to it over a
//! socket and may come and go: pods never notice. libcontainer forks with a raw `clone3` and needs a process with one thread
//! and memory to waste, so not even the shim calls it: for each container and each exec the shim starts a short-lived
//! *launcher*, once more the same binary, whose container becomes the shim's own child.
//!
//! ```text
//! node agent (tokio)          shim (one per pod, epoll)        launcher (per start or exec)
//!   Pods ── Pod ──socket──▶  containers, logs, exits  ──exec──▶  libcontainer ──▶ container
//! ```
//!
//! - [`Pods`] and [`Pod`] are the node agent's side; [`shim::main`] is the entry of the other two.
//! - [`PodSpec`], [`ContainerSpec`] and [`ExecSpec`] say what to run, [`PodState`] what became of it: plain data, no
//!   Kubernetes types.
//! - [`image`] pulls images and mounts them as the roots of containers.
//! - [`cgroup`] creates, limits, measures and removes control groups of both versions.
#![expect(unsafe_code, reason = "seccomp(2), bpf(2), signalfd(2) and interface flags have no safe wrapper")]

pub mod capabilities;
pub mod cgroup;
mod durable;
mod identity;
pub mod image;
mod launch;
mod layout;
mod pods;
mod protocol;
mod seccomp;
pub mod shim;
mod spec;
mod state;

pub use pods::{Error, Exec, Input, Output, Pod, Pods, Streams, Wanted};
pub use spec::{
    ContainerSpec, Device, ExecSpec, Ipc, Log, Mount, Network, PidNamespace, PodSpec, Process, Propagation,
    SeccompProfile, Size, Stdin, User,
};
pub use state::{ContainerState, Exit, PodState, Sandbox};
