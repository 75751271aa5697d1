//! Job: pods that run until their work is done.
//!
//! ```text
//! run ─▶ reconcile ─▶ claim pods ─▶ Tally ─▶ early end? step? (pure) ─▶ make or delete ─▶ count what ended ─▶ status
//! ```
//!
//! Each look waits until the caches show what it did, so the next one never decides on the state before.

mod conditions;
mod decide;
mod indexes;
mod make;
mod orphans;
mod policy;
mod rules;
mod tally;
mod track;
pub(crate) mod ttl;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::selector::LabelSelector;
use client::{Error, Key, Queue, Severity};
use futures_util::future::{join_all, join4};
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use self::decide::{End, Step};
use self::tally::{Tally, count};
use crate::ages::Ages;
use crate::context::Context;
use crate::feed::feed;
use crate::work::side_by_side;
use crate::{make_pods, owner};

pub(crate) async fn run(context: Context) {
    let (queue, ages) = (Queue::default(), Ages::default());
    let jobs = context.caches.of::<Job>();
    let own = feed(jobs.clone(), queue.clone(), |job: &Job| [Key::of(job)]);
    let pods = feed(context.caches.of::<Pod>(), queue.clone(), move |pod: &Pod| {
        owner::concerned(&jobs, |job| job.spec.as_ref()?.selector.as_ref(), &pod.metadata)
    });
    let work = side_by_side(&queue, "Job", |key| reconcile(&context, &ages, key));
    join4(own, pods, orphans::run(&context), work).await;
}

async fn reconcile(context: &Context, ages: &Ages, key: Key) -> Result<Option<Duration>, Error> {
    let (jobs, pods) = (context.caches.of::<Job>(), context.caches.of::<Pod>());
    pods.synced().await;
    let job = jobs.get(&key);
    let ours = |job: &Job| !rules::is_foreign(job) && !rules::is_finished(job);
    let Some((job, spec)) =
        job.as_ref().filter(|job| ours(job)).and_then(|job| Some((job, job.spec.as_ref()?)))
    else {
        ages.forget(&key);
        return Ok(None);
    };
    let Ok(selector) = LabelSelector::of(spec.selector.as_ref()) else { return Ok(None) };
    // What is adopted is counted like what was made.
    let claimer = owner::Claimer::new(context.client(), &**job, &selector).with_finalizer(rules::FINALIZER);
    let pods = claimer.claim(pods.list_in(&key.namespace)).await?;
    let look = Look { context, ages, job, spec, now: Timestamp::now() };
    look.work(&pods).await
}

/// One look at one Job.
struct Look<'a> {
    context: &'a Context,
    ages: &'a Ages,
    job: &'a Job,
    spec: &'a JobSpec,
    now: Timestamp,
}

impl Look<'_> {
    async fn work(&self, pods: &[Arc<Pod>]) -> Result<Option<Duration>, Error> {
        let mut status = self.begun();
        let tally = Tally::of(self.spec, &status, pods);
        let left = self.left(&status);
        let mut end = decide::early_end(self.spec, &status, &tally, pods, left);
        let is_deleted = self.job.metadata.deletion_timestamp.is_some();
        let mut again = left.filter(|_| end.is_none());
        let acted = match &end {
            Some(_) => make_pods::delete(self.context, self.job, &tally.active).await,
            None if is_deleted => Ok(()),
            None => self.take_step(&tally, &mut again).await,
        };
        let pods = self.pods();
        let tally = Tally::of(self.spec, &status, &pods);
        // What could not be stopped yet may still end by itself.
        end = end.filter(|_| acted.is_ok()).or_else(|| decide::natural_end(self.spec, &tally));
        if end.is_none() && !is_deleted {
            self.note_suspension(&mut status);
        }
        self.track(status, end, &tally, &pods).await?;
        acted?;
        Ok(again)
    }

    /// The status of a Job that has been begun.
    fn begun(&self) -> JobStatus {
        let mut status = self.job.status.clone().unwrap_or_default();
        status.uncounted_terminated_pods.get_or_insert_with(UncountedTerminatedPods::default);
        if status.start_time.is_none() && !rules::is_suspended(self.spec) {
            status.start_time = Some(Time(self.now));
        }
        status
    }

    /// What is left of the time it may be active.
    fn left(&self, status: &JobStatus) -> Option<Duration> {
        let allowed = rules::deadline(self.spec)?;
        let began = status.start_time.as_ref()?.0;
        Some(allowed.saturating_sub(self.ages.since(&Key::of(self.job), began)))
    }

    async fn take_step(&self, tally: &Tally, again: &mut Option<Duration>) -> Result<(), Error> {
        match decide::step(self.spec, tally, &self.context.ages.of_pods()) {
            Step::Nothing => Ok(()),
            Step::Wait(wait) => {
                *again = again.iter().copied().chain([wait]).min();
                Ok(())
            }
            Step::Delete(pods) => {
                // They are deleted because they are too many, not because they failed: they are not counted.
                self.free(&pods).await?;
                make_pods::delete(self.context, self.job, &pods).await
            }
            Step::Create(indexes) => self.create(&indexes, tally).await,
        }
    }

    async fn create(&self, indexes: &[Option<i32>], tally: &Tally) -> Result<(), Error> {
        let pods: Vec<Pod> =
            indexes.iter().map(|index| make::pod(self.job, self.spec, *index, tally)).collect();
        let (created, result) = make_pods::create(self.context, self.job, pods.into_iter()).await;
        for pod in created {
            self.context.caches.of::<Pod>().seen(&pod.metadata).await;
        }
        result
    }

    /// The pods after what was done. None is missed: a pod that was not counted cannot go.
    fn pods(&self) -> Vec<Arc<Pod>> {
        let cache = self.context.caches.of::<Pod>();
        let mut pods = cache.list_in(self.job.metadata.namespace.as_deref().unwrap_or_default());
        pods.retain(|pod| owner::is_controlled_by(&pod.metadata, &self.job.metadata));
        pods
    }

    fn note_suspension(&self, status: &mut JobStatus) {
        let suspended = rules::is_suspended(self.spec);
        if !conditions::suspend(status, suspended, self.now) {
            return;
        }
        if suspended {
            self.tell(Severity::Normal, "Suspended", "Job suspended");
        } else {
            // Its deadline runs from here.
            status.start_time = Some(Time(self.now));
            self.tell(Severity::Normal, "Resumed", "Job resumed");
        }
    }

    /// Writes what is new, frees the pods that ended, counts them, and ends the Job when nothing is left to count.
    async fn track(
        &self,
        mut status: JobStatus,
        end: Option<End>,
        tally: &Tally,
        pods: &[Arc<Pod>],
    ) -> Result<(), Error> {
        status.active = Some(count(tally.active.len())).filter(|active| *active > 0);
        status.ready = Some(tally.ready);
        status.terminating = Some(tally.terminating);
        let mut tracked: BTreeSet<String> = pods
            .iter()
            .filter(|pod| rules::is_tracked(pod))
            .filter_map(|pod| pod.metadata.uid.clone())
            .collect();
        track::count_freed(&mut status, &tracked);
        let is_deleted = self.job.metadata.deletion_timestamp.is_some();
        let ended = track::note_ended(&mut status, self.spec, is_deleted, end.as_ref(), tally, pods);
        if let Some(end) = &end {
            conditions::announce(&mut status, end, self.now);
        }
        let written = self.write(self.job, status).await?;
        self.free(&ended.pods).await?;
        ended.pods.iter().filter_map(|pod| pod.metadata.uid.as_ref()).for_each(|uid| {
            tracked.remove(uid);
        });
        let mut status = written.status.clone().unwrap_or_default();
        track::count_freed(&mut status, &tracked);
        let end = end.filter(|_| !ended.more && tally.terminating == 0 && !track::has_uncounted(&status));
        if let Some(end) = &end {
            conditions::finish(&mut status, end, self.now);
        }
        self.write(&written, status).await?;
        if let Some(end) = end {
            self.tell_end(&end);
        }
        Ok(())
    }

    /// Lets pods go that have been noted, and waits until the cache shows it.
    async fn free(&self, pods: &[Arc<Pod>]) -> Result<(), Error> {
        let freed = join_all(pods.iter().map(|pod| orphans::free(self.context, pod))).await;
        freed.into_iter().collect()
    }

    async fn write(&self, job: &Job, status: JobStatus) -> Result<Job, Error> {
        let updated = Job { status: Some(status), ..job.clone() };
        if updated.status == job.status {
            return Ok(updated);
        }
        let written = self.context.client().update_status(&updated).await?;
        self.context.caches.of::<Job>().seen(&written.metadata).await;
        Ok(written)
    }

    fn tell_end(&self, end: &End) {
        let completions = self.spec.completions;
        let too_many = |job: &Job| {
            let succeeded = job.status.as_ref().and_then(|status| status.succeeded).unwrap_or_default();
            completions.is_some_and(|completions| succeeded > completions)
        };
        if !end.success {
            return self.tell(Severity::Warning, &end.reason, &end.message);
        }
        if self.context.caches.of::<Job>().get(&Key::of(self.job)).is_some_and(|job| too_many(&job)) {
            let message = "Too many succeeded pods running after completion count reached";
            self.tell(Severity::Warning, "TooManySucceededPods", message);
        }
        self.tell(Severity::Normal, "Completed", "Job completed");
    }

    fn tell(&self, severity: Severity, reason: &str, message: &str) {
        self.context.recorder.event(self.job, severity, reason, message);
    }
}
