//! The lab: machines in namespaces of this one, joined by a switch with no way out, for tests of whole programs.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let lab = lab::Lab::new()?;
//! let (a, b) = (lab.host("a")?, lab.host("b")?);
//! a.command("ping").args(["-c1", &b.ip().to_string()]).ok()?;
//! b.link().cut()?;
//! a.pull_plug()?;
//! a.boot()?;
//! # Ok(())
//! # }
//! ```
//!
//! A machine is a `machine`: a thread in namespaces (`place`), a `disk` with a `root` file system laid over this
//! machine's, a subtree of control groups (`cgroup`) and a first process (`init`). What does not end by itself with
//! the lab's process, a guard takes away (`ground`).
#![expect(
    unsafe_code,
    reason = "namespaces of threads, work between fork and exec, one ioctl: nothing safe does these"
)]

mod cgroup;
mod clients;
mod clock;
mod cluster;
mod command;
mod daemon;
mod disk;
mod ground;
mod host;
pub mod images;
mod init;
mod lab;
mod loop_device;
mod machine;
mod measure;
mod mounts;
mod place;
mod program;
pub mod registry;
mod root;
mod shell;
mod switch;
mod terminal;

pub use clients::{KUBECONFIG, kubectl, kubectl_folder, node_folder, python};
pub use clock::Clock;
pub use cluster::{Cluster, Node};
pub use command::{Command, Output};
pub use daemon::{Daemon, PATIENCE};
pub use host::{Host, Link};
pub use lab::Lab;
pub use measure::{Spent, Usage};
pub use program::binary;
pub use registry::Registry;
pub use terminal::Terminal;

/// What the `lab` binary does beside the library: the lives of its own processes, and the interactive lab.
pub mod role {
    pub use crate::cluster::show;
    pub use crate::ground::guard;
    pub use crate::init::init;
    pub use crate::shell::{hold, shell};
}
