//! What this crate does to a kernel, in network namespaces that each test makes for itself.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod namespace;
mod nft;
mod overlay;
mod pods;
