//! The task behind a pod's handles: one at a time it talks to the shim, and replaces it when it dies or does not answer.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::Duration;

use task::{Backoff, causes};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::layout::PodFolder;
use crate::protocol::{Message, Order, Request};
use crate::state::{Ended, PodState, Sandbox};

use super::link::{Hello, Link};
use super::{Error, cleanup};

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
/// As long as upstream's agents give their runtimes. A shim that is well needs it while a card that logs are written to
/// stalls, or processes are slow to die.
const LIMIT: Duration = Duration::from_secs(120);

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
    prompt: bool,
    until: Instant,
}

/// How a conversation with a shim ends.
enum Parting {
    /// It was meant to go.
    Removed,
    Lost,
    /// It is there and does not answer.
    Stuck,
}

impl Keeper {
    pub(super) async fn run(mut self, mut link: Link) {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(30));
        loop {
            let begun = Instant::now();
            let parting = self.talk(&link).await;
            if let Parting::Removed = parting {
                link.ended().await;
                self.publish(|state| state.sandbox = Sandbox::Gone);
                return;
            }
            // Not waited for: it may live, and have cut off one who did not read what it said.
            drop(link);
            self.publish(|state| state.sandbox = Sandbox::Recovering);
            tracing::warn!(pod = self.pod, "lost the pod's shim, looking for it or starting another one");
            if let Parting::Stuck = parting {
                self.end_stuck().await;
            }
            if begun.elapsed() > STEADY {
                backoff.reset();
            }
            link = self.replace(&mut backoff).await;
        }
    }

    async fn end_stuck(&self) {
        tracing::warn!(
            pod = self.pod,
            "the pod's shim does not answer and is killed; its containers run on, but for those with a terminal"
        );
        if !cleanup::end_shim(&self.folder).await {
            tracing::error!(pod = self.pod, "the pod's shim hangs in the kernel and cannot be killed");
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
                Err(error) => {
                    tracing::error!(pod = self.pod, error = %causes(&error), "cannot replace the pod's shim");
                }
            }
            // Whoever came meanwhile need not wait for the next attempt too.
            while let Ok(command) = self.commands.try_recv() {
                let _nobody_waits = command.answer.send(Err(Error::Silent(self.pod.clone())));
            }
        }
    }

    async fn talk(&mut self, link: &Link) -> Parting {
        let mut pending = Pending::default();
        loop {
            let over = tokio::select! {
                // Where this process itself was held up, the answer is there.
                biased;
                message = link.receive() => match message {
                    Ok(Some((message, descriptors))) => {
                        self.hear(&mut pending, message, descriptors);
                        None
                    }
                    Ok(None) | Err(_) => Some(pending.parted()),
                },
                () = pending.overdue() => pending.give_up(link, &self.pod).await.err(),
                command = self.commands.recv() => match command {
                    Some(command) => pending.send(link, command).await.err(),
                    // Every handle is gone: nobody is left to be told anything.
                    None => std::future::pending().await,
                },
            };
            if let Some(parting) = over {
                return parting;
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
    async fn send(&mut self, link: &Link, command: Command) -> Result<(), Parting> {
        let (request, descriptors) = self.expect(command);
        match timeout(LIMIT, link.send(&request, &descriptors)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.parted()),
            // It has not read for so long that its socket is full.
            Err(_) => Err(Parting::Stuck),
        }
    }

    fn parted(&self) -> Parting {
        if self.removing { Parting::Removed } else { Parting::Lost }
    }

    fn expect(&mut self, command: Command) -> (Request, Vec<OwnedFd>) {
        let Command { order, descriptors, answer, exec: ending } = command;
        self.sequence += 1;
        let sequence = self.sequence;
        self.removing |= matches!(order, Order::Remove);
        let exec = if let Order::Exec { exec, .. } = &order { Some(*exec) } else { None };
        self.execs.extend(exec.zip(ending));
        let prompt = order.is_prompt();
        let until = Instant::now() + LIMIT;
        // An answer that is never given is dropped with `self`, which tells whoever waits.
        self.answers.insert(sequence, Awaited { answer, exec, prompt, until });
        (Request { sequence, order }, descriptors)
    }

    /// Waits until an answer is late.
    async fn overdue(&self) {
        match self.answers.values().map(|awaited| awaited.until).min() {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    /// Tells those whose answers are late. If all that is late needed a launcher, the shim is asked whether it still hears.
    async fn give_up(&mut self, link: &Link, pod: &str) -> Result<(), Parting> {
        let now = Instant::now();
        let late = self.answers.iter().filter(|(_, awaited)| awaited.until <= now);
        let late: Vec<(u64, bool)> = late.map(|(sequence, awaited)| (*sequence, awaited.prompt)).collect();
        for (sequence, prompt) in &late {
            let error = if *prompt { Error::Silent(pod.to_owned()) } else { Error::Late(LIMIT) };
            self.answered(*sequence, Err(error));
        }
        if late.iter().any(|(_, prompt)| *prompt) {
            return Err(Parting::Stuck);
        }
        let (answer, _nobody_waits) = oneshot::channel();
        self.send(link, Command { order: Order::Ping, descriptors: Vec::new(), answer, exec: None }).await
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
