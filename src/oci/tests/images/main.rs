//! Images against a registry of our own making, which can do what real ones do only on bad days: lose connections, ask for
//! tokens, send the wrong bytes. Pulling from a real one is tested in the lab.
//!
//! Unpacking and mounting need root: without it every test passes without a look.

#![expect(clippy::unwrap_used, reason = "tests, and what they stand on")]

mod auth;
mod faults;
mod ground;
mod importing;
mod layers;
mod lifecycle;
mod registry;
mod unpacking;
