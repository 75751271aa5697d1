//! HTTP over TLS, both ends of it.
//!
//! [`Listener`] accepts, shakes hands and serves HTTP/1.1 and HTTP/2 until it is told to stop, then drains: what is under way
//! is finished up to a deadline. [`Connector`] is the other end. Both use rustls with ring and certificates from `pki`;
//! [`Certificate`] can be replaced while connections are open, so that renewal needs no restart.
//!
//! [`websocket`] and [`spdy`] carry several streams over one connection, as `kubectl exec` and `port-forward` want it.
//!
//! [`tunnel`] is for nodes that cannot be dialled: they dial, over a [`Dialer`], and are spoken to.
//!
//! A peer that vanishes (a plug pulled, a cable cut) is noticed by the kernel's TCP keep-alive: no timer of ours wakes the
//! process for it.

mod activity;
mod channel;
mod connector;
mod conversation;
mod dial;
mod keepalive;
mod listener;
pub mod spdy;
mod strangers;
mod tls;
pub mod tunnel;
pub mod websocket;

pub use channel::{Incoming, Outgoing};
pub use connector::{Connector, Request};
pub use conversation::Peer;
pub use dial::Dialer;
pub use listener::Listener;
pub use strangers::{AUTHORITY_PATH, ask_authority};
pub use tls::{Certificate, Error};
