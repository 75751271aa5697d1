//! The task behind a pod's handles: one at a time it talks to the shim, and replaces it when it dies.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use task::Backoff;
use tokio::sync::{mpsc, oneshot, watch};

use crate::layout::PodFolder;
use crate::protocol::{Message, Order, Request};
use crate::state::{Ended, PodState, Sandbox};

use super::Error;
use super::link::{Hello, Link};

/// An order, and where its answer goes.
pub(super) struct Command {
    pub(super) order: Order,
    pub(super) descriptors: Vec<OwnedFd>,
    pub(super) answer: oneshot::Sender<Result<Vec<OwnedFd>, Error>>,
    pub(super) exec: Option<Ending>,
}

/// Who waits for the end of an exec: told of it, dropped when it will never be known.
pub(super) struct Ending {
    pub(super) code: oneshot::Sender<Ended>,
    /// The reader of its terminal.
    pub(super) output: oneshot::Sender<()>,
}

pub(super) struct Keeper {
    pub(super) pod: String,
    pub(super) folder: PodFolder,
    pub(super) state: watch::Sender<PodState>,
    /// Bounded: when a shim is slow, those who give orders wait.
    pub(super) commands: mpsc::Receiver<Command>,
}

/// A shim that lived so long did not die of how it was started: the next one need not wait.
const STEADY: Duration = Duration::from_secs(60);

/// What is under way on one connection.
#[derive(Default)]
struct Pending {
    sequence: u64,
    answers: HashMap<u64, oneshot::Sender<Result<Vec<OwnedFd>, Error>>>,
    execs: HashMap<u64, Ending>,
    removing: bool,
}

impl Keeper {
    pub(super) async fn run(mut self, mut link: Link) {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(30));
        loop {
            let begun = Instant::now();
            if self.talk(&link).await {
                link.ended().await;
                self.publish(|state| state.sandbox = Sandbox::Gone);
                return;
            }
            // Not waited for: it may live, and have cut off one who did not read what it said.
            drop(link);
            self.publish(|state| state.sandbox = Sandbox::Recovering);
            tracing::warn!(pod = self.pod, "lost the pod's shim, looking for it or starting another one");
            if begun.elapsed() > STEADY {
                backoff.reset();
            }
            link = self.replace(&mut backoff).await;
        }
    }

    async fn replace(&mut self, backoff: &mut Backoff) -> Link {
        loop {
            backoff.wait().await;
            match Link::open(&self.pod, &self.folder).await {
                Ok((link, hello)) => {
                    self.publish(|state| *state = greeted(hello));
                    return link;
                }
                Err(error) => tracing::error!(pod = self.pod, %error, "cannot replace the pod's shim"),
            }
        }
    }

    /// Until the shim is gone; whether it was meant to go.
    async fn talk(&mut self, link: &Link) -> bool {
        let mut pending = Pending::default();
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => if !pending.send(link, command).await { return pending.removing },
                    // Every handle is gone: nobody is left to be told anything.
                    None => std::future::pending().await,
                },
                message = link.receive() => match message {
                    Ok(Some((message, descriptors))) => self.hear(&mut pending, message, descriptors),
                    Ok(None) | Err(_) => return pending.removing,
                },
            }
        }
    }

    fn hear(&self, pending: &mut Pending, message: Message, descriptors: Vec<OwnedFd>) {
        match message {
            Message::Reply { sequence, result } => {
                if let Some(answer) = pending.answers.remove(&sequence) {
                    // Whoever asked may have stopped waiting.
                    let _ = answer.send(result.map(|()| descriptors).map_err(Error::Refused));
                }
            }
            Message::State { container, state } => {
                self.publish(|pod| drop(pod.containers.insert(container, state)));
            }
            Message::Deleted { container } => self.publish(|pod| drop(pod.containers.remove(&container))),
            Message::ExecEnded { exec, ended } => {
                if let Some(waiting) = pending.execs.remove(&exec) {
                    let _nobody_reads = waiting.output.send(());
                    let _nobody_waits = waiting.code.send(ended);
                }
            }
            Message::Hello { .. } => {}
        }
    }

    fn publish(&self, change: impl FnOnce(&mut PodState)) {
        self.state.send_modify(change);
    }
}

impl Pending {
    /// Whether the shim is still there.
    async fn send(&mut self, link: &Link, command: Command) -> bool {
        self.sequence += 1;
        let sequence = self.sequence;
        self.removing |= matches!(command.order, Order::Remove);
        if let (Order::Exec { exec, .. }, Some(ending)) = (&command.order, command.exec) {
            self.execs.insert(*exec, ending);
        }
        self.answers.insert(sequence, command.answer);
        // An answer that is never given is dropped with `self`, which tells whoever waits.
        link.send(&Request { sequence, order: command.order }, &command.descriptors).await.is_ok()
    }
}

pub(super) fn greeted(hello: Hello) -> PodState {
    let sandbox = if hello.sandbox.is_ok() { Sandbox::Ready } else { Sandbox::Gone };
    PodState { sandbox, containers: hello.containers }
}
