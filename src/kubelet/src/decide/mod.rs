//! What to do next for one pod: a pure function over what is known of it.
//!
//! ```text
//! no sandbox ──▶ make one ──▶ init containers in order ──▶ main containers ──▶ restarts, probes' verdicts
//!                                  (sidecars stay)                                   │ nothing left to run, deadline, deletion
//!                                                     stop main, then sidecars from the last ◀──┘──▶ finished
//! ```
//!
//! The plan names only what can begin now. Whoever carries it out marks containers as busy, and asks again when anything
//! has changed or at `wake`.

mod restart;
#[cfg(test)]
mod tests;

use std::time::Duration;

use k8s_openapi::api::core::v1::PodSpec;
use tokio::time::Instant;

use crate::member::{Kind, Member, members};
use crate::record::{Cause, Record, Records};

pub(crate) use restart::{restarts, restarts_after};

/// Failures are told as they are for so long, then as what is being waited for.
const ANNOUNCE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sandbox {
    None,
    /// Being made or made sure of, or that failed and must wait.
    Busy,
    Ready,
}

#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) spec: &'a PodSpec,
    pub(crate) records: &'a Records,
    pub(crate) sandbox: Sandbox,
    /// The pod as a whole must end: it is deleted, evicted, out of time or was never admitted.
    pub(crate) ending: bool,
    pub(crate) now: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    MakeSandbox,
    Start(String),
    /// Stop one container. Without a cause it is because the pod ends.
    Stop(String, Option<Cause>),
    /// It waits for its next start: time to say so.
    Hold(String, Hold),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It ended and is left alone for so long.
    Crashed(Duration),
    /// Its last start failed.
    Failed,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) actions: Vec<Action>,
    /// When to decide again though nothing happened.
    pub(crate) wake: Option<Instant>,
    /// Nothing runs and nothing will: what is left of the pod can be cleared away.
    pub(crate) finished: bool,
}

pub(crate) fn decide(view: &View<'_>) -> Plan {
    let mut plan = Plan::default();
    if view.ending || is_done(view) {
        view.end(&mut plan);
        return plan;
    }
    match view.sandbox {
        Sandbox::None => plan.actions.push(Action::MakeSandbox),
        Sandbox::Busy => {}
        Sandbox::Ready => view.run(&mut plan),
    }
    plan
}

/// Whether the pod is over by itself: its main containers ended for good, or it cannot be initialised.
fn is_done(view: &View<'_>) -> bool {
    let over = |member: &Member<'_>| {
        let ended = view.record(member).and_then(Record::ended);
        ended.is_some_and(|end| !restarts(view.spec, member, end))
    };
    let mut mains = view.members(Kind::Main).peekable();
    if mains.peek().is_some() && mains.all(|member| over(&member)) {
        return true;
    }
    let failed = |member: &Member<'_>| {
        let code = view.record(member).and_then(Record::ended).map(|end| end.code);
        code.is_some_and(|code| code != 0)
    };
    !view.has_begun_main() && view.members(Kind::Init).any(|member| failed(&member) && over(&member))
}

impl View<'_> {
    fn record(&self, member: &Member<'_>) -> Option<&Record> {
        self.records.get(member.name())
    }

    fn members(&self, kind: Kind) -> impl Iterator<Item = Member<'_>> {
        members(self.spec).filter(move |member| member.kind == kind)
    }

    /// A pod whose main containers have ever begun is initialised for as long as its sandbox lives.
    fn has_begun_main(&self) -> bool {
        self.members(Kind::Main).any(|member| self.has_begun(&member))
    }

    fn has_begun(&self, member: &Member<'_>) -> bool {
        self.record(member).is_some_and(Record::has_begun)
    }

    fn run(&self, plan: &mut Plan) {
        self.stop_condemned(plan);
        for member in self.members(Kind::Ephemeral) {
            self.keep_up(&member, plan);
        }
        if self.initialise(plan) {
            for member in self.members(Kind::Main) {
                self.keep_up(&member, plan);
            }
        }
    }

    fn stop_condemned(&self, plan: &mut Plan) {
        for (name, record) in self.records {
            let condemned = record.running().and_then(|running| running.condemned);
            if let (Some(cause), None) = (condemned, record.busy) {
                plan.actions.push(Action::Stop(name.clone(), Some(cause)));
            }
        }
    }

    /// Brings the init containers forward; whether the main ones may run.
    fn initialise(&self, plan: &mut Plan) -> bool {
        let begun_main = self.has_begun_main();
        let init: Vec<_> =
            members(self.spec).filter(|member| matches!(member.kind, Kind::Init | Kind::Sidecar)).collect();
        for (position, member) in init.iter().enumerate() {
            let passed = begun_main || init[position + 1..].iter().any(|later| self.has_begun(later));
            if member.kind == Kind::Sidecar || !passed {
                self.keep_up(member, plan);
            }
            // One that a later one has followed need not be waited for again.
            if !passed && !self.lets_next_begin(member) {
                return false;
            }
        }
        true
    }

    fn lets_next_begin(&self, member: &Member<'_>) -> bool {
        let Some(record) = self.record(member) else { return false };
        match member.kind {
            Kind::Sidecar => record.running().is_some_and(|running| running.started) && record.busy.is_none(),
            _ => record.busy.is_none() && record.ended().is_some_and(|end| end.code == 0),
        }
    }

    /// Starts a container that should run and does not.
    fn keep_up(&self, member: &Member<'_>, plan: &mut Plan) {
        let fresh = Record::default();
        let record = self.record(member).unwrap_or(&fresh);
        if record.is_alive() || self.is_held(member.name(), record, plan) {
            return;
        }
        let Some(end) = record.ended() else {
            plan.actions.push(Action::Start(member.name().to_owned()));
            return;
        };
        if !restarts(self.spec, member, end) {
            return;
        }
        match record.crash.after(end.seen) {
            Some((delay, until)) if until > self.now => {
                let hold = Action::Hold(member.name().to_owned(), Hold::Crashed(delay));
                self.hold(hold, end.seen, until, plan);
            }
            _ => plan.actions.push(Action::Start(member.name().to_owned())),
        }
    }

    fn is_held(&self, name: &str, record: &Record, plan: &mut Plan) -> bool {
        let Some(retry) = record.retry.as_ref().filter(|retry| retry.until > self.now) else { return false };
        self.hold(Action::Hold(name.to_owned(), Hold::Failed), retry.since, retry.until, plan);
        true
    }

    fn hold(&self, hold: Action, since: Instant, until: Instant, plan: &mut Plan) {
        let announced = (since + ANNOUNCE).min(until);
        if announced <= self.now {
            plan.actions.push(hold);
            plan.wake_at(until);
        } else {
            plan.wake_at(announced);
        }
    }

    /// Stops what lives: first all but the sidecars, then those from the last to the first.
    fn end(&self, plan: &mut Plan) {
        let alive = |member: &Member<'_>| self.record(member).is_some_and(Record::is_alive);
        let (sidecars, others): (Vec<_>, Vec<_>) = members(self.spec)
            .filter(|member| alive(member))
            .partition(|member| member.kind == Kind::Sidecar);
        let now =
            if others.is_empty() { sidecars.last().into_iter().collect() } else { others.iter().collect() };
        let idle = |member: &&Member<'_>| self.record(member).is_some_and(|record| record.busy.is_none());
        let stops =
            Vec::into_iter(now).filter(idle).map(|member| Action::Stop(member.name().to_owned(), None));
        plan.actions.extend(stops);
        plan.finished = others.is_empty() && sidecars.is_empty();
    }
}

impl Plan {
    fn wake_at(&mut self, instant: Instant) {
        self.wake = Some(self.wake.map_or(instant, |wake| wake.min(instant)));
    }
}
