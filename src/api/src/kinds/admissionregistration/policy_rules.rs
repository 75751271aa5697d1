//! Rules of admission policies and their bindings. Whether their expressions compile is not known here.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::conditions;
use super::webhook::{match_conditions, operations};
use crate::field::{Errors, Node};
use crate::metadata::validate_label_key;
use crate::names;
use crate::selector_rules;
use crate::value::text;

pub(super) fn validating(policy: &Node<'_, '_>, errors: &mut Errors) {
    let spec = policy.at("spec");
    matching(&spec, errors);
    variables(&spec.at("variables"), errors);
    let (validations, audits) = (spec.at("validations"), spec.at("auditAnnotations"));
    if validations.list().is_empty() && audits.list().is_empty() {
        for field in [&validations, &audits] {
            errors.push(field.required("validations or auditAnnotations must contain at least one item"));
        }
        return;
    }
    validations.items().for_each(|one| validation(&one, errors));
    audit(&audits, text(policy.value, "metadata.name"), errors);
}

pub(super) fn mutating(policy: &Node<'_, '_>, errors: &mut Errors) {
    let spec = policy.at("spec");
    matching(&spec, errors);
    variables(&spec.at("variables"), errors);
    let mutations = spec.at("mutations");
    if mutations.list().is_empty() {
        errors.push(mutations.required("mutations must contain at least one item"));
    }
    mutations.items().for_each(|one| mutation(&one, errors));
    spec.at("reinvocationPolicy").must_be_among(&["IfNeeded", "Never"], errors);
}

/// What a policy is about.
fn matching(spec: &Node<'_, '_>, errors: &mut Errors) {
    spec.at("failurePolicy").must_be_among(&["Fail", "Ignore"], errors);
    if spec.at("paramKind").is_set() {
        parameter_kind(&spec.at("paramKind"), errors);
    }
    let constraints = spec.at("matchConstraints");
    match constraints.is_set() {
        false => errors.push(constraints.required("")),
        true => {
            resources(&constraints, errors);
            // They say what the expressions will see.
            constraints.at("resourceRules").require(errors);
        }
    }
    match_conditions(&spec.at("matchConditions"), errors);
}

fn parameter_kind(kind: &Node<'_, '_>, errors: &mut Errors) {
    let (version, name) = (kind.at("apiVersion"), kind.at("kind"));
    if version.must_be_set(errors) {
        group_version(&version, errors);
    }
    if name.must_be_set(errors) {
        mixed_case(&name, errors);
    }
}

fn group_version(node: &Node<'_, '_>, errors: &mut Errors) {
    let (group, version) = match node.text().split('/').collect::<Vec<_>>()[..] {
        [version] => ("", version),
        [group, version] => (group, version),
        _ => return errors.push(node.invalid(format!("unexpected GroupVersion string: {}", node.text()))),
    };
    let joined = |text: &str, problems: names::Problems| node.invalid_as(text, problems.join(","));
    let problems = names::subdomain(group);
    if !group.is_empty() && !problems.is_empty() {
        errors.push(joined(group, problems));
    }
    let problems = names::dns_label_1035(version);
    if version.is_empty() {
        errors.push(node.invalid("version must be specified"));
    } else if !problems.is_empty() {
        errors.push(joined(version, problems));
    }
}

/// The name of a kind: `CronTab`.
pub(in crate::kinds) fn mixed_case(name: &Node<'_, '_>, errors: &mut Errors) {
    let problems = names::dns_label_1035(&name.text().to_lowercase());
    if !problems.is_empty() {
        let sentence = format!("may have mixed case, but should otherwise match: {}", problems.join(","));
        errors.push(name.invalid(sentence));
    }
}

fn resources(resources: &Node<'_, '_>, errors: &mut Errors) {
    resources.at("matchPolicy").must_be_among(&["Equivalent", "Exact"], errors);
    for selector in ["namespaceSelector", "objectSelector"] {
        let selector = resources.at(selector);
        match selector.is_set() {
            false => errors.push(selector.required("")),
            true => selector_rules::validate(&selector, errors),
        }
    }
    for rules in ["resourceRules", "excludeResourceRules"] {
        for rule in resources.at(rules).items() {
            let named = rule.at("resourceNames");
            named.items().for_each(|name| name.check(names::path_segment, errors));
            named.no_duplicates(errors);
            operations(&rule, errors);
        }
    }
}

const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

fn is_identifier(name: &str) -> bool {
    name.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
        && !RESERVED.contains(&name)
}

fn variables(variables: &Node<'_, '_>, errors: &mut Errors) {
    for variable in variables.items() {
        let (name, expression) = (variable.at("name"), variable.at("expression"));
        if name.text().trim().is_empty() {
            errors.push(name.required("name is not specified"));
        } else if !is_identifier(name.text()) {
            errors.push(name.invalid("name is not a valid CEL identifier"));
        }
        specified(&expression, "expression is not specified", errors);
    }
}

fn specified(expression: &Node<'_, '_>, missing: &str, errors: &mut Errors) {
    if expression.text().trim().is_empty() {
        errors.push(expression.required(missing));
    }
}

fn validation(validation: &Node<'_, '_>, errors: &mut Errors) {
    specified(&validation.at("expression"), "expression is not specified", errors);
    let (message, computed) = (validation.at("message"), validation.at("messageExpression"));
    if !computed.text().is_empty() && computed.text().trim().is_empty() {
        errors.push(computed.invalid("must be non-empty if specified"));
    }
    match message.text().trim() {
        "" if !message.text().is_empty() => {
            errors.push(message.invalid("message must be non-empty if specified"));
        }
        text if text.contains(['\n', '\r']) => {
            errors.push(message.invalid("message must not contain line breaks"));
        }
        _ => {}
    }
    validation
        .at("reason")
        .may_be_among(&["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"], errors);
}

const AUDITS_MAX: usize = 20;
const AUDIT_EXPRESSION_MAX: usize = 5 * 1024;

fn audit(annotations: &Node<'_, '_>, policy: &str, errors: &mut Errors) {
    if annotations.list().len() > AUDITS_MAX {
        errors.push(annotations.invalid(format!("must not have more than {AUDITS_MAX} auditAnnotations")));
    }
    let mut seen = BTreeSet::new();
    for annotation in annotations.items() {
        let (key, expression) = (annotation.at("key"), annotation.at("valueExpression"));
        match policy {
            "" => errors.push(key.invalid_as(key.text(), "requires metadata.name be non-empty")),
            _ => validate_label_key(&key, &format!("{policy}/{}", key.text()), errors),
        }
        specified(&expression, "valueExpression is not specified", errors);
        if expression.text().trim().len() > AUDIT_EXPRESSION_MAX {
            errors
                .push(expression.required(format!("must not exceed {AUDIT_EXPRESSION_MAX} bytes in length")));
        }
        if !seen.insert(text(annotation.value, "key")) {
            errors.push(key.duplicate());
        }
    }
}

fn mutation(mutation: &Node<'_, '_>, errors: &mut Errors) {
    let kind = mutation.at("patchType");
    kind.must_be_among(&["ApplyConfiguration", "JSONPatch"], errors);
    for (name, field) in [("ApplyConfiguration", "applyConfiguration"), ("JSONPatch", "jsonPatch")] {
        let patch = mutation.at(field);
        match (kind.text() == name, patch.is_set()) {
            (true, true) => specified(&patch.at("expression"), "expression is not specified", errors),
            (true, false) => {
                errors.push(patch.required(format!("must be specified when patchType is {name}")));
            }
            (false, true) if !kind.text().is_empty() => {
                errors.push(
                    patch.forbidden(format!("must not be specified when patchType is {}", kind.text())),
                );
            }
            (false, _) => {}
        }
    }
}

pub(super) fn binding(binding: &Node<'_, '_>, errors: &mut Errors) {
    let spec = binding.at("spec");
    spec.at("policyName").must_be(names::subdomain, errors);
    if spec.at("paramRef").is_set() {
        parameters(&spec.at("paramRef"), errors);
    }
    if spec.at("matchResources").is_set() {
        resources(&spec.at("matchResources"), errors);
    }
}

fn parameters(reference: &Node<'_, '_>, errors: &mut Errors) {
    const EITHER: &str = "name and selector are mutually exclusive";
    let (name, selector) = (reference.at("name"), reference.at("selector"));
    let named = !name.text().is_empty();
    name.check_given(names::path_segment, errors);
    if named && selector.is_set() {
        errors.push(name.forbidden(EITHER));
    }
    selector_rules::validate(&selector, errors);
    match (named, selector.is_set()) {
        (true, true) => errors.push(selector.forbidden(EITHER)),
        (false, false) => errors.push(reference.required("one of name or selector must be specified")),
        _ => {}
    }
    reference.at("parameterNotFoundAction").must_be_among(&["Deny", "Allow"], errors);
}

pub(super) fn validating_binding(object: &Node<'_, '_>, errors: &mut Errors) {
    binding(object, errors);
    let actions = object.at("spec.validationActions");
    for action in actions.items() {
        action.may_be_among(&["Audit", "Deny", "Warn"], errors);
    }
    actions.no_duplicates(errors);
    let has = |action: &str| actions.list().iter().any(|listed| listed == action);
    if has("Deny") && has("Warn") {
        errors.push(actions.invalid("must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"));
    }
    if actions.list().is_empty() {
        errors.push(actions.required("at least one validation action is required"));
    }
}

pub(super) fn status(new: &Node<'_, '_>, _: &Value, errors: &mut Errors) {
    for warning in new.at("status.typeChecking.expressionWarnings").items() {
        warning.at("warning").require(errors);
        warning.at("fieldRef").require(errors);
    }
    conditions::validate(&new.at("status.conditions"), errors);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::policy::{binding_defaults, defaults};
    use super::*;

    fn found(rules: fn(&Node<'_, '_>, &mut Errors), mut object: Value, spec: &Value) -> Vec<String> {
        object["spec"] = crate::patch::merge(object["spec"].clone(), spec).unwrap();
        defaults(&mut object);
        binding_defaults(&mut object);
        let mut errors = Errors::new();
        rules(&Node::root(&object), &mut errors);
        errors.iter().map(|error| error.to_string().replacen("spec.", "", 1)).collect()
    }

    #[test]
    fn what_a_policy_must_say() {
        let rule = json!({"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]});
        let base = json!({"metadata": {"name": "p"}, "spec": {"matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "true"}]}});
        for (spec, expected) in [
            (json!({}), &[][..]),
            (json!({"matchConstraints": null}), &["matchConstraints: Required value"]),
            (
                json!({"matchConstraints": {"resourceRules": []}}),
                &["matchConstraints.resourceRules: Required value"],
            ),
            (
                json!({"failurePolicy": "X"}),
                &["failurePolicy: Unsupported value: \"X\": supported values: \"Fail\", \"Ignore\""],
            ),
            (
                json!({"validations": []}),
                &[
                    "validations: Required value: validations or auditAnnotations must contain at least one item",
                    "auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
                ],
            ),
            (
                json!({"validations": [{"expression": " ", "message": "a\nb", "messageExpression": " "}]}),
                &[
                    "validations[0].expression: Required value: expression is not specified",
                    "validations[0].messageExpression: Invalid value: \" \": must be non-empty if specified",
                    "validations[0].message: Invalid value: \"a\\nb\": message must not contain line breaks",
                ],
            ),
            (
                json!({"variables": [{"name": "in", "expression": "1"}]}),
                &["variables[0].name: Invalid value: \"in\": name is not a valid CEL identifier"],
            ),
            (
                json!({"paramKind": {"apiVersion": "a.b/", "kind": "K"}}),
                &["paramKind.apiVersion: Invalid value: \"a.b/\": version must be specified"],
            ),
            (
                json!({"auditAnnotations": [{"key": "k", "valueExpression": "x"}, {"key": "k"}]}),
                &[
                    "auditAnnotations[1].valueExpression: Required value: valueExpression is not specified",
                    "auditAnnotations[1].key: Duplicate value: \"k\"",
                ],
            ),
        ] {
            assert_eq!(found(validating, base.clone(), &spec), expected, "{spec}");
        }
        let mut base = base;
        base["spec"]["reinvocationPolicy"] = "Never".into();
        for (spec, expected) in [
            (json!({}), &["mutations: Required value: mutations must contain at least one item"][..]),
            (
                json!({"mutations": [{"patchType": "JSONPatch"}]}),
                &["mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch"],
            ),
            (json!({"mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}]}), &[]),
        ] {
            assert_eq!(found(mutating, base.clone(), &spec), expected, "{spec}");
        }
    }

    #[test]
    fn what_a_binding_must_say() {
        let base = json!({"spec": {"policyName": "p", "validationActions": ["Deny"]}});
        for (spec, expected) in [
            (json!({}), &[][..]),
            (json!({"policyName": ""}), &["policyName: Required value"]),
            (
                json!({"validationActions": []}),
                &["validationActions: Required value: at least one validation action is required"],
            ),
            (
                json!({"validationActions": ["X", "Audit", "Audit"]}),
                &[
                    "validationActions[0]: Unsupported value: \"X\": supported values: \"Audit\", \"Deny\", \"Warn\"",
                    "validationActions[2]: Duplicate value: \"Audit\"",
                ],
            ),
            (
                json!({"paramRef": {"name": "n", "selector": {}, "parameterNotFoundAction": "Deny"}}),
                &[
                    "paramRef.name: Forbidden: name and selector are mutually exclusive",
                    "paramRef.selector: Forbidden: name and selector are mutually exclusive",
                ],
            ),
            (
                json!({"paramRef": {"parameterNotFoundAction": "X"}}),
                &[
                    "paramRef: Required value: one of name or selector must be specified",
                    "paramRef.parameterNotFoundAction: Unsupported value: \"X\": supported values: \"Deny\", \"Allow\"",
                ],
            ),
        ] {
            assert_eq!(found(validating_binding, base.clone(), &spec), expected, "{spec}");
        }
    }
}
