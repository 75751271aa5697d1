//! Container images made by us, from bytes to what a registry or an air-gap archive holds.
//!
//! [`Image`] says what is wanted; [`Image::build`] and [`Layout::index`] turn it into a [`Layout`]: the blobs of an
//! OCI image layout and its entry point, in memory. The same image always has the same bytes and thus the same
//! digest: no clock, no owner of the checkout and no order of a hash map is in it.

mod archive;
mod blob;
mod image;
mod layer;
mod layout;
mod nginx;
mod stock;

pub use archive::docker_archive;
pub use blob::Digest;
pub use image::{Image, Platform};
pub use layout::Layout;
pub use stock::GUEST;
