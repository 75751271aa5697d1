//! Real clients against `skiff server --disable-agent`: kubectl of three ages, the Python and Node libraries, Helm and
//! kube-rs. What one of them does to a Kubernetes it must be able to do here, and its user must see the same.
//!
//! Each suite starts one server. Those of kubectl are lists of lines as somebody types them, each with what it must say;
//! all lines are tried, and every one that says something else is reported.

mod apply;
mod case;
mod cluster;
mod columns;
mod create;
mod get;
mod library;
mod workload;

use anyhow::Result;
use lab::{Daemon, Host, Lab};

use crate::control_plane::server;

/// A machine with a control plane and no node.
struct Server {
    host: Host,
    _daemon: Daemon,
    _lab: Lab,
}

impl Server {
    fn start() -> Result<Self> {
        let lab = Lab::new()?;
        let host = lab.host("a")?;
        let daemon = server(&host)?;
        Ok(Self { host, _daemon: daemon, _lab: lab })
    }
}
