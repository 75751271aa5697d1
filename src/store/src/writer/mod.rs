//! The one thread that orders writes.
//!
//! Takes all that waits, decides it in order, makes it durable with one commit, publishes it, answers. While one
//! commit waits for the disk the next batch gathers: with more writers the batches grow and the number of commits does not.
//!
//! Revisions never repeat although soft ones never reach the disk: a durable *mark* stays ahead of the counter, and
//! a store that was not stopped cleanly goes on from its mark. The mark moves in steps of [`MARK_STEP`], along with
//! a commit that happens anyway if there is one; a lease renewed every second alone moves it every twelve days.
//!
//! When the disk refuses a batch, its soft requests are decided again without the others, everything else is answered
//! with the cause, and the next batch simply tries again: there is no failed state to get out of.

mod backups;
mod batch;
mod deadlines;
mod queue;
mod unsaved;

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

pub(crate) use self::backups::{Backups, Image};
use self::batch::Batch;
use self::deadlines::Deadlines;
pub(crate) use self::queue::{Command, Request};
use self::queue::{End, Gathered, Outcome};
use self::unsaved::Unsaved;
use crate::backend::{Backend, Commit, Contents, Rows, StorageError};
use crate::clock::Clock;
use crate::entry::Entry;
use crate::memory::Memory;
use crate::revision::Revision;
use crate::window::Limits;
use crate::write::WriteError;

const MARK_STEP: u64 = 1 << 20;

/// How long expired entries stay while the disk refuses even the mark.
const RETRY: Duration = Duration::from_secs(30);

pub(crate) struct Writer {
    backend: Box<dyn Backend>,
    memory: Arc<Memory>,
    clock: Clock,
    /// The last revision given out, published or not.
    last: Revision,
    /// On disk: nothing above it has been given out.
    mark: Revision,
    deadlines: Deadlines,
    unsaved: Unsaved,
    backups: Option<Backups>,
    /// The disk refused what was due: time alone does not try again before this.
    quiet_until: Option<Instant>,
    /// The disk refused the last commit.
    refused: bool,
}

impl Writer {
    pub(crate) fn new(
        backend: impl Backend,
        contents: Contents,
        limits: Limits,
        mut backups: Option<Backups>,
    ) -> (Self, Arc<Memory>) {
        let Contents { mark, entries, clock } = contents;
        if let Some(backups) = &mut backups {
            backups.compare(mark, entries.is_empty());
        }
        let deadlines = Deadlines::of(&entries);
        let memory = Arc::new(Memory::new(entries, mark, limits));
        let writer = Self {
            backend: Box::new(backend),
            memory: memory.clone(),
            clock,
            last: mark,
            mark,
            deadlines,
            unsaved: Unsaved::default(),
            backups,
            quiet_until: None,
            refused: false,
        };
        (writer, memory)
    }

    pub(crate) fn run(mut self, commands: &Receiver<Command>) {
        let end = loop {
            let gathered = Gathered::wait(commands, self.patience());
            self.serve(gathered.requests);
            self.back_up_if_due();
            if let Some(end) = gathered.end {
                break end;
            }
        };
        match end {
            // Whoever asked may have gone away since.
            End::Asked(answer) => drop(answer.send(self.close())),
            End::Abandoned => self.abandon(),
        }
    }

    /// How long to sleep if nothing comes: until the next deadline, if there is one.
    fn patience(&self) -> Option<Duration> {
        let expiry = self.deadlines.next().map(|deadline| self.clock.until(deadline));
        let backup = self.backups.as_ref().and_then(Backups::due);
        let until = |instant: Instant| instant.saturating_duration_since(Instant::now());
        let quiet = self.quiet_until.map_or(Duration::ZERO, until);
        expiry.map(|expiry| expiry.max(quiet)).into_iter().chain(backup.map(until)).min()
    }

    fn serve(&mut self, requests: Vec<Request>) {
        let mut batch = self.batch();
        let mut outcomes = requests.iter().map(|request| batch.apply(&request.writes)).collect();
        if let Err(error) = self.commit(&batch) {
            outcomes = self.serve_soft(&requests, &Arc::new(error));
        }
        for (request, outcome) in requests.into_iter().zip(outcomes) {
            // A caller that no longer waits does not mind.
            drop(request.answer.send(outcome));
        }
    }

    /// The disk refused the batch: what does not need it goes on.
    fn serve_soft(&mut self, requests: &[Request], error: &Arc<StorageError>) -> Vec<Outcome> {
        let mut batch = self.batch();
        let mut decide = |request: &Request| match request.is_soft() {
            true => batch.apply(&request.writes),
            false => Err(WriteError::Storage(error.clone())),
        };
        let outcomes = requests.iter().map(&mut decide).collect();
        match self.commit(&batch) {
            Ok(()) => outcomes,
            Err(_) => requests.iter().map(|_| Err(WriteError::Storage(error.clone()))).collect(),
        }
    }

    /// Starts from what is published, less what has expired.
    fn batch(&self) -> Batch {
        let entries = self.memory.entries();
        let due = self.deadlines.due(self.clock.now()).filter_map(|key| entries.get(&**key));
        let due: Vec<Entry> = due.cloned().collect();
        let mut batch = Batch::new(entries, self.last, self.clock);
        due.into_iter().for_each(|entry| batch.expire(entry));
        batch
    }

    /// Makes the batch durable, then visible. Its revisions are used up either way: after a failure the disk may still
    /// hold it.
    fn commit(&mut self, batch: &Batch) -> Result<(), StorageError> {
        if batch.events.is_empty() {
            return Ok(());
        }
        self.quiet_until = Some(Instant::now() + RETRY);
        self.last = batch.revision;
        let (rows, unsaved) = batch.split(self.unsaved.clone());
        let durable = !rows.is_empty();
        self.store(rows)?;
        self.quiet_until = None;
        self.unsaved = unsaved;
        batch.events.iter().for_each(|event| self.deadlines.note(event));
        if let Some(backups) = self.backups.as_mut().filter(|_| durable) {
            backups.note_change();
        }
        self.memory.publish(batch.entries.clone(), batch.revision, &batch.events);
        Ok(())
    }

    fn store(&mut self, rows: Rows) -> Result<(), StorageError> {
        let wanted = self.last.ahead(if rows.is_empty() { 0 } else { MARK_STEP / 2 });
        let mark = (wanted > self.mark).then(|| self.last.ahead(MARK_STEP));
        self.put(&Commit { mark, rows })
    }

    fn put(&mut self, commit: &Commit) -> Result<(), StorageError> {
        if commit.mark.is_some() || !commit.rows.is_empty() {
            let taken = self.backend.commit(commit);
            self.tell_of_disk(taken.as_ref().err());
            taken?;
        }
        self.mark = commit.mark.unwrap_or(self.mark);
        Ok(())
    }

    /// Once: each who writes is told for themselves.
    fn tell_of_disk(&mut self, error: Option<&StorageError>) {
        match error {
            Some(error) if !self.refused => {
                let error = error as &dyn std::error::Error;
                tracing::error!(error, "the store's disk refuses writes: only what is there can be read");
            }
            None if self.refused => tracing::info!("the store's disk takes writes again"),
            _ => {}
        }
        self.refused = error.is_some();
    }

    fn back_up_if_due(&mut self) {
        let is_due = |backups: &Backups| backups.due().is_some_and(|due| due <= Instant::now());
        if !self.backups.as_ref().is_some_and(is_due) {
            return;
        }
        let flushed = self.put(&Commit { mark: None, rows: self.unsaved.rows(self.clock.now()) });
        match flushed {
            Ok(()) => self.unsaved = Unsaved::default(),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot save soft writes");
            }
        }
        let image = self.image();
        if let Some(backups) = &mut self.backups {
            backups.start(image);
        }
    }

    fn image(&self) -> Image {
        Image { entries: self.memory.entries(), mark: self.mark, now: self.clock.now() }
    }

    /// Nobody asked for a clean stop: what is durable stays, as after a crash.
    fn abandon(mut self) {
        if let Some(backups) = &mut self.backups {
            backups.finish_running();
        }
        self.memory.stop();
    }

    /// Leaves the exact revision as the mark, so that clients' watches resume after a clean restart.
    fn close(mut self) -> Result<(), StorageError> {
        let mark = (self.mark != self.last).then_some(self.last);
        let flushed = self.put(&Commit { mark, rows: self.unsaved.rows(self.clock.now()) });
        let image = self.image();
        if let Some(backups) = self.backups.take() {
            backups.stop(&image);
        }
        self.memory.stop();
        flushed
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("last", &self.last).field("mark", &self.mark).finish_non_exhaustive()
    }
}
