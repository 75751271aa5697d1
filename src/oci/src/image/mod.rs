//! Images: pulled, unpacked, mounted and removed again, in this process and without helpers.
//!
//! ```text
//! registry or archive ──▶ layer: check ▸ decompress ▸ check ▸ unpack ──▶ layers/CHAIN
//!                                                                            │ overlayfs
//!                                          ContainerSpec.rootfs ◀── containers/ID/root
//! ```
//!
//! Flash is what wears out on a board: a layer is written once, unpacked, as it arrives. There is no store of compressed
//! blobs, so an image cannot be pushed on from here; its configuration, its layers and its names are all that is kept.
//!
//! [`Images`] is the only handle. [`Reference`] is what users write, [`Registries`] what the node's administrator says about
//! it, [`Credentials`] what pull secrets hold.

mod catalog;
mod credentials;
mod digest;
mod document;
mod error;
mod images;
mod import;
mod layer;
mod mount;
mod platform;
mod pull;
mod records;
mod reference;
mod registries;
mod registry;
mod removal;
mod staging;
mod store;

pub use catalog::Image;
pub use credentials::{Credentials, CredentialsError, Login};
pub use document::{Error as DocumentError, ImageConfig};
pub use error::{Error, ImportError, PullError};
pub use images::Images;
pub use layer::Error as LayerError;
pub use pull::Progress;
pub use reference::{InvalidReference, Reference};
pub use registries::{Registries, RegistriesError};
pub use registry::Error as RegistryError;
