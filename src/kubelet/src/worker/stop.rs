//! Stopping one container: its last wish, a signal, and the end of patience.

use std::sync::Arc;
use std::time::Duration;

use client::Severity;
use k8s_openapi::api::core::v1::Pod;
use task::deadline;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::context::Context;
use crate::decide::restarts_after;
use crate::hook;
use crate::member::{Member, member};
use crate::record::Cause;
use crate::sandbox::Ready;
use crate::signal;

/// What is left to a container after its hook, however long that took.
const LEAST: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Stop {
    pub(super) context: Arc<Context>,
    pub(super) pod: Arc<Pod>,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) sandbox: Ready,
    pub(super) cause: Option<Cause>,
    pub(super) signal: Option<String>,
    pub(super) grace: Duration,
    /// When the pod as a whole must be gone, if it ends: it may come nearer at any time.
    pub(super) deadline: watch::Receiver<Option<Instant>>,
}

impl Stop {
    pub(super) async fn run(mut self) {
        let own = deadline(self.grace);
        let pod = Arc::clone(&self.pod);
        if let Some(member) = pod.spec.as_ref().and_then(|spec| member(spec, &self.name)) {
            self.tell(&member);
            self.before_stop(&member, own).await;
        }
        if let Err(error) = self.ask().await {
            tracing::debug!(container = self.id, %error, "the container takes no signal");
        }
        let least = Instant::now() + LEAST.min(self.grace);
        let (sandbox, id) = (self.sandbox.pod.clone(), self.id.clone());
        let ended = tokio::select! {
            ended = sandbox.wait(&id) => ended.is_ok(),
            () = async { self.out_of_time(own).await; sleep_until(least).await } => false,
        };
        if !ended {
            self.kill().await;
        }
    }

    fn tell(&self, member: &Member<'_>) {
        let name = &self.name;
        let again = self.cause.zip(self.pod.spec.as_ref());
        let again = again.is_some_and(|(cause, spec)| restarts_after(spec, member, cause) == Some(true));
        let then = if again { ", will be restarted" } else { "" };
        let message = match self.cause {
            None => format!("Stopping container {name}"),
            Some(Cause::Liveness) => format!("Container {name} failed liveness probe{then}"),
            Some(Cause::Startup) => format!("Container {name} failed startup probe{then}"),
            Some(Cause::Changed) => format!("Container {name} definition changed{then}"),
            Some(Cause::Resized) => format!("Container {name} resize requires restart{then}"),
            Some(Cause::PostStart) => "FailedPostStartHook".to_owned(),
        };
        self.context.events(&self.pod).member(member, Severity::Normal, "Killing", message);
    }

    async fn before_stop(&mut self, member: &Member<'_>, own: Instant) {
        let handler = member.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.clone());
        let Some(handler) = handler.filter(|_| !self.grace.is_zero()) else { return };
        let (sandbox, id) = (self.sandbox.clone(), self.id.clone());
        let target = hook::Target { sandbox: &sandbox, container: &member.container, id: &id };
        let done = tokio::select! {
            done = hook::run(&target, &handler) => done,
            () = self.out_of_time(own) => Ok(()),
            // Nobody is left whose wish it was.
            _ = sandbox.pod.wait(&id) => Ok(()),
        };
        if let Err(error) = done {
            self.context.events(&self.pod).member(member, Severity::Warning, "FailedPreStopHook", error);
        }
    }

    /// Once more if it is not known whether the shim heard it.
    async fn ask(&self) -> Result<(), oci::Error> {
        let signal = signal::number(self.signal.as_deref());
        match self.sandbox.pod.signal(&self.id, signal).await {
            Err(oci::Error::Interrupted | oci::Error::Silent(_)) => {
                self.sandbox.pod.signal(&self.id, signal).await
            }
            asked => asked,
        }
    }

    async fn out_of_time(&mut self, own: Instant) {
        loop {
            let until = self.deadline.borrow_and_update().map_or(own, |deadline| deadline.min(own));
            tokio::select! {
                () = sleep_until(until) => return,
                changed = self.deadline.changed() => if changed.is_err() { return sleep_until(until).await },
            }
        }
    }

    /// Until it is dead: a shim that dies over it is replaced, and asked again.
    async fn kill(&self) {
        let mut state = self.sandbox.pod.state();
        loop {
            let _may_have_ended = self.sandbox.pod.signal(&self.id, signal::KILL).await;
            tokio::select! {
                _ = self.sandbox.pod.wait(&self.id) => return,
                changed = state.changed() => if changed.is_err() { return },
            }
        }
    }
}
