//! Admission policies and their bindings.

use serde_json::{Value, json};

use super::webhook::operations;
use crate::field::{Errors, Node};
use crate::table::{AGE, NAME, Column, Table, age, name, or, selector_or_none};
use crate::value::{at, default_to, items_mut, list, text};

pub(super) fn defaults(policy: &mut Value) {
    let Some(spec) = policy.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    default_to(spec, "failurePolicy", "Fail");
    if let Some(resources) = spec.get_mut("matchConstraints") {
        match_resources(resources);
    }
}

pub(super) fn binding_defaults(binding: &mut Value) {
    if let Some(resources) = binding.get_mut("spec").and_then(|spec| spec.get_mut("matchResources")) {
        match_resources(resources);
    }
}

fn match_resources(resources: &mut Value) {
    default_to(resources, "matchPolicy", "Equivalent");
    default_to(resources, "namespaceSelector", json!({}));
    default_to(resources, "objectSelector", json!({}));
    for rules in ["resourceRules", "excludeResourceRules"] {
        items_mut(resources, rules).for_each(|rule| default_to(rule, "scope", "*"));
    }
}

pub(super) fn validating(policy: &Node<'_, '_>, errors: &mut Errors) {
    let spec = policy.at("spec");
    constraints(&spec, errors);
    let validations = spec.at("validations");
    if validations.list().is_empty() && spec.at("auditAnnotations").list().is_empty() {
        errors.push(validations.required("validations or auditAnnotations must contain at least one item"));
    }
    for validation in validations.items() {
        let expression = validation.at("expression");
        if expression.text().trim().is_empty() {
            errors.push(expression.required("expression is not specified"));
        }
    }
}

pub(super) fn mutating(policy: &Node<'_, '_>, errors: &mut Errors) {
    let spec = policy.at("spec");
    constraints(&spec, errors);
    let mutations = spec.at("mutations");
    if mutations.list().is_empty() {
        errors.push(mutations.required("mutations must contain at least one item"));
    }
    let again = spec.at("reinvocationPolicy");
    match again.text() {
        "" => errors.push(again.required("")),
        "Never" | "IfNeeded" => {}
        _ => errors.push(again.unsupported(&["IfNeeded", "Never"])),
    }
}

fn constraints(spec: &Node<'_, '_>, errors: &mut Errors) {
    let failure = spec.at("failurePolicy");
    if failure.is_set() && !matches!(failure.text(), "Fail" | "Ignore") {
        errors.push(failure.unsupported(&["Fail", "Ignore"]));
    }
    let constraints = spec.at("matchConstraints");
    let rules = constraints.at("resourceRules");
    match constraints.is_set() {
        false => errors.push(constraints.required("")),
        true if rules.list().is_empty() => errors.push(rules.required("")),
        true => rules.items().for_each(|rule| operations(&rule, errors)),
    }
}

pub(super) fn binding(binding: &Node<'_, '_>, errors: &mut Errors) {
    let policy = binding.at("spec.policyName");
    if policy.text().is_empty() {
        errors.push(policy.required(""));
    }
    let parameters = binding.at("spec.paramRef");
    let (name, selector) = (parameters.at("name"), parameters.at("selector"));
    if parameters.is_set() && name.text().is_empty() != selector.is_set() {
        errors.push(name.forbidden("name and selector are mutually exclusive, and one of them is required"));
    }
}

pub(super) fn validating_binding(object: &Node<'_, '_>, errors: &mut Errors) {
    binding(object, errors);
    let actions = object.at("spec.validationActions");
    if actions.list().is_empty() {
        errors.push(actions.required("at least one validation action is required"));
    }
    for action in actions.items().filter(|action| !matches!(action.text(), "Audit" | "Deny" | "Warn")) {
        errors.push(action.unsupported(&["Audit", "Deny", "Warn"]));
    }
    let has = |action: &str| actions.list().iter().any(|listed| listed == action);
    if has("Deny") && has("Warn") {
        errors.push(actions.invalid("must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"));
    }
}

const PARAMETERS: Column = Column::text("ParamKind");

pub(super) static VALIDATING_TABLE: Table = Table {
    columns: &[NAME, Column::int("Validations"), PARAMETERS, AGE],
    cells: |policy, now| {
        vec![
            name(policy),
            list(policy, "spec.validations").len().into(),
            parameters(policy).into(),
            age(policy, now),
        ]
    },
};

pub(super) static MUTATING_TABLE: Table = Table {
    columns: &[NAME, Column::int("Mutations"), PARAMETERS, AGE],
    cells: |policy, now| {
        vec![
            name(policy),
            list(policy, "spec.mutations").len().into(),
            parameters(policy).into(),
            age(policy, now),
        ]
    },
};

fn parameters(policy: &Value) -> String {
    match at(policy, "spec.paramKind") {
        Value::Null => "<unset>".to_owned(),
        kind => format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind")),
    }
}

pub(super) static BINDING_TABLE: Table = Table {
    columns: &[NAME, Column::text("PolicyName"), Column::text("ParamRef"), AGE],
    cells: |binding, now| {
        let parameters = match at(binding, "spec.paramRef") {
            Value::Null => "<unset>".to_owned(),
            reference => match (text(reference, "namespace"), text(reference, "name")) {
                (_, "") => selector_or_none(at(reference, "selector")),
                (namespace, name) => format!("{}/{name}", or(namespace, "*")),
            },
        };
        vec![name(binding), text(binding, "spec.policyName").into(), parameters.into(), age(binding, now)]
    },
};
