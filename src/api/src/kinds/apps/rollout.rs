//! How workloads replace their pods.

use serde_json::Value;

use super::rules::non_negative;
use crate::amount::Amount;
use crate::field::{Errors, FieldError, Node};
use crate::names;

pub(super) fn deployment(strategy: &Node<'_, '_>, errors: &mut Errors) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.at("type").text() {
        "Recreate" => {
            if rolling.is_set() {
                errors.push(rolling.forbidden("may not be specified when strategy `type` is 'Recreate'"));
            }
        }
        "RollingUpdate" if !rolling.is_set() => {
            errors.push(rolling.required("this should be defaulted and never be nil"));
        }
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
            amount(&unavailable, errors);
            amount(&surge, errors);
            if is_none(&unavailable) && is_none(&surge) {
                errors.push(unavailable.invalid("may not be 0 when `maxSurge` is 0"));
            }
            at_most_all(&unavailable, errors);
        }
        _ => errors.push(unknown(strategy, &["Recreate", "RollingUpdate"])),
    }
}

pub(super) fn daemon_set(strategy: &Node<'_, '_>, errors: &mut Errors) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.at("type").text() {
        "OnDelete" => {}
        "RollingUpdate" if !rolling.is_set() => errors.push(rolling.required("")),
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
            amount(&unavailable, errors);
            amount(&surge, errors);
            at_most_all(&unavailable, errors);
            at_most_all(&surge, errors);
            match (is_none(&unavailable), is_none(&surge)) {
                (true, true) => errors.push(unavailable.required("cannot be 0 when maxSurge is 0")),
                (false, false) => {
                    errors.push(surge.invalid("may not be set when maxUnavailable is non-zero"));
                }
                _ => {}
            }
        }
        _ => errors.push(unknown(strategy, &["RollingUpdate", "OnDelete"])),
    }
}

pub(super) fn stateful_set(strategy: &Node<'_, '_>, errors: &mut Errors) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.at("type").text() {
        "" => errors.push(strategy.required("")),
        "OnDelete" => {
            if rolling.is_set() {
                errors.push(rolling.invalid("only allowed for updateStrategy 'RollingUpdate'"));
            }
        }
        "RollingUpdate" => {
            non_negative(&rolling.at("partition"), errors);
            let unavailable = rolling.at("maxUnavailable");
            if unavailable.is_set() {
                amount(&unavailable, errors);
                if is_none(&unavailable) {
                    errors.push(unavailable.invalid("cannot be 0"));
                }
                at_most_all(&unavailable, errors);
            }
        }
        _ => errors.push(strategy.invalid("must be 'RollingUpdate' or 'OnDelete'")),
    }
}

/// Upstream shows the strategy as a whole.
fn unknown(strategy: &Node<'_, '_>, types: &[&str]) -> FieldError {
    FieldError { value: Some(strategy.value.clone()), ..strategy.unsupported(types) }
}

/// A number or a percentage.
pub(in crate::kinds) fn amount(amount: &Node<'_, '_>, errors: &mut Errors) {
    match (amount.value, Amount::parse(amount.value)) {
        (Value::String(_), None) => errors.push(amount.invalid(
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex \
             used for validation is '[0-9]+%')",
        )),
        (_, Some(Amount::Count(..0))) => errors.push(amount.invalid(names::NON_NEGATIVE)),
        _ => {}
    }
}

pub(in crate::kinds) fn at_most_all(amount: &Node<'_, '_>, errors: &mut Errors) {
    if matches!(Amount::parse(amount.value), Some(Amount::Percent(101..))) {
        errors.push(amount.invalid("must not be greater than 100%"));
    }
}

fn is_none(amount: &Node<'_, '_>) -> bool {
    matches!(Amount::parse(amount.value), None | Some(Amount::Count(0) | Amount::Percent(0)))
}
