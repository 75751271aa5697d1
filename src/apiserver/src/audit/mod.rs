//! The audit log: who asked for what, when, and what came of it.
//!
//! Events of `audit.k8s.io/v1` at level Metadata, one line of JSON each, at the stage ResponseComplete; what goes on for longer is
//! told at ResponseStarted too. Who hangs up before the answer is told of as well, with code 499. No request waits for the
//! disk: lines are gathered in memory, up to [`MOST_UNWRITTEN`], and one thread writes what was gathered. When the disk does not keep up, or has no room, lines are lost; how many is logged and counted in
//! `apiserver_audit_error_total`.

mod event;
mod file;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;
use tracing::{error, warn};

pub(crate) use self::event::Record;
use self::file::Rotated;

/// Bytes that wait for the disk; a thousand events or two.
const MOST_UNWRITTEN: usize = 1 << 20;

/// Where the log is kept, and how much of it.
#[derive(Clone, Debug)]
pub struct AuditConfig {
    /// `-` is standard output.
    pub path: PathBuf,
    /// Bytes after which a file is set aside and a new one begun.
    pub largest: u64,
    /// Files that were set aside and are kept; none is no limit.
    pub backups: Option<usize>,
    /// Days that they are kept for; none is no limit.
    pub days: Option<u32>,
}

#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("open the audit log {}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("start the thread that writes the audit log")]
    Thread(#[source] io::Error),
}

/// The log, as requests see it. Cheap to clone. Its thread ends with the last clone.
#[derive(Clone, Debug)]
pub struct Audit(Arc<Handle>);

#[derive(Debug)]
struct Handle(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    unwritten: Mutex<Unwritten>,
    changed: Condvar,
    events: AtomicU64,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Unwritten {
    lines: Vec<u8>,
    lost: u64,
    closed: bool,
    /// Told when everything before them is written.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Audit {
    pub fn open(config: AuditConfig) -> Result<Self, AuditError> {
        let shared = Arc::new(Shared::default());
        let out: Box<dyn Write + Send> = match config.path.to_str() {
            Some("-") => Box::new(io::stdout()),
            _ => {
                let path = config.path.clone();
                Box::new(Rotated::open(config).map_err(|source| AuditError::Open { path, source })?)
            }
        };
        let theirs = shared.clone();
        let thread = thread::Builder::new().name("audit".into()).spawn(move || theirs.write_to(out));
        thread.map_err(AuditError::Thread)?;
        Ok(Self(Arc::new(Handle(shared))))
    }

    /// Takes in a line, unless too many wait already.
    fn append(&self, line: &[u8]) {
        let shared = &self.0.0;
        shared.events.fetch_add(1, Ordering::Relaxed);
        let mut unwritten = shared.unwritten();
        if unwritten.lines.len() + line.len() > MOST_UNWRITTEN {
            unwritten.lost += 1;
            shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        unwritten.lines.extend_from_slice(line);
        drop(unwritten);
        shared.changed.notify_one();
    }

    /// Waits until everything so far is written, or failed to be.
    pub(crate) async fn flush(&self) {
        let (sender, written) = oneshot::channel();
        self.0.0.unwritten().waiting.push(sender);
        self.0.0.changed.notify_one();
        // The thread lives for as long as we do.
        let _ended = written.await;
    }

    /// Events so far, and those of them that were lost.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.0.0.events.load(Ordering::Relaxed), self.0.0.lost.load(Ordering::Relaxed))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.unwritten().closed = true;
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread.
    fn write_to(&self, mut out: Box<dyn Write + Send>) {
        loop {
            let idle = |unwritten: &mut Unwritten| {
                unwritten.lines.is_empty() && unwritten.waiting.is_empty() && !unwritten.closed
            };
            let waited = self.changed.wait_while(self.unwritten(), idle);
            let mut unwritten = waited.unwrap_or_else(PoisonError::into_inner);
            let Unwritten { lines, lost, closed, waiting } = std::mem::take(&mut *unwritten);
            drop(unwritten);
            if lost > 0 {
                warn!(lost, "the disk does not keep up with the audit log");
            }
            if let Err(error) = out.write_all(&lines).and_then(|()| out.flush()) {
                self.lost.fetch_add(lines.split(|byte| *byte == b'\n').count() as u64 - 1, Ordering::Relaxed);
                error!(%error, "cannot write the audit log");
            }
            for waiting in waiting {
                // Who waits no longer need not be told.
                let _gone = waiting.send(());
            }
            if closed {
                return;
            }
        }
    }
}
