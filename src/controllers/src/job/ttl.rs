//! Jobs that ended go some time later, if they say so.

use std::time::Duration;

use client::{DeleteOptions, Error, Key, Queue};
use futures_util::future::join;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::Timestamp;

use super::rules;
use crate::context::Context;
use crate::feed::feed;

pub(crate) async fn run(context: Context) {
    let queue = Queue::default();
    let jobs = feed(context.caches.of::<Job>(), queue.clone(), |job: &Job| {
        left(job, Timestamp::now()).map(|_| Key::of(job))
    });
    join(jobs, queue.work("TTL of Jobs", |key| reconcile(&context, key))).await;
}

async fn reconcile(context: &Context, key: Key) -> Result<Option<Duration>, Error> {
    let Some(job) = context.caches.of::<Job>().get(&key) else { return Ok(None) };
    match left(&job, Timestamp::now()) {
        None => Ok(None),
        Some(left) if !left.is_zero() => Ok(Some(left)),
        Some(_) => {
            let mut options = DeleteOptions::of_uid(job.metadata.uid.clone().unwrap_or_default());
            options.propagation_policy = Some("Foreground".into());
            match context.client().delete::<Job>(&key, &options).await {
                Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
                _ => Ok(None),
            }
        }
    }
}

/// What is left of the life of a Job that has ended.
fn left(job: &Job, now: Timestamp) -> Option<Duration> {
    let lives = job.spec.as_ref()?.ttl_seconds_after_finished?;
    let ended = rules::finished(job).filter(|_| job.metadata.deletion_timestamp.is_none())?;
    let passed = Duration::try_from(now.duration_since(ended)).unwrap_or_default();
    Some(Duration::from_secs(u64::try_from(lives).unwrap_or_default()).saturating_sub(passed))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::{JobCondition, JobSpec, JobStatus};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    #[test]
    fn a_life_after_the_end_is_counted_from_it() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let condition = JobCondition {
            type_: "Complete".into(),
            status: "True".into(),
            last_transition_time: Some(Time(at(100))),
            ..JobCondition::default()
        };
        let mut job = Job {
            spec: Some(JobSpec { ttl_seconds_after_finished: Some(30), ..JobSpec::default() }),
            status: Some(JobStatus { conditions: Some(vec![condition]), ..JobStatus::default() }),
            ..Job::default()
        };
        assert_eq!(left(&job, at(110)), Some(Duration::from_secs(20)));
        assert_eq!(left(&job, at(500)), Some(Duration::ZERO));
        job.status = None;
        assert_eq!(left(&job, at(500)), None);
    }
}
