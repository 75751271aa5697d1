//! The rules of label selectors that stand inside objects.

use crate::field::{Errors, Node};
use crate::metadata::{validate_label_key, validate_labels};
use crate::names;

const OPERATORS: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];

/// `matchLabels` and `matchExpressions`; an absent selector is fine here.
pub(crate) fn validate(selector: &Node<'_, '_>, errors: &mut Errors) {
    validate_labels(&selector.at("matchLabels"), errors);
    for requirement in selector.at("matchExpressions").items() {
        expression(&requirement, errors);
    }
}

fn expression(requirement: &Node<'_, '_>, errors: &mut Errors) {
    let (key, operator, values) =
        (requirement.at("key"), requirement.at("operator"), requirement.at("values"));
    match operator.text() {
        "In" | "NotIn" if values.list().is_empty() => {
            errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if !values.list().is_empty() => {
            errors
                .push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        }
        text if OPERATORS.contains(&text) => {}
        text => errors.push(operator.invalid_as(text, "not a valid selector operator")),
    }
    validate_label_key(&key, key.text(), errors);
    for value in values.items() {
        errors.extend(names::label_value(value.text()).into_iter().map(|problem| value.invalid(problem)));
    }
}
