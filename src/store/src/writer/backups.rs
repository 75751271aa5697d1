//! When backups are made: once a period in which something durable changed, and at a clean stop.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::backend::sqlite::BackupFiles;
use crate::clock::Seconds;
use crate::revision::Revision;
use crate::snapshot::Entries;

/// A store that has no backup yet, or only an old one, gets one this soon after it opened.
const SOON: Duration = Duration::from_secs(600);

/// What a backup is made of: the state in memory, so the writer goes on meanwhile and a damaged page on disk is not
/// copied along.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) entries: Entries,
    pub(crate) mark: Revision,
    pub(crate) now: Seconds,
}

#[derive(Debug)]
pub(crate) struct Backups {
    files: BackupFiles,
    every: Duration,
    next: Instant,
    /// The newest backup lacks something.
    stale: bool,
    running: Option<JoinHandle<bool>>,
}

impl Backups {
    pub(crate) fn new(files: BackupFiles, every: Duration) -> Self {
        let wait = files.age().map_or(SOON, |age| every.saturating_sub(age).max(SOON));
        let next = Instant::now() + wait.min(every);
        Self { files, every, next, stale: false, running: None }
    }

    /// Compares with what was loaded: only a clean stop leaves a backup and a database with the same mark.
    pub(crate) fn compare(&mut self, mark: Revision, is_empty: bool) {
        self.stale = !is_empty && self.files.newest_mark() != Some(mark);
    }

    pub(crate) fn note_change(&mut self) {
        self.stale = true;
    }

    /// An unchanged store needs no timer.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.stale.then_some(self.next)
    }

    /// Writes in a thread of its own: on an SD card a large backup takes seconds.
    pub(crate) fn start(&mut self, image: Image) {
        self.finish_running();
        let files = self.files.clone();
        let work = move || write(&files, &image);
        let thread = std::thread::Builder::new().name("store-backup".into()).spawn(work);
        match thread {
            Ok(thread) => self.running = Some(thread),
            Err(error) => tracing::warn!(%error, "cannot start the backup of the store"),
        }
        self.stale = self.running.is_none();
        self.next = Instant::now() + self.every;
    }

    pub(crate) fn stop(mut self, image: &Image) {
        self.finish_running();
        if self.stale {
            write(&self.files, image);
        }
    }

    pub(crate) fn finish_running(&mut self) {
        if let Some(thread) = self.running.take() {
            self.stale |= !thread.join().unwrap_or(false);
        }
    }
}

/// A failed backup is only worth a warning: the database itself is whole.
fn write(files: &BackupFiles, image: &Image) -> bool {
    let result = files.write(image);
    if let Err(error) = &result {
        tracing::warn!(error = error as &dyn std::error::Error, "cannot back up the store");
    }
    result.is_ok()
}
