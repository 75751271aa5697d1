//! Conditions in the status of an object.

use api::value::text;
use jiff::Timestamp;
use serde_json::Value;

/// Sets a condition; the time of its last change stays where its status does.
pub(super) fn set(conditions: &mut Value, mut condition: Value, now: Timestamp) {
    let Some(conditions) = conditions.as_array_mut() else { return };
    let known = conditions.iter_mut().find(|known| text(known, "type") == text(&condition, "type"));
    let since = known.as_ref().filter(|known| text(known, "status") == text(&condition, "status"));
    let since = since.and_then(|known| known.get("lastTransitionTime").cloned());
    condition["lastTransitionTime"] = since.unwrap_or_else(|| whole_seconds(now).into());
    match known {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
}

pub(super) fn whole_seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}
