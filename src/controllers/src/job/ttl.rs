//! Jobs that ended go some time later, if they say so.

use std::time::Duration;

use client::{DeleteOptions, Error, Key, Queue};
use futures_util::future::join;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::Timestamp;

use super::rules;
use crate::ages::Ages;
use crate::context::Context;
use crate::feed::feed;

pub(crate) async fn run(context: Context) {
    let (queue, ages) = (Queue::default(), Ages::default());
    let jobs = feed(context.caches.of::<Job>(), queue.clone(), |job: &Job| {
        job.spec.as_ref()?.ttl_seconds_after_finished.map(|_| Key::of(job))
    });
    join(jobs, queue.work("TTL of Jobs", |key| reconcile(&context, &ages, key))).await;
}

async fn reconcile(context: &Context, ages: &Ages, key: Key) -> Result<Option<Duration>, Error> {
    let job = context.caches.of::<Job>().get(&key);
    let Some((job, (life, ended))) = job.as_ref().and_then(|job| Some((job, life(job)?))) else {
        ages.forget(&key);
        return Ok(None);
    };
    let left = life.saturating_sub(ages.since(&key, ended));
    if !left.is_zero() {
        return Ok(Some(left));
    }
    let mut options = DeleteOptions::of_uid(job.metadata.uid.clone().unwrap_or_default());
    options.propagation_policy = Some("Foreground".into());
    match context.client().delete::<Job>(&key, &options).await {
        Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
        _ => Ok(None),
    }
}

/// How long a Job that has ended stays, and since when it counts.
fn life(job: &Job) -> Option<(Duration, Timestamp)> {
    let seconds = job.spec.as_ref()?.ttl_seconds_after_finished?;
    let ended = rules::finished(job).filter(|_| job.metadata.deletion_timestamp.is_none())?;
    Some((Duration::from_secs(u64::try_from(seconds).unwrap_or_default()), ended))
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
        assert_eq!(life(&job), Some((Duration::from_secs(30), at(100))));
        job.status = None;
        assert_eq!(life(&job), None);
    }
}
