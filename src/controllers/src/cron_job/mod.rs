//! CronJob: a Job at every moment of a schedule.
//!
//! The next moment is waited for by one timer per CronJob; nothing is asked in between, but for when the clock is set.

mod due;

use std::sync::Arc;
use std::time::Duration;

use api::cron::Schedule;
use client::{DeleteOptions, Error, Key, Queue, Severity, reference};
use futures_util::future::join4;
use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;

use self::due::Due;
use crate::context::Context;
use crate::feed::{feed, feed_by_clock};
use crate::owner;

const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// Timers may be early: a look before its time finds nothing due.
const SLACK: Duration = Duration::from_millis(100);

pub(crate) async fn run(context: Context) {
    let queue = Queue::default();
    let crons = feed(context.caches.of::<CronJob>(), queue.clone(), |cron: &CronJob| [Key::of(cron)]);
    let jobs = feed(context.caches.of::<Job>(), queue.clone(), |job: &Job| {
        owner::controller_key::<CronJob>(&job.metadata)
    });
    let clock = feed_by_clock(context.caches.of::<CronJob>(), queue.clone(), context.clock.clone());
    join4(crons, jobs, clock, queue.work("CronJob", |key| reconcile(&context, key))).await;
}

async fn reconcile(context: &Context, key: Key) -> Result<Option<Duration>, Error> {
    let (crons, jobs) = (context.caches.of::<CronJob>(), context.caches.of::<Job>());
    jobs.synced().await;
    let Some(cron) = crons.get(&key) else { return Ok(None) };
    let mut jobs = jobs.list_in(&key.namespace);
    jobs.retain(|job| owner::is_controlled_by(&job.metadata, &cron.metadata));
    let mut look = Look { context, cron: &cron, status: cron.status.clone().unwrap_or_default() };
    look.note_ended(&jobs);
    look.forget_history(&jobs).await?;
    let again = look.begin(&jobs).await;
    look.write_status().await?;
    again
}

/// One look at one CronJob.
struct Look<'a> {
    context: &'a Context,
    cron: &'a CronJob,
    status: CronJobStatus,
}

/// Whether a Job has ended, and how.
fn end(job: &Job) -> Option<&str> {
    let mut conditions = job.status.as_ref()?.conditions.iter().flatten();
    let ended =
        conditions.find(|it| it.status == "True" && matches!(it.type_.as_str(), "Complete" | "Failed"));
    ended.map(|condition| condition.type_.as_str())
}

fn name(job: &Job) -> &str {
    job.metadata.name.as_deref().unwrap_or_default()
}

impl Look<'_> {
    /// Keeps the list of active Jobs, and the time of the last success.
    fn note_ended(&mut self, jobs: &[Arc<Job>]) {
        for job in jobs {
            match (self.is_active(job), end(job)) {
                (false, None) => {
                    let message =
                        format!("Saw a job that the controller did not create or forgot: {}", name(job));
                    self.tell(Severity::Warning, "UnexpectedJob", message);
                }
                (true, Some(end)) => {
                    self.forget(job.metadata.uid.as_deref());
                    let message = format!("Saw completed job: {}, condition: {end}", name(job));
                    self.tell(Severity::Normal, "SawCompletedJob", message);
                }
                _ => {}
            }
            if end(job) == Some("Complete") {
                let ended = job.status.as_ref().and_then(|status| status.completion_time.clone());
                let last = self.status.last_successful_time.take();
                self.status.last_successful_time = last.max(ended);
            }
        }
        let there = |uid: Option<&str>| jobs.iter().any(|job| job.metadata.uid.as_deref() == uid);
        let active = self.status.active.clone().unwrap_or_default();
        for missing in active.iter().filter(|active| !there(active.uid.as_deref())) {
            let message = format!("Active job went missing: {}", missing.name.as_deref().unwrap_or_default());
            self.tell(Severity::Normal, "MissingJob", message);
            self.forget(missing.uid.as_deref());
        }
    }

    fn is_active(&self, job: &Job) -> bool {
        self.status.active.iter().flatten().any(|active| active.uid == job.metadata.uid)
    }

    fn forget(&mut self, uid: Option<&str>) {
        let active = self.status.active.get_or_insert_default();
        active.retain(|active| active.uid.as_deref() != uid);
        self.status.active.take_if(|active| active.is_empty());
    }

    /// Deletes the oldest Jobs that ended, beyond those that are to be kept.
    async fn forget_history(&mut self, jobs: &[Arc<Job>]) -> Result<(), Error> {
        let spec = &self.cron.spec;
        let limits =
            [("Complete", spec.successful_jobs_history_limit), ("Failed", spec.failed_jobs_history_limit)];
        for (kind, limit) in limits {
            let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) else { continue };
            let mut ended: Vec<_> = jobs.iter().filter(|job| end(job) == Some(kind)).collect();
            ended.sort_by_key(|job| {
                let started = job.status.as_ref().and_then(|status| status.start_time.as_ref());
                (started.map(|time| time.0), name(job).to_string())
            });
            let surplus = ended.len().saturating_sub(limit);
            for job in &ended[..surplus] {
                self.delete(job).await?;
            }
        }
        Ok(())
    }

    async fn delete(&mut self, job: &Job) -> Result<(), Error> {
        let mut options = DeleteOptions::of_uid(job.metadata.uid.clone().unwrap_or_default());
        options.propagation_policy = Some("Background".into());
        match self.context.client().delete::<Job>(&Key::of(job), &options).await {
            Ok(()) => self.tell(Severity::Normal, "SuccessfulDelete", format!("Deleted job {}", name(job))),
            Err(error) if error.is_not_found() || error.is_conflict() => {}
            Err(error) => {
                self.tell(Severity::Warning, "FailedDelete", format!("Deleted job: {error}"));
                return Err(error);
            }
        }
        self.forget(job.metadata.uid.as_deref());
        Ok(())
    }

    /// Begins the Job that is due, if any; when the next one will be.
    async fn begin(&mut self, jobs: &[Arc<Job>]) -> Result<Option<Duration>, Error> {
        let idle = self.cron.metadata.deletion_timestamp.is_some() || self.cron.spec.suspend == Some(true);
        let Some((schedule, zone)) = self.schedule().filter(|_| !idle) else { return Ok(None) };
        let now = Timestamp::now();
        let next = schedule.next(now, &zone);
        let again = next.and_then(|next| Duration::try_from(next.duration_since(now)).ok());
        let again = again.map(|wait| wait + SLACK);
        let Some(due) = due::due(self.cron, &schedule, &zone, now) else { return Ok(again) };
        if due.many_missed {
            let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            self.tell(Severity::Warning, "TooManyMissedTimes", message.into());
        }
        if self.may_begin(due, jobs).await? {
            self.create(due.at, &zone).await?;
        }
        Ok(again)
    }

    /// None if it makes no sense, which is told.
    fn schedule(&self) -> Option<(Schedule, TimeZone)> {
        let spec = &self.cron.spec;
        let schedule = match Schedule::parse(&spec.schedule) {
            Ok(schedule) => schedule,
            Err(error) => {
                let message = format!("unparseable schedule: {:?} : {error}", spec.schedule);
                self.tell(Severity::Warning, "UnparseableSchedule", message);
                return None;
            }
        };
        let Some(zone) = spec.time_zone.as_deref() else { return Some((schedule, TimeZone::system())) };
        match TimeZone::get(zone) {
            Ok(zone) => Some((schedule, zone)),
            Err(error) => {
                let message = format!("invalid timeZone: {zone:?}: {error}");
                self.tell(Severity::Warning, "UnknownTimeZone", message);
                None
            }
        }
    }

    async fn may_begin(&mut self, due: Due, jobs: &[Arc<Job>]) -> Result<bool, Error> {
        let begun = self.status.last_schedule_time.as_ref().is_some_and(|time| time.0 == due.at);
        let name = job_name(self.cron, due.at);
        let active = self.status.active.clone().unwrap_or_default();
        if begun || active.iter().any(|active| active.name.as_ref() == Some(&name)) {
            return Ok(false);
        }
        match self.cron.spec.concurrency_policy.as_deref() {
            Some("Forbid") if !active.is_empty() => {
                let message =
                    "Not starting job because prior execution is running and concurrency policy is Forbid";
                self.tell(Severity::Normal, "JobAlreadyActive", message.into());
                Ok(false)
            }
            Some("Replace") => {
                for active in active {
                    let job = jobs.iter().find(|job| job.metadata.uid == active.uid);
                    if let Some(job) = job {
                        self.delete(job).await?;
                    }
                }
                Ok(true)
            }
            _ => Ok(true),
        }
    }

    async fn create(&mut self, at: Timestamp, zone: &TimeZone) -> Result<(), Error> {
        let job = job(self.cron, at, zone);
        let made = match self.context.client().create(&job).await {
            Ok(made) => {
                self.tell(Severity::Normal, "SuccessfulCreate", format!("Created job {}", name(&made)));
                made
            }
            Err(error) if error.is_namespace_terminating() => return Ok(()),
            // Made before, and the status that said so was lost.
            Err(error) if error.is_already_exists() => {
                let there = self.context.client().get::<Job>(&Key::of(&job)).await?;
                if !owner::is_controlled_by(&there.metadata, &self.cron.metadata) {
                    return Err(error);
                }
                there
            }
            Err(error) => {
                self.tell(Severity::Warning, "FailedCreate", format!("Error creating job: {error}"));
                return Err(error);
            }
        };
        self.context.caches.of::<Job>().seen(&made.metadata).await;
        if end(&made).is_none() {
            self.status.active.get_or_insert_default().push(reference(&made));
        }
        self.status.last_schedule_time = Some(Time(at));
        Ok(())
    }

    async fn write_status(&self) -> Result<(), Error> {
        let status = Some(self.status.clone());
        if self.cron.status == status || self.cron.status.is_none() && self.status == CronJobStatus::default()
        {
            return Ok(());
        }
        self.context.write_status(&CronJob { status, ..self.cron.clone() }).await
    }

    fn tell(&self, severity: Severity, reason: &str, message: String) {
        self.context.recorder.event(self.cron, severity, reason, message);
    }
}

/// The same for the same moment: a Job that was made is not made again.
fn job_name(cron: &CronJob, at: Timestamp) -> String {
    format!("{}-{}", cron.metadata.name.as_deref().unwrap_or_default(), at.as_second().div_euclid(60))
}

fn job(cron: &CronJob, at: Timestamp, zone: &TimeZone) -> Job {
    let template = cron.spec.job_template.clone();
    let from = template.metadata.unwrap_or_default();
    let mut annotations = from.annotations.unwrap_or_default();
    annotations.insert(SCHEDULED.into(), rfc3339(at, zone));
    Job {
        metadata: ObjectMeta {
            name: Some(job_name(cron, at)),
            namespace: cron.metadata.namespace.clone(),
            labels: from.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![owner::reference(cron)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}

fn rfc3339(at: Timestamp, zone: &TimeZone) -> String {
    let local = at.to_zoned(zone.clone());
    if local.offset().is_zero() { at.to_string() } else { local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_by_the_minute_it_is_for() {
        let mut cron = CronJob::default();
        cron.metadata.name = Some("backup".into());
        let at: Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
        let job = job(&cron, at, &TimeZone::UTC);
        assert_eq!(name(&job), "backup-29539320");
        assert_eq!(job.metadata.annotations.unwrap()[SCHEDULED], "2026-03-01T10:00:00Z");
    }
}
