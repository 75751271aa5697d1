//! When a job has failed, succeeded, or makes a pod anew: the policies it may bring.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::apps::rules::non_negative;
use super::indexes;
use crate::field::{Errors, Node};
use crate::names;
use crate::value::{list, text};

const RULES_MAX: usize = 20;
const EXIT_CODES_MAX: usize = 255;
const PATTERNS_MAX: usize = 20;
const INDEXES_LENGTH_MAX: usize = 64 * 1024;

const ACTIONS: &[&str] = &["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: &[&str] = &["In", "NotIn"];
const STATUSES: &[&str] = &["False", "True", "Unknown"];

/// A field that must hold one of these words, which are shown if it holds none.
fn word(field: &Node<'_, '_>, words: &[&str], errors: &mut Errors) {
    match field.text() {
        "" => {
            let shown: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
            errors.push(field.required(format!("valid values: [{}]", shown.join(" "))));
        }
        text if !words.contains(&text) => errors.push(field.unsupported(words)),
        _ => {}
    }
}

pub(super) fn replacement(spec: &Node<'_, '_>, errors: &mut Errors) {
    let policy = spec.at("podReplacementPolicy");
    let words: &[&str] = match spec.at("podFailurePolicy").is_set() {
        true => &["Failed"],
        false => &["Failed", "TerminatingOrFailed"],
    };
    if policy.is_set() && !words.contains(&policy.text()) {
        errors.push(policy.unsupported(words));
    }
}

pub(super) fn failure(spec: &Node<'_, '_>, errors: &mut Errors) {
    let rules = spec.at("podFailurePolicy.rules");
    if rules.list().len() > RULES_MAX {
        errors.push(rules.too_many(rules.list().len(), RULES_MAX));
    }
    for rule in rules.items() {
        let action = rule.at("action");
        word(&action, ACTIONS, errors);
        if action.text() == "FailIndex" && !spec.at("backoffLimitPerIndex").is_set() {
            errors.push(action.invalid("requires the backoffLimitPerIndex to be set"));
        }
        let (codes, conditions) = (rule.at("onExitCodes"), rule.at("onPodConditions"));
        if codes.is_set() {
            exit_codes(&codes, spec.value, errors);
        }
        patterns(&conditions, errors);
        match (codes.is_set(), conditions.list().is_empty()) {
            (true, false) => errors.push(
                rule.invalid_unshown("specifying both OnExitCodes and OnPodConditions is not supported"),
            ),
            (false, true) => errors
                .push(rule.invalid_unshown("specifying one of OnExitCodes and OnPodConditions is required")),
            _ => {}
        }
    }
}

fn exit_codes(codes: &Node<'_, '_>, spec: &Value, errors: &mut Errors) {
    let operator = codes.at("operator");
    word(&operator, OPERATORS, errors);
    let container = codes.at("containerName");
    let named = |kind| list(spec, kind).iter().any(|one| text(one, "name") == container.text());
    let known = ["template.spec.containers", "template.spec.initContainers"].into_iter().any(named);
    if container.is_set() && !known {
        let detail = "must be one of the container or initContainer names in the pod template";
        errors.push(container.invalid(detail));
    }
    let values = codes.at("values");
    match values.list().len() {
        0 => errors.push(values.invalid_as(values.list().to_vec(), "at least one value is required")),
        count if count > EXIT_CODES_MAX => errors.push(values.too_many(count, EXIT_CODES_MAX)),
        _ => {}
    }
    let mut seen = BTreeSet::new();
    for value in values.items() {
        let code = value.int().unwrap_or_default();
        if operator.text() == "In" && code == 0 {
            errors.push(value.invalid("must not be 0 for the In operator"));
        }
        if !seen.insert(code) {
            errors.push(value.duplicate());
        }
    }
    if !values.list().is_sorted_by_key(|value| value.as_i64().unwrap_or_default()) {
        errors.push(values.invalid("must be ordered"));
    }
}

fn patterns(patterns: &Node<'_, '_>, errors: &mut Errors) {
    if patterns.list().len() > PATTERNS_MAX {
        errors.push(patterns.too_many(patterns.list().len(), PATTERNS_MAX));
    }
    for pattern in patterns.items() {
        pattern.at("type").check(names::qualified_name, errors);
        word(&pattern.at("status"), STATUSES, errors);
    }
}

pub(super) fn success(spec: &Node<'_, '_>, errors: &mut Errors) {
    let policy = spec.at("successPolicy");
    if !policy.is_set() {
        return;
    }
    if spec.at("completionMode").text() != "Indexed" {
        return errors.push(policy.invalid("requires indexed completion mode"));
    }
    let rules = policy.at("rules");
    match rules.list().len() {
        0 => errors
            .push(rules.required("at least one rules must be specified when the successPolicy is specified")),
        count if count > RULES_MAX => errors.push(rules.too_many(count, RULES_MAX)),
        _ => {}
    }
    let completions = spec.at("completions").int().unwrap_or_default();
    rules.items().for_each(|rule| success_rule(&rule, completions, errors));
}

fn success_rule(rule: &Node<'_, '_>, completions: i64, errors: &mut Errors) {
    let (count, picked) = (rule.at("succeededCount"), rule.at("succeededIndexes"));
    if !count.is_set() && !picked.is_set() {
        errors.push(rule.required("at least one of succeededCount or succeededIndexes must be specified"));
    }
    let mut total = 0;
    if picked.is_set() {
        if picked.text().len() > INDEXES_LENGTH_MAX {
            errors.push(picked.too_long(INDEXES_LENGTH_MAX));
        }
        match indexes::count(picked.text(), completions) {
            Ok(count) => total = count,
            Err(error) => errors.push(picked.invalid(format!("error parsing succeededIndexes: {error}"))),
        }
    }
    let Some(number) = count.int() else { return };
    non_negative(&count, errors);
    if number > completions {
        errors.push(count.invalid(format!(
            "must be less than or equal to {completions} (the number of specified completions)"
        )));
    }
    if picked.is_set() && number > total {
        errors.push(count.invalid(format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        )));
    }
}
