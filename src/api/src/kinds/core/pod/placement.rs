//! Where a pod may run: affinity, tolerations, spreading.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::field::{Errors, Node};
use crate::metadata::validate_label_key;
use crate::value::{at, items_mut, list, members, object, text};
use crate::{names, selector_rules};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn affinity(affinity: &Node<'_, '_>, errors: &mut Errors) {
    node_affinity(&affinity.at("nodeAffinity"), errors);
    for kind in ["podAffinity", "podAntiAffinity"] {
        pod_affinity(&affinity.at(kind), errors);
    }
}

fn node_affinity(affinity: &Node<'_, '_>, errors: &mut Errors) {
    let required = affinity.at(REQUIRED);
    if required.is_set() {
        node_selector(&required, errors);
    }
    for preferred in affinity.at(PREFERRED).items() {
        weight(&preferred, errors);
        node_selector_term(&preferred.at("preference"), Values::AsTheyAre, errors);
    }
}

/// Whether the values of a node selector must be such that a label can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    OfLabels,
    /// A wish that nothing fulfils does no harm.
    AsTheyAre,
}

/// The terms of a node selector: at least one.
pub(in crate::kinds) fn node_selector(selector: &Node<'_, '_>, errors: &mut Errors) {
    let terms = selector.at("nodeSelectorTerms");
    if terms.list().is_empty() {
        return errors.push(terms.required("must have at least one node selector term"));
    }
    for term in terms.items() {
        node_selector_term(&term, Values::OfLabels, errors);
    }
}

fn node_selector_term(term: &Node<'_, '_>, values: Values, errors: &mut Errors) {
    for expression in term.at("matchExpressions").items() {
        node_requirement(&expression, errors);
        validate_label_key(&expression.at("key"), expression.at("key").text(), errors);
        if values == Values::OfLabels {
            expression.at("values").items().for_each(|value| value.check(names::label_value, errors));
        }
    }
    for field in term.at("matchFields").items() {
        let (key, operator) = (field.at("key"), field.at("operator"));
        if !matches!(operator.text(), "In" | "NotIn") {
            errors.push(operator.invalid_as(operator.text(), "not a valid selector operator"));
        } else if field.at("values").list().len() != 1 {
            errors.push(field.at("values").required(
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            ));
        }
        if key.text() != "metadata.name" {
            errors.push(key.invalid_as(key.text(), "not a valid field selector key"));
        } else {
            field.at("values").items().for_each(|name| name.check(names::subdomain, errors));
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
        errors.push(weight.invalid_as(weight.int().unwrap_or_default(), "must be in the range 1-100"));
    }
}

fn pod_affinity(affinity: &Node<'_, '_>, errors: &mut Errors) {
    for term in affinity.at(REQUIRED).items() {
        pod_affinity_term(&term, errors);
    }
    for preferred in affinity.at(PREFERRED).items() {
        weight(&preferred, errors);
        pod_affinity_term(&preferred.at("podAffinityTerm"), errors);
    }
}

fn pod_affinity_term(term: &Node<'_, '_>, errors: &mut Errors) {
    selector_rules::validate(&term.at("labelSelector"), errors);
    selector_rules::validate(&term.at("namespaceSelector"), errors);
    for namespace in term.at("namespaces").items() {
        namespace.named(term.path.field("namespace")).check(names::dns_label, errors);
    }
    label_keys(term, errors);
    let key = term.at("topologyKey");
    if key.text().is_empty() {
        errors.push(key.required("can not be empty"));
    }
    validate_label_key(&key, key.text(), errors);
}

/// Labels of the pod itself that another must have, or must not have, with the same value.
fn label_keys(term: &Node<'_, '_>, errors: &mut Errors) {
    let (same, other) = (term.at("matchLabelKeys"), term.at("mismatchLabelKeys"));
    let selector = term.at("labelSelector");
    for keys in [&same, &other].into_iter().filter(|keys| !keys.list().is_empty()) {
        match selector.is_set() {
            false => errors.push(keys.forbidden("must not be specified when labelSelector is not set")),
            true => keys.items().for_each(|key| key.check(names::qualified_name, errors)),
        }
    }
    // The key's own expression was added by `select_by_own_labels`: another one about the same key cannot be meant.
    let mut selected: BTreeSet<&str> =
        members(selector.value, "matchLabels").map(|(key, _)| key.as_str()).collect();
    for expression in list(selector.value, "matchExpressions") {
        let key = text(expression, "key");
        let position = same.list().iter().position(|same| same == key);
        if let Some(position) = position.filter(|_| selected.contains(key)) {
            let at = Node { value: selector.value, path: term.path.index(position) };
            errors.push(at.invalid_as(key, "exists in both matchLabelKeys and labelSelector"));
        }
        selected.insert(key);
    }
    for key in same.items().filter(|key| other.list().contains(key.value)) {
        errors.push(key.invalid("exists in both matchLabelKeys and mismatchLabelKeys"));
    }
}

/// Adds to the selectors of a new pod what the keys beside them stand for: the values of the pod's own labels. A scheduler
/// reads the selectors alone.
pub(super) fn select_by_own_labels(pod: &mut Value) {
    let labels = at(pod, "metadata.labels").clone();
    let Some(spec) = pod.get_mut("spec") else { return };
    items_mut(spec, "topologySpreadConstraints").for_each(|constraint| select_by(constraint, &labels));
    let Some(affinity) = spec.get_mut("affinity") else { return };
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(terms) = affinity.get_mut(kind) else { continue };
        items_mut(terms, REQUIRED).for_each(|term| select_by(term, &labels));
        for preferred in items_mut(terms, PREFERRED) {
            preferred.get_mut("podAffinityTerm").into_iter().for_each(|term| select_by(term, &labels));
        }
    }
}

fn select_by(term: &mut Value, labels: &Value) {
    if !at(term, "labelSelector").is_object() {
        return;
    }
    let mut added = Vec::new();
    for (keys, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        for key in list(term, keys) {
            if let Some(value) = key.as_str().and_then(|key| labels.get(key)) {
                added.push(json!({"key": key, "operator": operator, "values": [value]}));
            }
        }
    }
    if added.is_empty() {
        return;
    }
    let mut expressions = list(term, "labelSelector.matchExpressions").to_vec();
    expressions.extend(added);
    if let Some(selector) = object(term, "labelSelector") {
        selector.insert("matchExpressions".into(), expressions.into());
    }
}

pub(in crate::kinds) fn tolerations(tolerations: &Node<'_, '_>, errors: &mut Errors) {
    tolerations.items().for_each(|toleration| tolerate(&toleration, errors));
}

fn tolerate(toleration: &Node<'_, '_>, errors: &mut Errors) {
    let (key, operator, effect) = (toleration.at("key"), toleration.at("operator"), toleration.at("effect"));
    key.check_given(names::qualified_name, errors);
    if key.text().is_empty() && operator.text() != "Exists" {
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
    operand(toleration, errors);
    if !effect.text().is_empty() {
        effect.only_among(EFFECTS, errors);
    }
}

pub(in crate::kinds) const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// The value a toleration compares with.
fn operand(toleration: &Node<'_, '_>, errors: &mut Errors) {
    let (operator, value) = (toleration.at("operator"), toleration.at("value"));
    match operator.text() {
        "Equal" | "" => {
            let problems = names::label_value(value.text());
            if !problems.is_empty() {
                errors.push(operator.invalid_as(value.text(), problems.join(";")));
            }
        }
        "Exists" if !value.text().is_empty() => {
            let detail = "value must be empty when `operator` is 'Exists'";
            errors.push(operator.invalid_as(value.text(), detail));
        }
        "Exists" => {}
        "Gt" | "Lt" => value.check(names::decimal_integer, errors),
        _ => errors.push(operator.unsupported(&["Equal", "Exists", "Lt", "Gt"])),
    }
}

const UNSATISFIABLE: &[&str] = &["DoNotSchedule", "ScheduleAnyway"];

pub(super) fn spread(constraints: &Node<'_, '_>, errors: &mut Errors) {
    let kind = |constraint: &Value| {
        (text(constraint, "topologyKey").to_owned(), text(constraint, "whenUnsatisfiable").to_owned())
    };
    for (index, constraint) in constraints.items().enumerate() {
        let (skew, key) = (constraint.at("maxSkew"), constraint.at("topologyKey"));
        if skew.int().unwrap_or_default() <= 0 {
            errors.push(skew.invalid_as(skew.int().unwrap_or_default(), POSITIVE));
        }
        if key.text().is_empty() {
            errors.push(key.required("can not be empty"));
        }
        let when = constraint.at("whenUnsatisfiable");
        when.only_among(UNSATISFIABLE, errors);
        let rest = constraints.list().iter().skip(index + 1);
        if rest.map(kind).any(|other| other == kind(constraint.value)) {
            let pair = constraint.at("{topologyKey, whenUnsatisfiable}");
            errors.push(pair.duplicate_as(format!("{{{}, {}}}", key.text(), when.text())));
        }
        min_domains(&constraint, when.text(), errors);
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            constraint.at(policy).may_be_among(&["Honor", "Ignore"], errors);
        }
        label_keys(&constraint, errors);
        selector_rules::validate(&constraint.at("labelSelector"), errors);
    }
}

const POSITIVE: &str = "must be greater than zero";

fn min_domains(constraint: &Node<'_, '_>, when: &str, errors: &mut Errors) {
    let domains = constraint.at("minDomains");
    if !domains.is_set() {
        return;
    }
    if domains.int().unwrap_or_default() <= 0 {
        errors.push(domains.invalid(POSITIVE));
    }
    if when != "DoNotSchedule" {
        errors.push(
            domains
                .invalid(format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}")),
        );
    }
}
