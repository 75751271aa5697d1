//! What came of the jobs.

use std::time::Duration;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::jiff::Timestamp;
use oci::cgroup::Limits;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::failure::{Failure, Then};
use crate::record::{Cause, Ended, Retry, Used, Waiting};
use crate::sandbox::{self, Ready};
use crate::saved::{self, Mark};
use crate::status::StatusText;

use super::{Stage, Worker};

/// How a job ended.
#[derive(Debug)]
pub(super) enum Done {
    Sandbox(Result<Ready, sandbox::Error>),
    /// Of that attempt.
    Started(String, u32, Result<Used, Failure>),
    /// Whether the container may go on.
    Hooked(String, bool),
    Stopped(String),
    /// The containers with the amounts they were to have, and what the pod as a whole is limited to.
    Resized(Vec<(String, Option<ResourceRequirements>)>, Result<Option<Limits>, String>),
    Unmounted,
    Saved(Mark, Result<(), saved::Error>),
    Cleared(bool),
    Emptied(bool),
    Told(StatusText, Result<(), client::Error>),
    Deleted(Result<(), client::Error>),
}

/// How soon to look again for what was missing.
const AGAIN: Duration = Duration::from_secs(10);
/// The exit code of a container that could not be started.
const NOT_STARTED: i32 = 128;

impl Worker {
    pub(super) fn done(&mut self, done: Done) {
        tracing::debug!(pod = self.uid, ?done, "done");
        match done {
            Done::Sandbox(made) => self.sandbox_made(made),
            Done::Started(name, attempt, result) => self.started(&name, attempt, result),
            Done::Hooked(name, good) => self.hooked(&name, good),
            Done::Stopped(name) => {
                if let Some(record) = self.records.get_mut(&name) {
                    record.busy = None;
                }
            }
            Done::Resized(containers, changed) => self.resized(containers, changed),
            Done::Unmounted => {}
            Done::Saved(mark, written) => self.saved(mark, written),
            Done::Cleared(done) => self.cleared(done, Stage::Cleared),
            Done::Emptied(done) => self.cleared(done, Stage::Empty),
            Done::Told(text, result) => self.status_told(text, result),
            Done::Deleted(result) => self.deleted(result),
        }
    }

    fn cleared(&mut self, done: bool, next: Stage) {
        self.clearing = false;
        if done {
            self.stage = next;
        } else {
            self.try_later();
        }
    }

    fn started(&mut self, name: &str, attempt: u32, result: Result<Used, Failure>) {
        let Some(record) = self.records.get_mut(name) else { return };
        record.busy = None;
        match result {
            Ok(used) => {
                record.attempt = Some(attempt);
                record.used = Some(used);
                record.waiting = None;
                record.pull = Backoff::default();
                self.after_start(name);
            }
            Err(failure) => self.failed(name, attempt, failure),
        }
    }

    fn hooked(&mut self, name: &str, good: bool) {
        let Some(record) = self.records.get_mut(name) else { return };
        record.busy = None;
        if let Some(running) = record.running_mut().filter(|_| !good) {
            running.condemned = Some(Cause::PostStart);
        }
    }

    fn failed(&mut self, name: &str, attempt: u32, failure: Failure) {
        let image = self.image_of(name);
        let Some(record) = self.records.get_mut(name) else { return };
        let now = Instant::now();
        let waiting = Waiting { reason: failure.reason, message: failure.message };
        let (until, told) = match failure.then {
            Then::Nothing => return,
            Then::Ended => {
                record.attempt = Some(attempt);
                record.end(not_started(attempt, &waiting.message));
                record.waiting = Some(waiting);
                return;
            }
            Then::Again => (now + AGAIN, None),
            Then::PullLater => {
                record.pull.count(now);
                let told = (waiting.reason == "ErrImagePull").then(|| Waiting {
                    reason: "ImagePullBackOff",
                    message: format!(
                        "Back-off pulling image \"{image}\": {}: {}",
                        waiting.reason, waiting.message
                    ),
                });
                (record.pull.until().unwrap_or(now), told)
            }
        };
        record.retry = Some(Retry { since: now, until, told });
        record.waiting = Some(waiting);
    }

    fn image_of(&self, name: &str) -> String {
        let spec = self.pod.spec.as_ref();
        let member = spec.and_then(|spec| crate::member::member(spec, name));
        member.and_then(|member| member.container.image.clone()).unwrap_or_default()
    }
}

fn not_started(attempt: u32, message: &str) -> Ended {
    Ended {
        attempt,
        code: NOT_STARTED,
        signal: None,
        reason: "StartError".to_owned(),
        message: message.to_owned(),
        cause: None,
        started: Some(Timestamp::UNIX_EPOCH),
        finished: Timestamp::now(),
        seen: Instant::now(),
    }
}
