//! Where a pod may run: affinity, tolerations, spreading.

use std::collections::BTreeSet;

use serde_json::Value;

use super::spec::{choice, optional_choice};
use crate::field::{Errors, Node};
use crate::metadata::validate_label_key;
use crate::{names, selector_rules};

pub(super) fn validate(spec: &Node<'_, '_>, errors: &mut Errors) {
    node_affinity(&spec.at("affinity.nodeAffinity"), errors);
    for kind in ["affinity.podAffinity", "affinity.podAntiAffinity"] {
        pod_affinity(&spec.at(kind), errors);
    }
    for toleration in spec.at("tolerations").items() {
        tolerate(&toleration, errors);
    }
    spread(&spec.at("topologySpreadConstraints"), errors);
}

fn node_affinity(affinity: &Node<'_, '_>, errors: &mut Errors) {
    let required = affinity.at("requiredDuringSchedulingIgnoredDuringExecution");
    if required.is_set() {
        node_selector(&required, errors);
    }
    for preferred in affinity.at("preferredDuringSchedulingIgnoredDuringExecution").items() {
        weight(&preferred, errors);
        node_selector_term(&preferred.at("preference"), errors);
    }
}

/// The terms of a node selector: at least one.
pub(in crate::kinds) fn node_selector(selector: &Node<'_, '_>, errors: &mut Errors) {
    let terms = selector.at("nodeSelectorTerms");
    if terms.list().is_empty() {
        errors.push(terms.required("must have at least one node selector term"));
    }
    for term in terms.items() {
        node_selector_term(&term, errors);
    }
}

fn node_selector_term(term: &Node<'_, '_>, errors: &mut Errors) {
    for expression in term.at("matchExpressions").items() {
        node_requirement(&expression, errors);
        validate_label_key(&expression.at("key"), expression.at("key").text(), errors);
    }
    for field in term.at("matchFields").items() {
        let (key, operator) = (field.at("key"), field.at("operator"));
        if !matches!(operator.text(), "In" | "NotIn") {
            errors.push(operator.invalid("not a valid selector operator"));
        } else if field.at("values").list().len() != 1 {
            errors.push(field.at("values").required(
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            ));
        }
        if key.text() != "metadata.name" {
            errors.push(key.invalid_as(key.text(), "not a valid field selector key"));
        }
    }
}

fn node_requirement(requirement: &Node<'_, '_>, errors: &mut Errors) {
    let (operator, values) = (requirement.at("operator"), requirement.at("values"));
    let count = values.list().len();
    match operator.text() {
        "In" | "NotIn" if count == 0 => {
            errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            errors
                .push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        }
        "Gt" | "Lt" if count != 1 => {
            errors.push(values.required("must be specified single value when `operator` is 'Lt' or 'Gt'"));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        _ => errors.push(operator.invalid_as(operator.text(), "not a valid selector operator")),
    }
}

fn weight(preferred: &Node<'_, '_>, errors: &mut Errors) {
    let weight = preferred.at("weight");
    if !(1..=100).contains(&weight.int().unwrap_or_default()) {
        errors.push(weight.invalid("must be in the range 1-100"));
    }
}

fn pod_affinity(affinity: &Node<'_, '_>, errors: &mut Errors) {
    for term in affinity.at("requiredDuringSchedulingIgnoredDuringExecution").items() {
        pod_affinity_term(&term, errors);
    }
    for preferred in affinity.at("preferredDuringSchedulingIgnoredDuringExecution").items() {
        weight(&preferred, errors);
        pod_affinity_term(&preferred.at("podAffinityTerm"), errors);
    }
}

fn pod_affinity_term(term: &Node<'_, '_>, errors: &mut Errors) {
    selector_rules::validate(&term.at("labelSelector"), errors);
    selector_rules::validate(&term.at("namespaceSelector"), errors);
    for namespace in term.at("namespaces").items() {
        errors
            .extend(names::dns_label(namespace.text()).into_iter().map(|problem| namespace.invalid(problem)));
    }
    let key = term.at("topologyKey");
    if key.text().is_empty() {
        errors.push(key.required("can not be empty"));
    }
    validate_label_key(&key, key.text(), errors);
}

fn tolerate(toleration: &Node<'_, '_>, errors: &mut Errors) {
    let (key, operator, effect) = (toleration.at("key"), toleration.at("operator"), toleration.at("effect"));
    if !key.text().is_empty() {
        validate_label_key(&key, key.text(), errors);
    } else if operator.text() != "Exists" {
        errors.push(operator.invalid_as(
            operator.text(),
            "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
        ));
    }
    if toleration.at("tolerationSeconds").is_set() && effect.text() != "NoExecute" {
        errors.push(
            effect.invalid_as(effect.text(), "effect must be 'NoExecute' when `tolerationSeconds` is set"),
        );
    }
    let value = toleration.at("value");
    match operator.text() {
        "Equal" | "" => {
            let problems = names::label_value(value.text());
            if !problems.is_empty() {
                errors.push(operator.invalid_as(value.text(), problems.join(";")));
            }
        }
        "Exists" => {
            if !value.text().is_empty() {
                errors.push(
                    operator.invalid_as(
                        toleration.value.clone(),
                        "value must be empty when `operator` is 'Exists'",
                    ),
                );
            }
        }
        _ => errors.push(operator.unsupported(&["Equal", "Exists"])),
    }
    if !effect.text().is_empty() {
        choice(&effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"], errors);
    }
}

fn spread(constraints: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for constraint in constraints.items() {
        let (skew, key) = (constraint.at("maxSkew"), constraint.at("topologyKey"));
        if skew.int().unwrap_or_default() <= 0 {
            errors.push(skew.invalid_as(skew.int().unwrap_or_default(), "must be greater than zero"));
        }
        match key.text() {
            "" => errors.push(key.required("can not be empty")),
            text => validate_label_key(&key, text, errors),
        }
        let when = constraint.at("whenUnsatisfiable");
        if !matches!(when.text(), "DoNotSchedule" | "ScheduleAnyway") {
            errors.push(when.unsupported(&["DoNotSchedule", "ScheduleAnyway"]));
        }
        if !seen.insert((key.text(), when.text())) {
            errors.push(constraint.duplicate_as(format!("{{{}, {}}}", key.text(), when.text())));
        }
        min_domains(&constraint, when.text(), errors);
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            optional_choice(&constraint.at(policy), &["Honor", "Ignore"], errors);
        }
        selector_rules::validate(&constraint.at("labelSelector"), errors);
    }
}

fn min_domains(constraint: &Node<'_, '_>, when: &str, errors: &mut Errors) {
    let domains = constraint.at("minDomains");
    match domains.value {
        Value::Null => {}
        _ if domains.int().unwrap_or_default() <= 0 => {
            errors.push(domains.invalid("must be greater than zero"));
        }
        _ if when != "DoNotSchedule" => errors.push(
            domains
                .invalid(format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}")),
        ),
        _ => {}
    }
}
