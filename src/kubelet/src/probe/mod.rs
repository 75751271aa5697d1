//! Probes: whether a container has started, lives, and is ready.
//!
//! One task for each probe of a running container. It tells its worker when its verdict turns; what fails for good (liveness,
//! startup) is told once, as the container is stopped then. Liveness and readiness wait for the startup probe. While a
//! container ends only its readiness is still of interest: whoever sends it requests must learn that it takes no more.

mod check;
mod grpc;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use client::Severity;
use k8s_openapi::api::core::v1::{Pod, Probe};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::context::Context;
use crate::hook::Target;
use crate::member::{Member, member};
use crate::record::id;
use crate::sandbox::Ready;

use self::check::Outcome;
use self::tally::Tally;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Startup,
    Liveness,
    Readiness,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }

    fn of<'a>(self, member: &'a Member<'_>) -> Option<&'a Probe> {
        let container = &member.container;
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
        }
    }
}

/// The verdict of a probe turned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Probed {
    pub(crate) name: String,
    pub(crate) attempt: u32,
    pub(crate) kind: Kind,
    pub(crate) good: bool,
}

/// A running container to be probed.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) context: Arc<Context>,
    pub(crate) pod: Arc<Pod>,
    pub(crate) name: String,
    pub(crate) attempt: u32,
    pub(crate) sandbox: Ready,
    /// When it began to run.
    pub(crate) since: Instant,
    /// What is held of it now.
    pub(crate) started: bool,
    pub(crate) ready: bool,
}

/// The probes of one container; dropping them ends them.
#[derive(Debug)]
pub(crate) struct Probes {
    attempt: u32,
    started: watch::Sender<bool>,
    /// All but readiness.
    vital: Vec<AbortHandle>,
    _tasks: JoinSet<()>,
}

impl Probes {
    pub(crate) fn start(subject: &Subject, news: &mpsc::Sender<Probed>) -> Self {
        let started = watch::Sender::new(subject.started);
        let (mut tasks, mut vital) = (JoinSet::new(), Vec::new());
        let spec = subject.pod.spec.as_ref();
        if let Some(member) = spec.and_then(|spec| member(spec, &subject.name)) {
            for kind in [Kind::Startup, Kind::Liveness, Kind::Readiness] {
                let over = kind == Kind::Startup && subject.started;
                if let Some(probe) = kind.of(&member).filter(|_| !over) {
                    let prober = Prober {
                        subject: subject.clone(),
                        kind,
                        probe: probe.clone(),
                        started: started.subscribe(),
                        news: news.clone(),
                    };
                    let task = tasks.spawn(prober.run());
                    vital.extend(Some(task).filter(|_| kind != Kind::Readiness));
                }
            }
        }
        Self { attempt: subject.attempt, started, vital, _tasks: tasks }
    }

    pub(crate) fn are_of(&self, attempt: u32) -> bool {
        self.attempt == attempt
    }

    /// The container is being stopped.
    pub(crate) fn is_ending(&self) {
        self.vital.iter().for_each(AbortHandle::abort);
    }

    /// The container has started: the others begin.
    pub(crate) fn has_started(&self) {
        self.started.send_replace(true);
    }
}

struct Prober {
    subject: Subject,
    kind: Kind,
    probe: Probe,
    started: watch::Receiver<bool>,
    news: mpsc::Sender<Probed>,
}

/// A probe that cannot be made, as opposed to one that fails, is tried so often at once.
const TRIES: usize = 3;

impl Prober {
    async fn run(mut self) {
        if self.kind != Kind::Startup && self.started.wait_for(|started| *started).await.is_err() {
            return;
        }
        sleep_until(self.subject.since + seconds(self.probe.initial_delay_seconds, 0)).await;
        let period = seconds(self.probe.period_seconds, 10).max(Duration::from_secs(1));
        let mut tick = interval_at(Instant::now(), period);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tally = Tally::new(&self.probe, self.held());
        loop {
            tick.tick().await;
            let Some(good) = self.probe_once().await else { continue };
            let Some(verdict) = tally.count(good) else { continue };
            let is_last = match self.kind {
                Kind::Startup => true,
                Kind::Liveness => !verdict,
                Kind::Readiness => false,
            };
            if !self.tell(verdict).await || is_last {
                return;
            }
        }
    }

    /// What is taken for true as long as nothing is known.
    fn held(&self) -> Option<bool> {
        match self.kind {
            Kind::Startup => None,
            Kind::Liveness => Some(true),
            Kind::Readiness => Some(self.subject.ready),
        }
    }

    async fn probe_once(&self) -> Option<bool> {
        let member = self.subject.pod.spec.as_ref().and_then(|spec| member(spec, &self.subject.name))?;
        let id = id(&self.subject.name, self.subject.attempt);
        let target = Target { sandbox: &self.subject.sandbox, container: &member.container, id: &id };
        let patience = seconds(self.probe.timeout_seconds, 1).max(Duration::from_secs(1));
        let mut outcome = Outcome::Unknown(String::new());
        for _ in 0..TRIES {
            outcome = Box::pin(check::check(&target, &self.probe, patience)).await;
            if !matches!(outcome, Outcome::Unknown(_)) {
                break;
            }
        }
        let kind = self.kind.name();
        let (good, reason, message) = match outcome {
            Outcome::Good => return Some(true),
            Outcome::Doubtful(output) => {
                (Some(true), "ProbeWarning", format!("{kind} probe warning: {output}"))
            }
            Outcome::Bad(output) => (Some(false), "Unhealthy", format!("{kind} probe failed: {output}")),
            Outcome::Unknown(error) => {
                (None, "Unhealthy", format!("{kind} probe errored and resulted in unknown state: {error}"))
            }
        };
        let events = self.subject.context.events(&self.subject.pod);
        events.member(&member, Severity::Warning, reason, message);
        good
    }

    /// Whether anybody listens.
    async fn tell(&self, good: bool) -> bool {
        let Subject { name, attempt, .. } = &self.subject;
        let probed = Probed { name: name.clone(), attempt: *attempt, kind: self.kind, good };
        self.news.send(probed).await.is_ok()
    }
}

fn seconds(given: Option<i32>, usual: u32) -> Duration {
    let given = given.map_or(usual, |given| u32::try_from(given).unwrap_or(0));
    Duration::from_secs(given.into())
}
