//! The handle that callers hold.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use crate::backend::sqlite::{OpenError, Restored, Sqlite};
use crate::backend::{Backend, Contents, StorageError};
use crate::entry::Entry;
use crate::event::Event;
use crate::memory::Memory;
use crate::revision::Revision;
use crate::snapshot::Snapshot;
use crate::watch::Watch;
use crate::window::{Limits, RevisionError};
use crate::write::{Write, WriteError};
use crate::writer::{Backups, Command, Request, Writer};

/// What may wait for the writer, in KiB. A caller beyond that waits for room, first come, first served.
const QUEUE_KIB: u32 = 8 * 1024;

/// Where the store lives and how much it keeps.
#[derive(Debug, Clone)]
pub struct Config {
    /// Created if need be. Holds the database, its backups and whatever was moved aside as damaged.
    pub directory: PathBuf,
    pub limits: Limits,
    /// And at a clean stop; never while nothing durable has changed.
    pub backup_every: Duration,
}

impl Config {
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self { directory: directory.into(), limits: Limits::default(), backup_every: day }
    }
}

/// Reads come from memory at once; writes go through the one writer thread. Cheap to clone.
///
/// The thread ends with [`Store::stop`]. It ends too once the last handle is gone, but then as in a crash: soft writes are
/// lost, no backup is made, and the files may be in use a little longer.
#[derive(Debug, Clone)]
pub struct Store {
    memory: Arc<Memory>,
    commands: mpsc::Sender<Command>,
    room: Arc<Semaphore>,
}

impl Store {
    /// Opens the SQLite store in `config.directory`. Blocks: it reads and checks everything.
    ///
    /// A damaged file is replaced by the newest good backup, which the second part of the answer tells.
    pub fn open(config: &Config) -> Result<(Self, Option<Restored>), OpenError> {
        let opened = Sqlite::open(&config.directory)?;
        let backups = Backups::new(opened.backups, config.backup_every);
        let store = Self::start(opened.sqlite, opened.contents, config.limits, Some(backups))?;
        Ok((store, opened.restored))
    }

    /// A store over any backend, without backups.
    pub fn over(backend: impl Backend, contents: Contents, limits: Limits) -> Result<Self, OpenError> {
        Self::start(backend, contents, limits, None)
    }

    fn start(
        backend: impl Backend,
        contents: Contents,
        limits: Limits,
        backups: Option<Backups>,
    ) -> Result<Self, OpenError> {
        let (commands, waiting) = mpsc::channel();
        let (writer, memory) = Writer::new(backend, contents, limits, backups);
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run(&waiting))
            .map_err(OpenError::Thread)?;
        Ok(Self { memory, commands, room: Arc::new(Semaphore::new(QUEUE_KIB as usize)) })
    }

    /// The newest revision that readers see.
    pub fn revision(&self) -> Revision {
        self.memory.revision()
    }

    pub fn get(&self, key: &str) -> Option<Entry> {
        self.memory.get(key)
    }

    /// The newest state of `scope`: everything below it if it ends in `/`, otherwise that one key.
    pub fn snapshot(&self, scope: &str) -> Snapshot {
        self.memory.snapshot(scope)
    }

    /// The state of `scope` at any revision in the window.
    pub fn snapshot_at(&self, scope: &str, revision: Revision) -> Result<Snapshot, RevisionError> {
        self.memory.snapshot_at(scope, revision)
    }

    /// The changes of `scope` after `revision`, which must be in the window.
    pub fn watch(&self, scope: &str, after: Revision) -> Result<Watch, RevisionError> {
        self.memory.watch(scope, after)
    }

    /// One change; see [`write_all`](Self::write_all).
    pub async fn write(&self, write: Write) -> Result<Event, WriteError> {
        let mut events = self.write_all(vec![write]).await?;
        Ok(events.pop().expect("a write that succeeds is one event"))
    }

    /// All of `writes` or none, in order, each seeing those before it; each gets a revision of its own.
    ///
    /// Answered when readers see it and, unless all are soft, disk has it. Waits while the queue is full. Dropping the
    /// future before then leaves open whether the write happens.
    pub async fn write_all(&self, writes: Vec<Write>) -> Result<Vec<Event>, WriteError> {
        let size: usize = writes.iter().map(Write::size).sum();
        let kib = u32::try_from(size / 1024 + 1).unwrap_or(QUEUE_KIB).min(QUEUE_KIB);
        let room = self.room.clone().acquire_many_owned(kib).await.map_err(|_| WriteError::Stopped)?;
        let (answer, answered) = oneshot::channel();
        let request = Request { writes, answer, _room: room };
        self.commands.send(Command::Write(request)).map_err(|_| WriteError::Stopped)?;
        answered.await.unwrap_or(Err(WriteError::Stopped))
    }

    /// Flushes soft writes, backs up what has changed and closes the files. Later writes are refused and watches
    /// end; reads go on. The error says what could not be flushed; the store has stopped all the same.
    pub async fn stop(&self) -> Result<(), StorageError> {
        let (answer, answered) = oneshot::channel();
        if self.commands.send(Command::Stop(answer)).is_err() {
            return Ok(());
        }
        answered.await.unwrap_or(Ok(()))
    }
}
