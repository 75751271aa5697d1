//! What a DaemonSet says of itself.

use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus};

use super::placement::Fit;
use super::rollout::{Goal, Places};
use crate::pod;

pub(super) fn status(set: &DaemonSet, places: &Places, goal: &Goal<'_>) -> DaemonSetStatus {
    let before = set.status.clone().unwrap_or_default();
    let mut status = DaemonSetStatus {
        observed_generation: set.metadata.generation,
        collision_count: before.collision_count,
        conditions: before.conditions,
        ..DaemonSetStatus::default()
    };
    let (mut available, mut updated) = (0, 0);
    // A node that is gone counts for nothing.
    for place in places.values().filter(|place| place.fit.is_some()) {
        match (place.fit == Some(Fit::Run), place.pods.first()) {
            (true, Some(oldest)) => {
                status.desired_number_scheduled += 1;
                status.current_number_scheduled += 1;
                status.number_ready += i32::from(pod::is_ready(oldest));
                available += i32::from(goal.is_available(oldest));
                updated += i32::from(goal.is_current(oldest));
            }
            (true, None) => status.desired_number_scheduled += 1,
            (false, Some(_)) => status.number_misscheduled += 1,
            (false, None) => {}
        }
    }
    let unavailable = status.desired_number_scheduled - available;
    // As upstream encodes them: a zero is left out.
    status.number_available = Some(available).filter(|count| *count > 0);
    status.number_unavailable = Some(unavailable).filter(|count| *count > 0);
    status.updated_number_scheduled = Some(updated).filter(|count| *count > 0);
    status
}
