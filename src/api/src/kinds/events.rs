//! events.k8s.io: the core Events under other field names. Both views are one stored object, the core one.

use serde_json::{Map, Value};

use super::core::EVENT_TTL;
use super::entry::{GroupVersion, names};
use super::field::Field;
use super::{Conversion, Kind, Selectable};

const V1: GroupVersion = GroupVersion::new("events.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    short_names: &["ev"],
    fields: Selectable(&[
        Field::new("reason", &["reason"]),
        Field::new("regarding.apiVersion", &["regarding", "apiVersion"]),
        Field::new("regarding.fieldPath", &["regarding", "fieldPath"]),
        Field::new("regarding.kind", &["regarding", "kind"]),
        Field::new("regarding.name", &["regarding", "name"]),
        Field::new("regarding.namespace", &["regarding", "namespace"]),
        Field::new("regarding.resourceVersion", &["regarding", "resourceVersion"]),
        Field::new("regarding.uid", &["regarding", "uid"]),
        Field::new("reportingController", &["reportingController"]),
        Field::new("type", &["type"]),
    ]),
    soft: true,
    ttl: Some(EVENT_TTL),
    strategy: super::Strategy { create_on_update: true, ..super::Strategy::PLAIN },
    table: &super::core::endpoints::EVENT_TABLE,
    conversion: Some(Conversion { hub: ("", "v1", "events"), to_hub, from_hub, later: LATER }),
    ..V1.namespaced(names!("io.k8s.api.events.v1", Event, "events"))
}];

/// Name here, name in the core group.
const RENAMED: &[(&str, &str)] = &[
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

const LATER: &[&str] = &[
    "count",
    "firstTimestamp",
    "involvedObject",
    "lastTimestamp",
    "message",
    "reportingComponent",
    "source",
];

fn to_hub(event: &mut Value) {
    if let Some(fields) = event.as_object_mut() {
        fields.insert("apiVersion".into(), "v1".into());
        for (ours, core) in RENAMED {
            rename(fields, ours, core);
        }
    }
}

fn from_hub(event: &mut Value) {
    if let Some(fields) = event.as_object_mut() {
        fields.insert("apiVersion".into(), "events.k8s.io/v1".into());
        for (ours, core) in RENAMED {
            rename(fields, core, ours);
        }
    }
}

fn rename(fields: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = fields.remove(from) {
        fields.insert(to.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_views_hold_the_same_facts() {
        let ours = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "note": "hi",
            "regarding": {"kind": "Pod"}, "reportingController": "c", "deprecatedCount": 2, "type": "Normal"});
        let mut event = ours.clone();
        to_hub(&mut event);
        assert_eq!(
            event,
            json!({"apiVersion": "v1", "kind": "Event", "message": "hi", "involvedObject": {"kind": "Pod"},
                "reportingComponent": "c", "count": 2, "type": "Normal"})
        );
        from_hub(&mut event);
        assert_eq!(event, ours);
    }
}
