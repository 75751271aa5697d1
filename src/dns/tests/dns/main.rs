//! The DNS server on its real port, in a network of its own: asked over real sockets, with an API server behind it and a
//! resolver of the node's beside it.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod client;
mod cluster;
mod forwarding;
mod libc;
mod machine;
mod names;
mod upstream;
