//! Conditions of the common form: a type, whether it holds, since when and why.

use std::collections::BTreeSet;

use crate::field::{Errors, Node};
use crate::metadata::validate_label_key;
use crate::names;
use crate::value::text;

const REASON_MAX: usize = 1024;
const MESSAGE_MAX: usize = 32 * 1024;

pub(super) fn validate(conditions: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for condition in conditions.items() {
        let kind = condition.at("type");
        if !seen.insert(text(condition.value, "type")) {
            errors.push(kind.duplicate());
        }
        validate_label_key(&kind, kind.text(), errors);
        let status = condition.at("status");
        if !matches!(status.text(), "False" | "True" | "Unknown") {
            errors.push(status.unsupported(&["False", "True", "Unknown"]));
        }
        let (generation, time) = (condition.at("observedGeneration"), condition.at("lastTransitionTime"));
        if generation.int().is_some_and(|generation| generation < 0) {
            errors.push(generation.invalid("must be greater than or equal to zero"));
        }
        if time.text().is_empty() {
            errors.push(time.required("must be set"));
        }
        reason(&condition.at("reason"), errors);
        if condition.at("message").text().len() > MESSAGE_MAX {
            errors.push(condition.at("message").too_long(MESSAGE_MAX));
        }
    }
}

fn reason(reason: &Node<'_, '_>, errors: &mut Errors) {
    if reason.text().is_empty() {
        return errors.push(reason.required("must be set"));
    }
    reason.check(names::condition_reason, errors);
    if reason.text().len() > REASON_MAX {
        errors.push(reason.too_long(REASON_MAX));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_condition_must_say() {
        let good = json!({"type": "Ready", "status": "True", "reason": "Fine", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let mut errors = Errors::new();
        validate(&Node::root(&json!([good])), &mut errors);
        assert_eq!(errors, []);
        validate(
            &Node::root(
                &json!([good, {"type": "Ready", "status": "Maybe", "observedGeneration": -1, "reason": "-"}]),
            ),
            &mut errors,
        );
        assert_eq!(
            errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "[1].type: Duplicate value: \"Ready\"",
                "[1].status: Unsupported value: \"Maybe\": supported values: \"False\", \"True\", \"Unknown\"",
                "[1].observedGeneration: Invalid value: -1: must be greater than or equal to zero",
                "[1].lastTransitionTime: Required value: must be set",
                "[1].reason: Invalid value: \"-\": a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')",
            ]
        );
    }
}
