//! One pod's worker: it alone acts on the pod, from the first look to the last trace.
//!
//! What takes time runs beside it as jobs, at most one per container and one for the pod as a whole; their results come back as
//! messages. So the worker itself never waits for anything but news: a deletion is seen while an image is being pulled.
//!
//! ```text
//! wait for news ──▶ observe (shim's state → records) ──▶ decide ──▶ act (spawn jobs) ──▶ tell (status, if it changed)
//!       ▲                                                                                        │
//!       └────────────────────────────────────────────────────────────────────────────────────────┘
//! ```

mod act;
mod begin;
mod clear;
mod done;
mod home;
mod keep;
mod observe;
mod probe;
mod resize;
mod start;
mod stop;
mod tell;

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};
use k8s_openapi::jiff::Timestamp;
use oci::PodState;
use task::{Stopwatch, deadline};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::context::Context;
use crate::decide::{self, View, decide};
use crate::probe::{Probed, Probes};
use crate::record::Records;
use crate::status::{self, Verdict};

use self::done::Done;
use self::home::Home;
use self::keep::Kept;
use self::resize::Resizing;
use self::tell::Telling;

/// What the API says of a pod.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) pod: Arc<Pod>,
    /// Its object is there no more.
    pub(crate) gone: bool,
    /// This node does not take it.
    pub(crate) rejected: Option<Verdict>,
    /// Known from the disk only: no server has told of it since the start.
    pub(crate) from_disk: bool,
}

/// How far the end of a pod has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Alive,
    /// Its sandbox, links and roots are being removed.
    Clearing,
    /// They are gone; its last status must be told before its files go.
    Cleared,
    /// Its volumes and all its files are being removed.
    Emptying,
    Empty,
    /// Its object is being removed.
    Deleting,
    Over,
}

pub(crate) struct Worker {
    context: Arc<Context>,
    wanted: watch::Receiver<Wanted>,
    pod: Arc<Pod>,
    gone: bool,
    /// The version of the object that was looked at last.
    seen: Option<String>,
    uid: String,
    records: Records,
    home: Home,
    stage: Stage,
    verdict: Option<Verdict>,
    rejected: bool,
    /// What is told of it at last; it changes no more.
    last: Option<PodStatus>,
    /// A job is taking it away.
    clearing: bool,
    start_time: Timestamp,
    age: Stopwatch,
    /// When all of it must have ended, once it is ending.
    deadline: watch::Sender<Option<Instant>>,
    probes: BTreeMap<String, Probes>,
    news: (mpsc::Sender<Probed>, mpsc::Receiver<Probed>),
    jobs: JoinSet<Done>,
    telling: Telling,
    kept: Kept,
    resizing: Resizing,
}

/// Verdicts of probes that may wait: a prober waits when there are more.
const NEWS: usize = 8;

impl Worker {
    pub(crate) fn new(context: Arc<Context>, mut wanted: watch::Receiver<Wanted>) -> Self {
        let Wanted { pod, gone, rejected, from_disk } = wanted.borrow_and_update().clone();
        let before = pod.status.clone();
        // What the server knows of a pod on disk nobody can say.
        let told = before.as_ref().filter(|_| !from_disk).and_then(|status| status::text(status).ok());
        let told = told.unwrap_or_default();
        let began = before.as_ref().and_then(|status| status.start_time.as_ref());
        let start_time = began.map_or_else(Timestamp::now, |time| time.0);
        let resizing = Resizing::new(context.room.subscribe());
        Self {
            context,
            wanted,
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            seen: pod.metadata.resource_version.clone(),
            pod,
            gone,
            records: Records::new(),
            home: Home::new(),
            stage: Stage::Alive,
            rejected: rejected.is_some(),
            verdict: rejected,
            last: None,
            clearing: false,
            start_time,
            age: Stopwatch::since(start_time.into()),
            deadline: watch::Sender::new(None),
            probes: BTreeMap::new(),
            news: mpsc::channel(NEWS),
            jobs: JoinSet::new(),
            telling: Telling::new(told, before),
            kept: Kept::default(),
            resizing,
        }
    }

    /// Until nothing is left to do for the pod. Dropping it leaves the pod's containers as they are.
    /// Gives the version of the object that it saw last.
    pub(crate) async fn run(mut self) -> Option<String> {
        self.begin();
        while self.stage != Stage::Over {
            self.observe();
            let wake = self.step();
            self.tell();
            self.end_step();
            if self.stage != Stage::Over {
                self.news(wake).await;
            }
        }
        self.seen
    }

    fn spec(&self) -> Arc<Pod> {
        Arc::clone(&self.pod)
    }

    /// Decides and acts; when to look again though nothing happened.
    fn step(&mut self) -> Option<Instant> {
        let late = self.watch_the_clock();
        if self.stage != Stage::Alive {
            return None;
        }
        self.note_the_end();
        let pod = self.spec();
        let usual = PodSpec::default();
        let spec = pod.spec.as_ref().unwrap_or(&usual);
        let now = Instant::now();
        let (sandbox, retry) = self.look_home(now);
        let resize = if sandbox == decide::Sandbox::Ready { self.resize(spec, now) } else { None };
        // Who starts meanwhile might not fit into what the pod may use.
        let sandbox = if self.resizing.under_way { decide::Sandbox::Busy } else { sandbox };
        let view = View { spec, records: &self.records, sandbox, ending: self.is_ending(), now };
        let plan = decide(&view);
        for action in plan.actions {
            self.act(spec, action);
        }
        if plan.finished && !self.home.is_being_made() {
            self.stage = Stage::Clearing;
            self.finish();
        }
        [plan.wake, retry, late, resize].into_iter().flatten().min()
    }

    fn is_ending(&self) -> bool {
        self.is_deleted() || self.verdict.is_some()
    }

    fn is_deleted(&self) -> bool {
        self.gone || self.pod.metadata.deletion_timestamp.is_some()
    }

    /// Ends a pod that has run for too long; until then, when that will be.
    fn watch_the_clock(&mut self) -> Option<Instant> {
        let limit = self.pod.spec.as_ref().and_then(|spec| spec.active_deadline_seconds)?;
        if self.verdict.is_some() || self.stage != Stage::Alive {
            return None;
        }
        let limit = Duration::from_secs(u64::try_from(limit).unwrap_or(0));
        let left = limit.saturating_sub(self.age.elapsed());
        if !left.is_zero() {
            return Some(deadline(left));
        }
        let message = "Pod was active on the node longer than the specified deadline";
        self.verdict = Some(Verdict { reason: "DeadlineExceeded".to_owned(), message: message.to_owned() });
        let events = self.context.events(&self.pod);
        events.pod(client::Severity::Normal, "DeadlineExceeded", message);
        None
    }

    /// Fixes by when the pod must be gone. A later word may only bring it nearer.
    fn note_the_end(&mut self) {
        if !self.is_ending() {
            return;
        }
        let until = deadline(self.grace());
        self.deadline.send_if_modified(|deadline| {
            let nearer = deadline.is_none_or(|known| until < known);
            if nearer {
                *deadline = Some(until);
            }
            nearer
        });
    }

    fn grace(&self) -> Duration {
        // Zero is the word of who removed the object by force; the containers are not to blame.
        let asked = self.pod.metadata.deletion_grace_period_seconds.filter(|seconds| *seconds > 0);
        let usual = self.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
        let seconds = asked.filter(|_| self.is_deleted()).or(usual).unwrap_or(30);
        // Nobody is killed without a word.
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0).max(1))
    }

    /// Waits for the next thing that matters, and notes it.
    async fn news(&mut self, wake: Option<Instant>) {
        let wake = [wake, self.telling.after].into_iter().flatten().min();
        let clock = async {
            match wake {
                Some(wake) => sleep_until(wake).await,
                None => pending().await,
            }
        };
        tokio::select! {
            changed = self.wanted.changed() => match changed {
                Ok(()) => self.look(),
                // Nobody speaks for the API any more: the agent is ending, and this worker with it.
                Err(_) => pending().await,
            },
            () = state_changed(&mut self.home.state) => {}
            Some(done) = self.jobs.join_next() => match done {
                Ok(done) => self.done(done),
                Err(error) => if error.is_panic() { std::panic::resume_unwind(error.into_panic()) },
            },
            Some(probed) = self.news.1.recv() => self.probed(&probed),
            // It is looked at again.
            Ok(()) = self.resizing.room.changed(), if self.resizing.waits_for_room() => {}
            () = clock => {}
        }
    }
}

async fn state_changed(state: &mut Option<watch::Receiver<PodState>>) {
    if let Some(receiver) = state
        && receiver.changed().await.is_ok()
    {
        return;
    }
    // It says nothing any more, or there is nothing to say it.
    *state = None;
    pending::<()>().await;
}
