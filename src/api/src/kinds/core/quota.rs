//! Limits on what a namespace and its pods may use, and how they are shown.

use serde_json::Value;

use super::super::Strategy;
use super::pod::round_up;
use crate::table::{AGE, Column, NAME, Table, age, name, plain};
use crate::value::{at, default_zero_to, items_mut, members, object, text};

pub(super) const LIMIT_RANGE: Strategy = Strategy {
    defaults: limit_defaults,
    // One without a name gets one that nobody else has.
    prepare_create: |range| {
        let uid = text(range, "metadata.uid").to_owned();
        range
            .get_mut("metadata")
            .into_iter()
            .for_each(|metadata| default_zero_to(metadata, "name", uid.as_str()));
    },
    validate: super::limits::range,
    create_on_update: true,
    ..Strategy::PLAIN
};

pub(super) const QUOTA: Strategy = Strategy {
    defaults: |quota| {
        if let Some(hard) = quota.get_mut("spec").and_then(|spec| spec.get_mut("hard")) {
            round_up(hard);
        }
    },
    validate: super::limits::quota,
    validate_update: super::limits::quota_update,
    validate_status: |quota, _, errors| super::limits::quota_status(quota, errors),
    ..Strategy::PLAIN
};

const LISTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];

fn limit_defaults(range: &mut Value) {
    let Some(spec) = range.get_mut("spec") else { return };
    for item in items_mut(spec, "limits") {
        for list in LISTS {
            if let Some(list) = item.get_mut(list) {
                round_up(list);
            }
        }
        if text(item, "type") == "Container" {
            fill(item, "default", "max");
            fill(item, "defaultRequest", "default");
            fill(item, "defaultRequest", "min");
        }
    }
}

/// What `into` does not say it takes from `from`.
fn fill(item: &mut Value, into: &str, from: &str) {
    let from = at(item, from).clone();
    let Some(from) = from.as_object().filter(|from| !from.is_empty()) else { return };
    if let Some(into) = object(item, into) {
        for (name, quantity) in from {
            into.entry(name.clone()).or_insert_with(|| quantity.clone());
        }
    }
}

pub(super) static QUOTA_TABLE: Table = Table {
    columns: &[NAME, Column::text("Request"), Column::text("Limit"), AGE],
    cells: |quota, now| {
        let used = |limits: bool| {
            let mut hard: Vec<_> = members(quota, "status.hard")
                .filter(|(name, _)| name.starts_with("limits.") == limits)
                .collect();
            hard.sort_unstable_by_key(|(name, _)| *name);
            let cells: Vec<String> = hard
                .into_iter()
                .map(|(resource, hard)| {
                    let used = at(quota, "status.used").get(resource).unwrap_or(&Value::Null);
                    format!("{resource}: {}/{}", plain(used, "0"), plain(hard, "0"))
                })
                .collect();
            cells.join(", ")
        };
        vec![name(quota), used(false).into(), used(true).into(), age(quota, now)]
    },
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn containers_get_the_limits_of_their_namespace() {
        let mut range = json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1", "memory": "1Gi"}}]}});
        limit_defaults(&mut range);
        let item = &range["spec"]["limits"][0];
        assert_eq!(item["default"], json!({"cpu": "2"}));
        assert_eq!(item["defaultRequest"], json!({"cpu": "2", "memory": "1Gi"}));
        let mut silent = json!({"spec": {"limits": [{"type": "Container", "min": {"cpu": "1"}}]}});
        limit_defaults(&mut silent);
        assert_eq!(
            silent["spec"]["limits"][0],
            json!({"type": "Container", "min": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}})
        );
    }
}
