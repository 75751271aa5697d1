//! Who is who: certificate authorities, the certificates they sign, join tokens, service-account tokens, kubeconfigs.
//!
//! Everything is made here, on the board, at the first start: a cluster owns its identities and needs nobody. Two rules
//! follow from what boards go through:
//!
//! - **The clock may be wrong.** A board without a battery starts in 1970, or where it last stopped. Certificates are
//!   valid from the epoch on, and last from what the caller takes for now: the program says no time before it was made, so what a
//!   machine with a wrong clock signs is still good when time is right.
//! - **Power may go.** A file is written whole under another name, synced, and renamed ([`file`]): after a
//!   cut there is the old one or the new one, never half of one.

pub mod file;
pub mod jwt;
pub mod kubeconfig;
pub mod token;

mod authority;
mod key;
mod leaf;
mod validity;

pub use authority::{Authority, Error};
pub use key::Key;
pub use leaf::{Identity, Leaf, Usage};
