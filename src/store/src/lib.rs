//! The revisioned key-value store under the API server: bytes only, no Kubernetes types.
//!
//! ```text
//!  write ─▶ queue ─▶ writer thread: decide (pending map) ─▶ backend.commit ─▶ memory.publish ─▶ answers
//!                    one batch = all that waits              durable           readers, watchers
//!  get, snapshot, watch ─▶ memory (never the disk)
//! ```
//!
//! - **Memory is the database.** It holds every entry in a persistent ordered map: a snapshot is a
//!   pointer. The disk holds the current state only, so there is no history to compact.
//! - **One writer.** Preconditions are decided against the map that the same batch is building, so requests of one
//!   batch see one another; nobody else sees anything before the batch is durable. A failed commit drops the
//!   pending map, which costs nothing because the map is persistent.
//! - **Revisions** are global and ordered, one per changed key, and never given out twice: a high-water mark
//!   ahead of the counter is made durable in large steps, and a restart goes on from the mark.
//! - **Soft writes** ([`Class::Soft`]) live in memory until a clean stop: an idle cluster that renews its leases
//!   writes nothing to flash.
//! - **Watchers** share one log of events; nobody waits for a slow one, it is told
//!   [`WatchError::Compacted`] once what it needs has left the window.
//!
//! An etcd cluster as backend would replace the writer, not the memory: it decides by etcd transactions and feeds
//! the memory from etcd's watch. Until then [`Backend`] is the durable half only: SQLite, and memory for tests.

mod backend;
mod clock;
mod entry;
mod event;
mod memory;
mod revision;
mod scope;
mod snapshot;
mod store;
mod watch;
mod window;
mod write;
mod writer;

pub use backend::memory::InMemory;
pub use backend::sqlite::{Damage, OpenError, RestoreError, Restored};
pub use backend::{Backend, Commit, Contents, StorageError};
pub use entry::Entry;
pub use event::{Change, Event};
pub use revision::Revision;
pub use snapshot::Snapshot;
pub use store::{Config, Store};
pub use watch::{Watch, WatchError};
pub use window::{Limits, RevisionError};
pub use write::{Action, Class, Precondition, Value, Write, WriteError};
