//! Rules of events.

use crate::field::{Errors, Node};
use crate::names;

/// The longest each of the short fields may be.
const WORD_MAX: usize = 128;
const MESSAGE_MAX: usize = 1024;

/// An event stands where the object it tells of stands. Newer ones have a time of their own, and more is asked of them.
pub(super) fn validate(event: &Node<'_, '_>, errors: &mut Errors) {
    let (own, told) = (event.at("metadata.namespace"), event.at("involvedObject.namespace"));
    let timed = event.at("eventTime").is_set();
    let fits = match (told.text(), own.text()) {
        ("", "default") => true,
        ("", own) => timed && own == "kube-system",
        (told, own) => timed || told == own,
    };
    if !fits {
        errors.push(told.invalid_as(told.text(), "does not match event.namespace"));
    }
    if timed {
        reported(event, errors);
    }
    own.named(event.path.field("namespace")).check(names::subdomain, errors);
}

fn reported(event: &Node<'_, '_>, errors: &mut Errors) {
    let component = event.at("reportingComponent");
    component.require(errors);
    component.check(names::qualified_name, errors);
    for field in ["reportingInstance", "action", "reason"].map(|field| event.at(field)) {
        field.require(errors);
        short(&field, WORD_MAX, errors);
    }
    short(&event.at("message"), MESSAGE_MAX, errors);
}

fn short(field: &Node<'_, '_>, max: usize, errors: &mut Errors) {
    if field.text().len() > max {
        errors.push(field.invalid_as("", format!("can have at most {max} characters")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn events_stand_beside_their_objects() {
        let cases: [(Value, &[&str]); 5] = [
            (json!({"metadata": {"namespace": "a"}, "involvedObject": {"namespace": "a"}}), &[]),
            (json!({"metadata": {"namespace": "default"}}), &[]),
            (
                json!({"metadata": {"namespace": "kube-system"}}),
                &["involvedObject.namespace: Invalid value: \"\": does not match event.namespace"],
            ),
            (
                json!({"metadata": {"namespace": "a"}, "involvedObject": {"namespace": "b"}}),
                &["involvedObject.namespace: Invalid value: \"b\": does not match event.namespace"],
            ),
            (
                json!({"metadata": {"namespace": "kube-system"}, "eventTime": "2026-01-01T00:00:00Z", "reportingComponent": "c", "reportingInstance": "x".repeat(129)}),
                &[
                    "reportingInstance: Invalid value: \"\": can have at most 128 characters",
                    "action: Required value",
                    "reason: Required value",
                ],
            ),
        ];
        for (event, expected) in cases {
            let mut errors = Errors::new();
            validate(&Node::root(&event), &mut errors);
            assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
        }
    }
}
