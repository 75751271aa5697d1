//! What waits for the writer thread.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::backend::StorageError;
use crate::event::Event;
use crate::write::{Class, Write, WriteError};

pub(crate) type Outcome = Result<Vec<Event>, WriteError>;

#[derive(Debug)]
pub(crate) enum Command {
    Write(Request),
    Stop(oneshot::Sender<Result<(), StorageError>>),
}

/// Writes that happen together or not at all.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) writes: Vec<Write>,
    pub(crate) answer: oneshot::Sender<Outcome>,
    /// Its share of the queue, given back when it is answered.
    pub(crate) _room: OwnedSemaphorePermit,
}

impl Request {
    pub(crate) fn is_soft(&self) -> bool {
        self.writes.iter().all(|write| write.class == Class::Soft)
    }
}

/// Why the writer ends.
#[derive(Debug)]
pub(crate) enum End {
    Asked(oneshot::Sender<Result<(), StorageError>>),
    /// The last handle is gone.
    Abandoned,
}

#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) requests: Vec<Request>,
    pub(crate) end: Option<End>,
}

impl Gathered {
    /// Sleeps until something comes or `patience` is over, then takes all that waits.
    pub(crate) fn wait(commands: &Receiver<Command>, patience: Option<Duration>) -> Self {
        let first = match patience {
            Some(patience) => commands.recv_timeout(patience),
            None => commands.recv().map_err(RecvTimeoutError::from),
        };
        let mut gathered = Self::default();
        match first {
            Ok(command) => gathered.take(command),
            Err(RecvTimeoutError::Disconnected) => gathered.end = Some(End::Abandoned),
            Err(RecvTimeoutError::Timeout) => return gathered,
        }
        gathered.take_waiting(commands);
        gathered
    }

    fn take_waiting(&mut self, commands: &Receiver<Command>) {
        while self.end.is_none() {
            match commands.try_recv() {
                Ok(command) => self.take(command),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => self.end = Some(End::Abandoned),
            }
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Write(request) => self.requests.push(request),
            Command::Stop(answer) => self.end = Some(End::Asked(answer)),
        }
    }
}
