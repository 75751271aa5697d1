//! The pod's sandbox as its worker has it: made once, and made sure of when it was taken over or the pod's object has changed.

use std::sync::Arc;
use std::time::Duration;

use client::Severity;
use oci::PodState;
use task::Backoff;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::decide;
use crate::resources::pod_limits;
use crate::sandbox::{self, Ready};

use super::Worker;
use super::done::Done;

#[derive(Debug)]
pub(super) struct Home {
    slot: Slot,
    /// What the sandbox says of its containers, while there is one.
    pub(super) state: Option<watch::Receiver<PodState>>,
    /// Jobs that make it, or make sure of it.
    making: usize,
    /// It has all that the pod's object asks for; if not, when to try again.
    sure: bool,
    after: Option<Instant>,
    tries: Backoff,
}

#[derive(Debug)]
enum Slot {
    None,
    Making,
    /// It could not be made: not before then.
    Failed(Instant),
    Ready(Ready),
}

impl Home {
    pub(super) fn new() -> Self {
        Self {
            slot: Slot::None,
            state: None,
            making: 0,
            sure: false,
            after: None,
            tries: Backoff::new(Duration::from_millis(500), Duration::from_secs(122)),
        }
    }

    /// Containers can be started in it.
    pub(super) fn ready(&self) -> Option<&Ready> {
        match &self.slot {
            Slot::Ready(sandbox) => Some(sandbox),
            Slot::None | Slot::Making | Slot::Failed(_) => None,
        }
    }

    pub(super) fn is_being_made(&self) -> bool {
        self.making > 0
    }

    /// Takes over one of an earlier run, which may lack what was asked for since.
    pub(super) fn adopt(&mut self, sandbox: Ready) {
        self.state = Some(sandbox.pod.state());
        self.slot = Slot::Ready(sandbox);
    }

    /// Something else may be asked of it now.
    pub(super) fn doubt(&mut self) {
        self.sure = false;
        self.after = None;
    }

    fn made(&mut self, sandbox: Ready) {
        self.tries.reset();
        self.sure = true;
        if self.state.is_none() {
            self.state = Some(sandbox.pod.state());
        }
        self.slot = Slot::Ready(sandbox);
    }

    fn failed(&mut self) {
        let again = Instant::now() + self.tries.next_delay();
        if matches!(self.slot, Slot::Making) {
            self.slot = Slot::Failed(again);
        } else {
            self.after = Some(again);
        }
    }

    fn give_up(&mut self) {
        if matches!(self.slot, Slot::Making) {
            self.slot = Slot::None;
        }
    }
}

impl Worker {
    /// The sandbox for those who decide, and when to look again though nothing happened.
    pub(super) fn look_home(&mut self, now: Instant) -> (decide::Sandbox, Option<Instant>) {
        let ending = self.is_ending();
        match self.home.slot {
            Slot::None => (decide::Sandbox::None, None),
            Slot::Making => (decide::Sandbox::Busy, None),
            Slot::Failed(until) if until > now && !ending => (decide::Sandbox::Busy, Some(until)),
            Slot::Failed(_) => (decide::Sandbox::None, None),
            Slot::Ready(_) if self.home.sure || ending => (decide::Sandbox::Ready, None),
            Slot::Ready(_) => (decide::Sandbox::Busy, self.make_sure(now)),
        }
    }

    /// Has a sandbox that was taken over, or whose pod was changed, looked after; when, if not now.
    fn make_sure(&mut self, now: Instant) -> Option<Instant> {
        let late = self.home.after.filter(|after| *after > now);
        if late.is_none() && !self.home.is_being_made() {
            self.home.after = None;
            self.spawn_making();
        }
        late
    }

    pub(super) fn make_sandbox(&mut self) {
        self.home.slot = Slot::Making;
        self.resizing.applied = self.granted().spec.as_ref().map(pod_limits);
        self.spawn_making();
    }

    /// Also makes sure of one that is there: its network, its volumes and its files.
    fn spawn_making(&mut self) {
        self.home.making += 1;
        let (context, pod) = (Arc::clone(&self.context), self.granted());
        let deadline = self.deadline.subscribe();
        self.jobs
            .spawn(async move { Done::Sandbox(Box::pin(sandbox::make(&context, &pod, deadline)).await) });
    }

    pub(super) fn sandbox_made(&mut self, made: Result<Ready, sandbox::Error>) {
        self.home.making -= 1;
        match made {
            Ok(sandbox) => self.home.made(sandbox),
            // It was given up because the pod ends.
            Err(_) if self.is_ending() => self.home.give_up(),
            Err(error) => {
                let (reason, message) = match &error {
                    sandbox::Error::Volumes(error) => ("FailedMount", error.to_string()),
                    error => ("FailedCreatePodSandBox", format!("Failed to create pod sandbox: {error}")),
                };
                self.context.events(&self.pod).pod(Severity::Warning, reason, message);
                self.home.failed();
            }
        }
    }
}
