//! Webhooks.

use serde_json::{Value, json};

use crate::field::{Errors, Node};
use crate::names;
use crate::selector_rules;
use crate::table::{AGE, Column, NAME, Table, age, name};
use crate::value::{default_to, default_zero_to, items_mut, list};

pub(super) fn defaults(configuration: &mut Value) {
    for webhook in items_mut(configuration, "webhooks") {
        default_to(webhook, "failurePolicy", "Fail");
        default_to(webhook, "matchPolicy", "Equivalent");
        default_to(webhook, "namespaceSelector", json!({}));
        default_to(webhook, "objectSelector", json!({}));
        default_to(webhook, "timeoutSeconds", 10);
        items_mut(webhook, "rules").for_each(|rule| default_to(rule, "scope", "*"));
        if let Some(service) = webhook.get_mut("clientConfig").and_then(|config| config.get_mut("service")) {
            default_to(service, "port", 443);
        }
    }
}

pub(super) fn mutating_defaults(configuration: &mut Value) {
    defaults(configuration);
    items_mut(configuration, "webhooks")
        .for_each(|webhook| default_zero_to(webhook, "reinvocationPolicy", "Never"));
}

pub(super) fn validate(configuration: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = Vec::new();
    for webhook in configuration.at("webhooks").items() {
        let name = webhook.at("name");
        if seen.contains(&name.text()) {
            errors.push(name.duplicate());
        }
        seen.push(name.text());
        rules(&webhook, errors);
    }
}

fn rules(webhook: &Node<'_, '_>, errors: &mut Errors) {
    let (name, versions, effects) =
        (webhook.at("name"), webhook.at("admissionReviewVersions"), webhook.at("sideEffects"));
    qualified(&name, errors);
    if versions.list().is_empty() {
        errors.push(versions.required("must specify one of v1, v1beta1"));
    } else if !versions.list().iter().any(|version| version == "v1" || version == "v1beta1") {
        errors.push(versions.invalid("must include at least one of v1, v1beta1"));
    }
    match effects.text() {
        "" => errors.push(effects.required("must specify one of None, NoneOnDryRun")),
        "None" | "NoneOnDryRun" => {}
        _ => errors.push(effects.unsupported(&["None", "NoneOnDryRun"])),
    }
    for (field, words) in [("failurePolicy", ["Fail", "Ignore"]), ("matchPolicy", ["Equivalent", "Exact"])] {
        let field = webhook.at(field);
        if field.is_set() && !words.contains(&field.text()) {
            errors.push(field.unsupported(&words));
        }
    }
    let timeout = webhook.at("timeoutSeconds");
    if timeout.int().is_some_and(|seconds| !(1..=30).contains(&seconds)) {
        errors.push(timeout.invalid("the timeout value must be between 1 and 30 seconds"));
    }
    for selector in ["namespaceSelector", "objectSelector"] {
        selector_rules::validate(&webhook.at(selector), errors);
    }
    for rule in webhook.at("rules").items() {
        operations(&rule, errors);
    }
    client(&webhook.at("clientConfig"), errors);
}

/// A name with at least three parts.
fn qualified(name: &Node<'_, '_>, errors: &mut Errors) {
    match name.text() {
        "" => errors.push(name.required("")),
        text => {
            errors.extend(names::subdomain(text).into_iter().map(|problem| name.invalid(problem)));
            if text.split('.').count() < 3 {
                errors
                    .push(name.invalid("should be a domain with at least three segments separated by dots"));
            }
        }
    }
}

pub(super) fn operations(rule: &Node<'_, '_>, errors: &mut Errors) {
    for field in ["operations", "apiGroups", "apiVersions", "resources"] {
        let field = rule.at(field);
        if field.list().is_empty() {
            errors.push(field.required(""));
        }
    }
    let operations = rule.at("operations");
    for operation in operations.items() {
        if !matches!(operation.text(), "*" | "CONNECT" | "CREATE" | "DELETE" | "UPDATE") {
            errors.push(operation.unsupported(&["*", "CONNECT", "CREATE", "DELETE", "UPDATE"]));
        }
    }
    let scope = rule.at("scope");
    if scope.is_set() && !matches!(scope.text(), "*" | "Cluster" | "Namespaced") {
        errors.push(scope.unsupported(&["*", "Cluster", "Namespaced"]));
    }
}

fn client(config: &Node<'_, '_>, errors: &mut Errors) {
    let (url, service) = (config.at("url"), config.at("service"));
    match (url.is_set(), service.is_set()) {
        (true, false) => {
            if !url.text().starts_with("https://") {
                errors.push(url.invalid("'https' is the only allowed URL scheme"));
            }
        }
        (false, true) => {
            for field in ["name", "namespace"] {
                let field = service.at(field);
                if field.text().is_empty() {
                    errors.push(field.required(""));
                }
            }
        }
        _ => errors.push(config.required("exactly one of url or service is required")),
    }
}

pub(super) static TABLE: Table = Table {
    columns: &[NAME, Column::int("Webhooks"), AGE],
    cells: |configuration, now| {
        vec![name(configuration), list(configuration, "webhooks").len().into(), age(configuration, now)]
    },
};
