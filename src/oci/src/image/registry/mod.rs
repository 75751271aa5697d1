//! The client of registries: the pull half of the OCI distribution protocol, over hyper.
//!
//! One [`Session`] is one endpoint, one repository and one login, for as long as one pull lasts: its connections end with it,
//! so nothing is kept open or awake between pulls. HTTP/1.1 on purpose: the kernel's socket buffers are the only thing
//! that grows when the disk is slower than the network.

mod challenge;
mod connection;
mod error;
mod session;
mod token;

pub use error::Error;
pub(crate) use session::{Fetched, Session};
pub(crate) use token::Tokens;
