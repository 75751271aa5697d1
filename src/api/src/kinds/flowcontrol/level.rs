//! Priority levels.

use serde_json::{Value, json};

use crate::field::{Errors, Node};
use crate::value::{default_to, default_zero_to, text};

pub(super) fn defaults(level: &mut Value) {
    let Some(spec) = level.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    if text(spec, "type") == "Exempt" {
        default_to(spec, "exempt", json!({}));
    }
    if let Some(exempt) = spec.get_mut("exempt") {
        default_to(exempt, "nominalConcurrencyShares", 0);
        default_to(exempt, "lendablePercent", 0);
    }
    if let Some(limited) = spec.get_mut("limited") {
        default_to(limited, "nominalConcurrencyShares", 30);
        default_to(limited, "lendablePercent", 0);
        if let Some(queuing) =
            limited.get_mut("limitResponse").and_then(|response| response.get_mut("queuing"))
        {
            default_zero_to(queuing, "queues", 64);
            default_zero_to(queuing, "handSize", 8);
            default_zero_to(queuing, "queueLengthLimit", 50);
        }
    }
}

pub(super) fn validate(level: &Node<'_, '_>, errors: &mut Errors) {
    let spec = level.at("spec");
    let (kind, limited, exempt) = (spec.at("type"), spec.at("limited"), spec.at("exempt"));
    if (text(level.value, "metadata.name") == "exempt") != (kind.text() == "Exempt") {
        errors.push(kind.invalid_as(kind.text(), "type must be 'Exempt' if and only if name is 'exempt'"));
    }
    match kind.text() {
        "Exempt" => {
            if limited.is_set() {
                errors.push(limited.forbidden("must be nil if the type is not Limited"));
            }
            if exempt.is_set() {
                shares(&exempt, errors);
            }
        }
        "Limited" => {
            if exempt.is_set() {
                errors.push(exempt.forbidden("must be nil if the type is Limited"));
            }
            match limited.is_set() {
                true => self::limited(&limited, errors),
                false => errors.push(limited.required("must not be empty when type is Limited")),
            }
        }
        _ => errors.push(kind.unsupported(&["Exempt", "Limited"])),
    }
}

/// Of the seats, how many are this level's and how many of them it lends.
fn shares(level: &Node<'_, '_>, errors: &mut Errors) {
    let (nominal, lendable) = (level.at("nominalConcurrencyShares"), level.at("lendablePercent"));
    if nominal.int().is_some_and(|shares| shares < 0) {
        errors.push(nominal.invalid("must be a non-negative integer"));
    }
    if lendable.int().is_some_and(|percent| !(0..=100).contains(&percent)) {
        errors.push(lendable.invalid("must be between 0 and 100, inclusive"));
    }
}

fn limited(limited: &Node<'_, '_>, errors: &mut Errors) {
    shares(limited, errors);
    let borrowing = limited.at("borrowingLimitPercent");
    if borrowing.int().is_some_and(|percent| percent < 0) {
        errors.push(borrowing.invalid("if specified, must be a non-negative integer"));
    }
    let response = limited.at("limitResponse");
    let (kind, queues) = (response.at("type"), response.at("queuing"));
    match (kind.text(), queues.is_set()) {
        ("Reject", true) => {
            errors.push(queues.forbidden("must be nil if limited.limitResponse.type is not Limited"));
        }
        ("Queue", false) => {
            errors.push(queues.required("must not be empty if limited.limitResponse.type is Limited"));
        }
        ("Queue", true) => queuing(&queues, errors),
        ("Reject", false) => {}
        _ => errors.push(kind.unsupported(&["Queue", "Reject"])),
    }
}

const QUEUES_MAX: i64 = 10_000_000;
/// The hash that deals the cards has so many bits to use.
const HASH_BITS: f64 = 60.0;

#[expect(clippy::cast_precision_loss, reason = "queues and hands are small numbers")]
fn queuing(queuing: &Node<'_, '_>, errors: &mut Errors) {
    let number = |field: &'static str| queuing.value.get(field).and_then(Value::as_i64).unwrap_or_default();
    let (length, deck, hand) = (number("queueLengthLimit"), number("queues"), number("handSize"));
    if length <= 0 {
        errors.push(queuing.at("queueLengthLimit").invalid_as(length, "must be positive"));
    }
    match deck {
        ..=0 => errors.push(queuing.at("queues").invalid_as(deck, "must be positive")),
        _ if deck > QUEUES_MAX => {
            errors.push(queuing.at("queues").invalid(format!("must not be greater than {QUEUES_MAX}")));
        }
        _ => {}
    }
    let size = queuing.at("handSize");
    if hand <= 0 {
        errors.push(size.invalid_as(hand, "must be positive"));
    } else if hand > deck {
        errors.push(size.invalid(format!("should not be greater than queues ({deck})")));
    } else if ((deck as f64).log2() * hand as f64).ceil() > HASH_BITS {
        errors.push(size.invalid(format!(
            "required entropy bits of deckSize {deck} and handSize {hand} should not be greater than 60"
        )));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_level_must_say() {
        let found = |name: &str, spec: Value| {
            let mut object = json!({"metadata": {"name": name}, "spec": spec});
            defaults(&mut object);
            let mut errors = Errors::new();
            validate(&Node::root(&object), &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let queue = |queuing: Value| json!({"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": queuing}}});
        for (spec, expected) in [
            (queue(json!({})), &[][..]),
            (
                json!({"type": "Limited"}),
                &["spec.limited: Required value: must not be empty when type is Limited"],
            ),
            (
                json!({"type": "X"}),
                &["spec.type: Unsupported value: \"X\": supported values: \"Exempt\", \"Limited\""],
            ),
            (
                json!({"type": "Exempt"}),
                &[
                    "spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'",
                ],
            ),
            (
                json!({"type": "Limited", "limited": {"lendablePercent": 101, "borrowingLimitPercent": -1, "limitResponse": {"type": "Queue"}}}),
                &[
                    "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
                    "spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer",
                    "spec.limited.limitResponse.queuing: Required value: must not be empty if limited.limitResponse.type is Limited",
                ],
            ),
            (
                queue(json!({"queues": 4, "handSize": 5, "queueLengthLimit": -1})),
                &[
                    "spec.limited.limitResponse.queuing.queueLengthLimit: Invalid value: -1: must be positive",
                    "spec.limited.limitResponse.queuing.handSize: Invalid value: 5: should not be greater than queues (4)",
                ],
            ),
            (
                queue(json!({"queues": 1024, "handSize": 7})),
                &[
                    "spec.limited.limitResponse.queuing.handSize: Invalid value: 7: required entropy bits of deckSize 1024 and handSize 7 should not be greater than 60",
                ],
            ),
        ] {
            assert_eq!(found("a", spec.clone()), expected, "{spec}");
        }
        assert_eq!(found("exempt", json!({"type": "Exempt"})), [""; 0]);
    }
}
