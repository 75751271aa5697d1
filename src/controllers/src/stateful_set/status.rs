//! What a StatefulSet says of itself.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::Pod;

use super::identity;
use super::step::{Goal, is_running_and_ready};

/// `before` and `update` are the revisions that an update goes from and to.
pub(super) fn status(
    set: &StatefulSet,
    before: Option<&str>,
    update: &str,
    goal: &Goal<'_>,
    pods: &[Arc<Pod>],
) -> StatefulSetStatus {
    let count = |counts: &dyn Fn(&Pod) -> bool| {
        i32::try_from(pods.iter().filter(|pod| counts(pod)).count()).unwrap_or(i32::MAX)
    };
    let of = |revision: Option<&str>| {
        count(&|pod| pod.metadata.deletion_timestamp.is_none() && identity::revision(pod) == revision)
    };
    let (ready, updated) = (count(&is_running_and_ready), of(Some(update)));
    let replicas = count(&|_| true);
    let wanted = identity::replicas(set);
    let strategy = set.spec.update_strategy.as_ref().and_then(|strategy| strategy.type_.as_deref());
    let complete = strategy != Some("OnDelete") && [updated, ready, replicas].iter().all(|it| *it == wanted);
    let (current, current_revision) = if complete { (updated, Some(update)) } else { (of(before), before) };
    let some = |count: i32| Some(count).filter(|count| *count > 0);
    let earlier = set.status.as_ref();
    StatefulSetStatus {
        replicas,
        ready_replicas: some(ready),
        // As upstream encodes it: this one is there even when it is zero.
        available_replicas: Some(count(&|pod| goal.is_available(pod))),
        current_replicas: some(current),
        updated_replicas: some(updated),
        current_revision: current_revision.map(Into::into),
        update_revision: Some(update.into()),
        observed_generation: set.metadata.generation,
        // Upstream always writes a number here.
        collision_count: Some(earlier.and_then(|status| status.collision_count).unwrap_or_default()),
        conditions: earlier.and_then(|status| status.conditions.clone()),
    }
}
