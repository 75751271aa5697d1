//! What a Deployment says of itself: counts, and whether it gets on.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::Sets;
use super::rollout::Goal;

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const REPLICA_FAILURE: &str = "ReplicaFailure";
const COMPLETE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// A condition by what it says, before it is compared with what was said last.
pub(super) struct Said {
    kind: &'static str,
    status: &'static str,
    reason: String,
    message: String,
}

impl Said {
    /// Something happened to the rollout as a whole: a set was made, found, paused, resumed.
    pub(super) fn progress(status: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self { kind: PROGRESSING, status, reason: reason.into(), message: message.into() }
    }
}

/// How long ago a time was, by a clock that nobody sets.
pub(super) type Age<'a> = &'a (dyn Fn(Timestamp) -> Duration + Sync);

/// The status as the ReplicaSets of `deployment` have it now.
pub(super) fn status(deployment: &Deployment, sets: &Sets, age: Age<'_>, now: Timestamp) -> DeploymentStatus {
    let (new, old) = (sets.new.as_ref(), &*sets.old);
    let before = deployment.status.clone().unwrap_or_default();
    let mut status = counts(deployment, new, old);
    status.collision_count = before.collision_count;
    status.conditions = before.conditions.clone();
    let said = availability(&status, Goal::of(&deployment.spec));
    set(&mut status, said, now);
    let paused = deployment.spec.paused == Some(true);
    if let Some(said) = (!paused).then(|| progress(deployment, &before, &status, new, age)).flatten() {
        set_progress(&mut status, said, now);
    }
    replace_failure(&mut status, new, old);
    status
}

fn counts(
    deployment: &Deployment,
    new: Option<&Arc<ReplicaSet>>,
    old: &[Arc<ReplicaSet>],
) -> DeploymentStatus {
    let all = || new.into_iter().chain(old);
    let sum = |of: fn(&ReplicaSet) -> i32| all().map(|set| i64::from(of(set))).sum::<i64>();
    // No more than can be said: a handful of sets may ask for more than their own field holds. A zero is left out, as the API
    // does, or what is kept would never equal what is said.
    let shown = |count: i64| Some(i32::try_from(count).unwrap_or(i32::MAX)).filter(|count| *count > 0);
    let available = sum(available);
    DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: shown(sum(actual)),
        updated_replicas: shown(new.map_or(0, |set| actual(set).into())),
        ready_replicas: shown(sum(|set| {
            set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default()
        })),
        available_replicas: shown(available),
        unavailable_replicas: shown((sum(asked) - available).max(0)),
        terminating_replicas: shown(sum(|set| {
            set.status.as_ref().and_then(|status| status.terminating_replicas).unwrap_or_default()
        }))
        .or(Some(0)),
        ..DeploymentStatus::default()
    }
}

pub(super) fn asked(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

pub(super) fn actual(set: &ReplicaSet) -> i32 {
    set.status.as_ref().map_or(0, |status| status.replicas)
}

pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or_default()
}

fn availability(status: &DeploymentStatus, goal: Goal) -> Said {
    let enough = status.available_replicas.unwrap_or_default() >= goal.least_available();
    let (status, reason, message) = match enough {
        true => ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    Said { kind: AVAILABLE, status, reason: reason.into(), message: message.into() }
}

/// Whether every pod is of the new template and available, and none of an old one is left.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let counts = [status.updated_replicas, status.replicas, status.available_replicas];
    counts.into_iter().all(|count| count.unwrap_or_default() == wanted)
        && status.observed_generation >= deployment.metadata.generation
}

fn progress(
    deployment: &Deployment,
    before: &DeploymentStatus,
    status: &DeploymentStatus,
    new: Option<&Arc<ReplicaSet>>,
    age: Age<'_>,
) -> Option<Said> {
    let deadline = deadline(deployment)?;
    let current = condition(before, PROGRESSING);
    let was_complete = current.and_then(|current| current.reason.as_deref()) == Some(COMPLETE);
    if was_complete && status.replicas == status.updated_replicas {
        return None;
    }
    let what = match new {
        Some(set) => format!("ReplicaSet \"{}\"", set.metadata.name.as_deref().unwrap_or_default()),
        None => format!("Deployment \"{}\"", deployment.metadata.name.as_deref().unwrap_or_default()),
    };
    if is_complete(deployment, status) {
        Some(Said::progress("True", COMPLETE, format!("{what} has successfully progressed.")))
    } else if has_progressed(before, status) {
        Some(Said::progress("True", "ReplicaSetUpdated", format!("{what} is progressing.")))
    } else if current.is_some_and(|current| is_over(current, deadline, age)) {
        Some(Said::progress("False", TIMED_OUT, format!("{what} has timed out progressing.")))
    } else {
        None
    }
}

fn has_progressed(before: &DeploymentStatus, status: &DeploymentStatus) -> bool {
    let more = |of: fn(&DeploymentStatus) -> Option<i32>| {
        of(status).unwrap_or_default() > of(before).unwrap_or_default()
    };
    let old = |status: &DeploymentStatus| {
        status.replicas.unwrap_or_default() - status.updated_replicas.unwrap_or_default()
    };
    more(|status| status.updated_replicas)
        || old(status) < old(before)
        || more(|status| status.ready_replicas)
        || more(|status| status.available_replicas)
}

/// `None` for a Deployment that may take for ever.
fn deadline(deployment: &Deployment) -> Option<Duration> {
    let seconds = deployment.spec.progress_deadline_seconds.unwrap_or(600);
    u64::try_from(seconds).ok().filter(|_| seconds != i32::MAX).map(Duration::from_secs)
}

fn is_over(progressing: &DeploymentCondition, deadline: Duration, age: Age<'_>) -> bool {
    match progressing.reason.as_deref() {
        Some(COMPLETE) => false,
        Some(TIMED_OUT) => true,
        _ => left(progressing, deadline, age).is_zero(),
    }
}

fn left(progressing: &DeploymentCondition, deadline: Duration, age: Age<'_>) -> Duration {
    let Some(since) = &progressing.last_update_time else { return deadline };
    deadline.saturating_sub(age(since.0))
}

/// How long until a rollout that does not move must be called stuck; nothing else will tell us.
pub(super) fn look_again(
    deployment: &Deployment,
    status: &DeploymentStatus,
    age: Age<'_>,
) -> Option<Duration> {
    let deadline = deadline(deployment)?;
    let progressing = condition(status, PROGRESSING)?;
    let settled = matches!(progressing.reason.as_deref(), Some(COMPLETE | TIMED_OUT));
    // A moment later than the deadline, so that it is over when we look.
    (!settled).then(|| left(progressing, deadline, age) + Duration::from_secs(1))
}

pub(super) fn condition<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_.as_deref() == Some(kind))
}

pub(super) fn progress_reason(status: Option<&DeploymentStatus>) -> Option<&str> {
    condition(status?, PROGRESSING)?.reason.as_deref()
}

/// Sets a condition unless it says the same already; the time of a transition is that of a change of status.
fn set(status: &mut DeploymentStatus, said: Said, now: Timestamp) {
    let same = condition(status, said.kind).is_some_and(|current| {
        current.status.as_deref() == Some(said.status) && current.reason.as_deref() == Some(&said.reason)
    });
    if !same {
        set_progress(status, said, now);
    }
}

/// The same, and what is said again counts as news: the deadline runs from there.
pub(super) fn set_progress(status: &mut DeploymentStatus, said: Said, now: Timestamp) {
    let conditions = status.conditions.get_or_insert_default();
    let current = conditions.iter().position(|condition| condition.type_.as_deref() == Some(said.kind));
    let current = current.map(|index| conditions.remove(index));
    let unchanged = current.filter(|current| current.status.as_deref() == Some(said.status));
    conditions.push(DeploymentCondition {
        type_: Some(said.kind.into()),
        status: Some(said.status.into()),
        reason: Some(said.reason),
        message: Some(said.message),
        last_update_time: Some(Time(now)),
        last_transition_time: unchanged.and_then(|current| current.last_transition_time).or(Some(Time(now))),
    });
}

/// What stops the ReplicaSets from making pods stops the Deployment: it says so in its own name.
fn replace_failure(status: &mut DeploymentStatus, new: Option<&Arc<ReplicaSet>>, old: &[Arc<ReplicaSet>]) {
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_.as_deref() != Some(REPLICA_FAILURE));
    let all = new.into_iter().chain(old).filter_map(|set| set.status.as_ref()?.conditions.as_ref()).flatten();
    let failure = all.into_iter().find(|condition| condition.type_.as_deref() == Some(REPLICA_FAILURE));
    conditions.extend(failure.map(|failure| DeploymentCondition {
        type_: failure.type_.clone(),
        status: failure.status.clone(),
        reason: failure.reason.clone(),
        message: failure.message.clone(),
        last_update_time: failure.last_transition_time.clone(),
        last_transition_time: failure.last_transition_time.clone(),
    }));
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::{ReplicaSetCondition, ReplicaSetSpec, ReplicaSetStatus};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn deployment(replicas: i32) -> Deployment {
        let mut deployment = Deployment::default();
        deployment.metadata.generation = Some(1);
        deployment.spec.replicas = Some(replicas);
        deployment.spec.progress_deadline_seconds = Some(60);
        deployment
    }

    fn set_of(asked: i32, actual: i32, available: i32) -> Arc<ReplicaSet> {
        let status = ReplicaSetStatus {
            replicas: actual,
            ready_replicas: Some(available),
            available_replicas: Some(available),
            ..ReplicaSetStatus::default()
        };
        let spec = ReplicaSetSpec { replicas: Some(asked), ..ReplicaSetSpec::default() };
        Arc::new(ReplicaSet { spec, status: Some(status), ..ReplicaSet::default() })
    }

    fn sets(new: Arc<ReplicaSet>, old: Vec<Arc<ReplicaSet>>) -> Sets {
        Sets { new: Some(new), old }
    }

    /// The status at a second by a clock that nobody ever set.
    fn status(deployment: &Deployment, sets: &Sets, now: i64) -> DeploymentStatus {
        super::status(deployment, sets, &aged(now), at(now))
    }

    fn aged(now: i64) -> impl Fn(Timestamp) -> Duration + Sync {
        move |since| at(now).duration_since(since).try_into().unwrap_or_default()
    }

    /// Status and reason of a condition.
    fn says<'a>(status: &'a DeploymentStatus, kind: &str) -> (&'a str, &'a str) {
        let condition = condition(status, kind).unwrap();
        (condition.status.as_deref().unwrap(), condition.reason.as_deref().unwrap())
    }

    #[test]
    fn a_rollout_progresses_and_completes() {
        let mut deployment = deployment(3);
        let begun = status(&deployment, &sets(set_of(3, 3, 1), vec![set_of(1, 1, 1)]), 10);
        assert_eq!(says(&begun, PROGRESSING), ("True", "ReplicaSetUpdated"));
        assert_eq!(says(&begun, AVAILABLE), ("False", "MinimumReplicasUnavailable"));
        assert_eq!(
            (begun.replicas, begun.updated_replicas, begun.unavailable_replicas),
            (Some(4), Some(3), Some(2))
        );
        deployment.status = Some(begun);
        let done = status(&deployment, &sets(set_of(3, 3, 3), vec![set_of(0, 0, 0)]), 20);
        assert_eq!(says(&done, PROGRESSING), ("True", COMPLETE));
        assert_eq!(says(&done, AVAILABLE), ("True", "MinimumReplicasAvailable"));
        assert!(is_complete(&deployment, &done));
        assert_eq!(look_again(&deployment, &done, &aged(20)), None);
        deployment.status = Some(done.clone());
        let later = status(&deployment, &sets(set_of(3, 3, 3), vec![]), 900);
        assert_eq!(later, done, "what is settled is not written again");
        assert_eq!(done.unavailable_replicas, None, "a zero would be left out, and so be written for ever");
    }

    #[test]
    fn a_rollout_that_does_not_move_times_out_at_its_deadline() {
        let mut deployment = deployment(3);
        let stuck = sets(set_of(3, 3, 0), vec![]);
        deployment.status = Some(status(&deployment, &stuck, 100));
        let again = look_again(&deployment, deployment.status.as_ref().unwrap(), &aged(130));
        assert_eq!(again, Some(Duration::from_secs(31)));
        let before = status(&deployment, &stuck, 159);
        assert_eq!(says(&before, PROGRESSING).0, "True");
        let over = status(&deployment, &stuck, 161);
        assert_eq!(says(&over, PROGRESSING), ("False", TIMED_OUT));
    }

    #[test]
    fn several_sets_may_be_larger_than_a_count() {
        let huge = set_of(i32::MAX, i32::MAX, 1);
        let status = status(&deployment(i32::MAX), &sets(huge.clone(), vec![huge.clone(), huge]), 0);
        assert_eq!((status.replicas, status.unavailable_replicas), (Some(i32::MAX), Some(i32::MAX)));
        assert_eq!((status.available_replicas, status.updated_replicas), (Some(3), Some(i32::MAX)));
    }

    #[test]
    fn a_set_that_cannot_make_pods_shows_through() {
        let mut failing = ReplicaSet::clone(&set_of(3, 0, 0));
        let condition = ReplicaSetCondition {
            type_: Some(REPLICA_FAILURE.into()),
            status: Some("True".into()),
            reason: Some("FailedCreate".into()),
            message: Some("exceeded quota".into()),
            ..ReplicaSetCondition::default()
        };
        failing.status.as_mut().unwrap().conditions = Some(vec![condition]);
        let status = status(&deployment(3), &sets(Arc::new(failing), vec![]), 0);
        assert_eq!(says(&status, REPLICA_FAILURE), ("True", "FailedCreate"));
    }
}
