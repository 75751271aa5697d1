//! The store by its public face.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod apart;
mod battery;
mod crash;
mod damage;
mod disk;
mod model;
mod place;
mod power;
