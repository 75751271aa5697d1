//! The only way to the API, for every component but the API server itself.
//!
//! A [`Client`] speaks to an API server over https or, on a server, to the one in the same process: callers cannot
//! tell which. Whoever watches goes through [`Caches`]: one watch and one copy of the objects per kind and
//! process, shared by all components. A component that decides on a cache's changes puts the keys it
//! must look at into a [`Queue`], which folds repeats together and backs off per key; what it has to tell people goes
//! through a [`Recorder`].
//!
//! ```text
//! watch ──▶ Cache ──▶ Changes ──▶ Queue ──▶ reconcile(key): read caches, decide, write through Client
//! ```
//!
//! Objects are decoded and encoded by `api::codec` only: generic serde code for Kubernetes' types would be compiled
//! again in every crate that asks for it.

mod cache;
mod caches;
mod connection;
mod error;
mod path;
mod queue;
mod recorder;
mod request;
mod watch;

pub use cache::{Cache, Change, Changes};
pub use caches::Caches;
pub use connection::{Client, Page};
pub use error::Error;
pub use path::{Key, Object, Path, Scoped};
pub use queue::Queue;
pub use recorder::{Recorder, Severity, reference};
pub use request::{DeleteOptions, ListOptions, Patch, Preconditions};
pub use watch::{Event, Watch};
