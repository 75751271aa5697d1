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
    answers: HashMap<u64, Awaited>,
    /// By the numbers of execs. One that was refused never ends.
    execs: HashMap<u64, Ending>,
    removing: bool,
}

struct Awaited {
    answer: oneshot::Sender<Result<Vec<OwnedFd>, Error>>,
    /// What the order begins.
    exec: Option<u64>,
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
                pending.answered(sequence, result.map(|()| descriptors).map_err(Error::Refused));
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
        let (request, descriptors) = self.expect(command);
        link.send(&request, &descriptors).await.is_ok()
    }

    fn expect(&mut self, command: Command) -> (Request, Vec<OwnedFd>) {
        let Command { order, descriptors, answer, exec: ending } = command;
        self.sequence += 1;
        let sequence = self.sequence;
        self.removing |= matches!(order, Order::Remove);
        let exec = if let Order::Exec { exec, .. } = &order { Some(*exec) } else { None };
        self.execs.extend(exec.zip(ending));
        // An answer that is never given is dropped with `self`, which tells whoever waits.
        self.answers.insert(sequence, Awaited { answer, exec });
        (Request { sequence, order }, descriptors)
    }

    fn answered(&mut self, sequence: u64, answer: Result<Vec<OwnedFd>, Error>) {
        let Some(awaited) = self.answers.remove(&sequence) else { return };
        if let (Err(_), Some(exec)) = (&answer, awaited.exec) {
            self.execs.remove(&exec);
        }
        // Whoever asked may have stopped waiting.
        let _ = awaited.answer.send(answer);
    }
}

pub(super) fn greeted(hello: Hello) -> PodState {
    let sandbox = if hello.sandbox.is_ok() { Sandbox::Ready } else { Sandbox::Gone };
    PodState { sandbox, containers: hello.containers }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Orders a further process.
    fn exec(pending: &mut Pending, number: u64) -> u64 {
        let order = Order::Exec { exec: number, container: "app".to_owned() };
        let ((answer, _), (code, _), (output, _)) =
            (oneshot::channel(), oneshot::channel(), oneshot::channel());
        let exec = Some(Ending { code, output });
        pending.expect(Command { order, descriptors: Vec::new(), answer, exec }).0.sequence
    }

    #[test]
    fn a_refused_exec_leaves_nothing_behind() {
        let mut pending = Pending::default();
        let (good, bad) = (exec(&mut pending, 7), exec(&mut pending, 8));
        pending.answered(good, Ok(Vec::new()));
        pending.answered(bad, Err(Error::Refused("no such file".to_owned())));
        assert!(pending.answers.is_empty());
        assert_eq!(pending.execs.keys().collect::<Vec<_>>(), [&7], "the other runs");
    }
}
