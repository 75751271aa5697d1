//! Pods on this node.
//!
//! ```text
//! API ──cache (spec.nodeName)──▶ dispatch ──▶ one worker per pod ──▶ decide() ──▶ actions ──▶ oci shim, images, links
//!  ▲                                              ▲    │
//!  └──────────── status, events ──────────────────┼────┘
//!                       the shim's state, probes, timers
//! ```
//!
//! Each pod has one worker that owns everything about it. It sleeps until something changes: the pod's object, the state its
//! shim reports, a probe's result, or a moment that an earlier decision named. It then decides by a pure function over plain
//! data what to do next, does it, and writes the pod's status when that has changed.

mod admit;
mod app_armor;
mod backoff;
mod config;
mod container;
mod context;
mod decide;
mod downward;
pub mod environment;
mod event;
mod failure;
mod granted;
mod hook;
mod host_ports;
mod image;
mod kubelet;
mod last_words;
mod member;
mod node;
mod probe;
mod record;
pub mod referenced;
mod resize;
mod resources;
mod sandbox;
mod saved;
pub mod server;
mod signal;
mod status;
pub mod volumes;
mod web;
mod worker;
mod workloads;

pub use config::Config;
pub use downward::{Amounts, Facts};
pub use kubelet::{Error, Kubelet, Parts};
