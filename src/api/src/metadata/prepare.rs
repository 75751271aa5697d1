//! The parts of the metadata that the system writes.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::value::{at, int, object, text};

/// What the API server knows about an object being created and its author does not.
#[derive(Debug)]
pub struct Birth<'a> {
    /// The namespace of the request path; none for the whole cluster.
    pub namespace: Option<&'a str>,
    pub uid: &'a str,
    pub now: Timestamp,
    /// Random letters for `generateName`.
    pub suffix: &'a str,
}

/// A generated name keeps room for its suffix.
const GENERATED_MAX: usize = 63 - 5;

/// The name `generateName` asks for.
pub fn generated_name(prefix: &str, suffix: &str) -> String {
    let mut end = prefix.len().min(GENERATED_MAX);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &prefix[..end])
}

pub fn prepare_create(value: &mut Value, birth: &Birth<'_>) {
    let generate = text(value, "metadata.generateName").to_owned();
    let named = !text(value, "metadata.name").is_empty();
    let Some(metadata) = object(value, "metadata") else { return };
    for cleared in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"] {
        metadata.remove(cleared);
    }
    match birth.namespace {
        Some(namespace) => drop(metadata.insert("namespace".into(), namespace.into())),
        // As upstream: nobody is refused for naming one that there cannot be.
        None => drop(metadata.remove("namespace")),
    }
    if !named && !generate.is_empty() {
        metadata.insert("name".into(), generated_name(&generate, birth.suffix).into());
    }
    metadata.insert("uid".into(), birth.uid.into());
    metadata.insert("creationTimestamp".into(), seconds(birth.now).into());
}

/// What the client left out of an update it may leave out: it keeps its old value. When the object began is not the
/// client's to say, and a deletion that began goes on. One that did not begin cannot be written: [`super::validate_update`].
pub fn prepare_update(new: &mut Value, old: &Value) {
    let Some(metadata) = object(new, "metadata") else { return };
    metadata.remove("selfLink");
    for kept in ["uid", "deletionGracePeriodSeconds"] {
        if metadata.get(kept).is_none_or(Value::is_null) {
            carry(metadata, old, kept);
        }
    }
    carry(metadata, old, "creationTimestamp");
    if !at(old, "metadata.deletionTimestamp").is_null() {
        carry(metadata, old, "deletionTimestamp");
    }
}

/// What a write of the status leaves as it is of the metadata, for kinds that let it change the status alone.
pub(crate) fn keep_described(new: &mut Value, old: &Value) {
    let Some(metadata) = object(new, "metadata") else { return };
    for kept in ["annotations", "deletionTimestamp", "finalizers", "labels", "ownerReferences"] {
        carry(metadata, old, kept);
    }
}

fn carry(metadata: &mut Map<String, Value>, old: &Value, field: &str) {
    match at(at(old, "metadata"), field) {
        Value::Null => drop(metadata.remove(field)),
        value => drop(metadata.insert(field.to_owned(), value.clone())),
    }
}

/// Marks an object as being deleted. A deletion under way can only be made shorter. Says whether anything changed.
pub fn begin_deletion(value: &mut Value, grace_seconds: i64, now: Timestamp) -> bool {
    let under_way = !at(value, "metadata.deletionTimestamp").is_null();
    if under_way && int(value, "metadata.deletionGracePeriodSeconds") <= grace_seconds {
        return false;
    }
    let began = match under_way {
        true => deletion_began(value).unwrap_or(now),
        false => now,
    };
    let ends = began.checked_add(SignedDuration::from_secs(grace_seconds)).unwrap_or(Timestamp::MAX);
    let generation = int(value, "metadata.generation");
    let Some(metadata) = object(value, "metadata") else { return false };
    metadata.insert("deletionTimestamp".into(), seconds(ends).into());
    metadata.insert("deletionGracePeriodSeconds".into(), grace_seconds.into());
    if generation > 0 && !under_way {
        metadata.insert("generation".into(), generation.saturating_add(1).into());
    }
    true
}

fn deletion_began(value: &Value) -> Option<Timestamp> {
    let ends: Timestamp = text(value, "metadata.deletionTimestamp").parse().ok()?;
    let grace = int(value, "metadata.deletionGracePeriodSeconds");
    ends.checked_sub(SignedDuration::from_secs(grace)).ok()
}

/// Timestamps of the metadata have whole seconds.
pub(crate) fn seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn birth() -> Birth<'static> {
        Birth {
            namespace: Some("default"),
            uid: "u-1",
            now: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            suffix: "abcde",
        }
    }

    #[test]
    fn a_new_object_gets_its_identity_from_the_system() {
        let mut pod = json!({"metadata": {"generateName": "web-", "uid": "mine", "deletionTimestamp": "x"}});
        prepare_create(&mut pod, &birth());
        assert_eq!(
            pod,
            json!({"metadata": {"generateName": "web-", "name": "web-abcde", "namespace": "default", "uid": "u-1",
                "creationTimestamp": "2026-01-02T03:04:05Z"}})
        );
    }

    #[test]
    fn an_update_does_not_say_when_the_object_was_made() {
        let old = json!({"metadata": {"creationTimestamp": "2026-01-02T03:04:05Z"}});
        for said in ["2020-01-01T00:00:00Z", "2026-01-02T03:04:05Z"] {
            let mut new = json!({"metadata": {"creationTimestamp": said}});
            prepare_update(&mut new, &old);
            assert_eq!(new, old);
        }
    }

    #[test]
    fn long_prefixes_make_room() {
        assert_eq!(generated_name(&"x".repeat(70), "abcde").len(), 63);
        assert_eq!(generated_name(&"ä".repeat(40), "abcde").len(), 63);
    }

    #[test]
    fn a_deletion_is_not_taken_back_and_only_shortened() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let mut pod = json!({"metadata": {"generation": 1}});
        assert!(begin_deletion(&mut pod, 30, now));
        assert_eq!(pod["metadata"]["deletionTimestamp"], "2026-01-02T03:04:35Z");
        assert_eq!(pod["metadata"]["generation"], 2);
        assert!(!begin_deletion(&mut pod, 60, now));
        assert!(begin_deletion(&mut pod, 5, now));
        assert_eq!(pod["metadata"]["deletionTimestamp"], "2026-01-02T03:04:10Z");
        assert_eq!(pod["metadata"]["generation"], 2, "it began once");

        let mut update = json!({"metadata": {"name": "x", "deletionTimestamp": "2030-01-01T00:00:00Z"}});
        prepare_update(&mut update, &pod);
        assert_eq!(update["metadata"]["deletionTimestamp"], "2026-01-02T03:04:10Z");
        assert_eq!(update["metadata"]["deletionGracePeriodSeconds"], 5);
    }
}
