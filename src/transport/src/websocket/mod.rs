//! WebSockets (RFC 6455), as far as the API uses them: channels of a conversation with a container, and tunnels.
//!
//! Written by hand, as the protocol is smaller than any library for it: no extensions, no validation of text, and messages
//! that are read whole.

mod channels;
mod frame;
mod handshake;
mod socket;
mod tunnel;

pub use channels::{Channels, Coding};
pub use frame::Role;
pub use handshake::{Refused, accept, is_requested, offered};
pub use tunnel::tunnel;
