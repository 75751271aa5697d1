//! Webhooks.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::field::{Errors, Node};
use crate::names;
use crate::selector_rules;
use crate::table::{AGE, Column, NAME, Table, age, name};
use crate::value::{default_to, default_zero_to, items_mut, list, text};

pub(super) fn defaults(configuration: &mut Value) {
    for webhook in items_mut(configuration, "webhooks") {
        default_to(webhook, "failurePolicy", "Fail");
        default_to(webhook, "matchPolicy", "Equivalent");
        default_to(webhook, "namespaceSelector", json!({}));
        default_to(webhook, "objectSelector", json!({}));
        default_to(webhook, "timeoutSeconds", 10);
        items_mut(webhook, "rules").for_each(|rule| default_to(rule, "scope", "*"));
        client_defaults(webhook);
    }
}

/// Where whoever is asked listens, if that is a Service.
pub(in crate::kinds) fn client_defaults(webhook: &mut Value) {
    if let Some(service) = webhook.get_mut("clientConfig").and_then(|config| config.get_mut("service")) {
        default_to(service, "port", 443);
    }
}

pub(super) fn mutating_defaults(configuration: &mut Value) {
    defaults(configuration);
    items_mut(configuration, "webhooks")
        .for_each(|webhook| default_zero_to(webhook, "reinvocationPolicy", "Never"));
}

/// Versions of the question that this server speaks.
const REVIEWS: [&str; 2] = ["v1", "v1beta1"];

pub(super) fn validate(configuration: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for webhook in configuration.at("webhooks").items() {
        rules(&webhook, errors);
        reviews(&webhook.at("admissionReviewVersions"), errors);
        let name = webhook.at("name");
        if !name.text().is_empty() && !seen.insert(text(webhook.value, "name")) {
            errors.push(name.duplicate());
        }
    }
}

fn rules(webhook: &Node<'_, '_>, errors: &mut Errors) {
    qualified(&webhook.at("name"), errors);
    for rule in webhook.at("rules").items() {
        operations(&rule, errors);
    }
    webhook.at("failurePolicy").may_be_among(&["Fail", "Ignore"], errors);
    webhook.at("matchPolicy").may_be_among(&["Equivalent", "Exact"], errors);
    let effects = webhook.at("sideEffects");
    match effects.is_set() {
        false => errors.push(effects.required("must specify one of None, NoneOnDryRun")),
        true => effects.may_be_among(&["None", "NoneOnDryRun"], errors),
    }
    let timeout = webhook.at("timeoutSeconds");
    if timeout.int().is_some_and(|seconds| !(1..=30).contains(&seconds)) {
        errors.push(timeout.invalid("the timeout value must be between 1 and 30 seconds"));
    }
    for selector in ["namespaceSelector", "objectSelector"] {
        selector_rules::validate(&webhook.at(selector), errors);
    }
    webhook.at("reinvocationPolicy").may_be_among(&["IfNeeded", "Never"], errors);
    client(&webhook.at("clientConfig"), errors);
    match_conditions(&webhook.at("matchConditions"), errors);
}

/// A name with at least three parts.
fn qualified(name: &Node<'_, '_>, errors: &mut Errors) {
    if !name.must_be_set(errors) {
        return;
    }
    match &names::subdomain(name.text())[..] {
        [] if name.text().split('.').count() < 3 => {
            errors.push(name.invalid("should be a domain with at least three segments separated by dots"));
        }
        problems => name.complain_once(problems, errors),
    }
}

fn reviews(versions: &Node<'_, '_>, errors: &mut Errors) {
    if versions.list().is_empty() {
        return errors.push(versions.required("must specify one of v1, v1beta1"));
    }
    review_versions(versions, errors);
}

/// Versions of a question to a webhook: each named once, and one of them known.
pub(in crate::kinds) fn review_versions(versions: &Node<'_, '_>, errors: &mut Errors) {
    for (index, version) in versions.items().enumerate() {
        match versions.list().iter().take(index).any(|before| before == version.value) {
            true => errors.push(version.invalid("duplicate version")),
            false => version.check(names::dns_label_1035, errors),
        }
    }
    if !versions.items().any(|version| REVIEWS.contains(&version.text())) {
        errors.push(versions.invalid("must include at least one of v1, v1beta1"));
    }
}

pub(super) fn operations(rule: &Node<'_, '_>, errors: &mut Errors) {
    let operations = rule.at("operations");
    members(&operations, "operations", errors);
    for operation in operations.items() {
        operation.may_be_among(&["*", "CONNECT", "CREATE", "DELETE", "UPDATE"], errors);
    }
    members(&rule.at("apiGroups"), "API groups", errors);
    let versions = rule.at("apiVersions");
    members(&versions, "API versions", errors);
    versions.items().for_each(|version| version.require(errors));
    resources(&rule.at("resources"), errors);
    rule.at("scope").may_be_among(&["*", "Cluster", "Namespaced"], errors);
}

/// A list that is not empty, and says either `*` or other things.
fn members(list: &Node<'_, '_>, what: &str, errors: &mut Errors) {
    list.require(errors);
    if list.list().len() > 1 && list.list().iter().any(|member| member == "*") {
        errors.push(list.invalid(format!("if '*' is present, must not specify other {what}")));
    }
}

/// `pods`, `pods/status`, `pods/*`, `*/scale`, `*`, `*/*`: none that another one includes.
fn resources(resources: &Node<'_, '_>, errors: &mut Errors) {
    resources.require(errors);
    let (mut whole, mut everywhere) = (BTreeSet::new(), BTreeSet::new());
    let mut plain = false;
    for resource in resources.items() {
        resource.require(errors);
        let Some((name, sub)) = resource.value.as_str().and_then(|text| text.split_once('/')) else {
            if !resource.text().is_empty() {
                plain = resource.text() != "*";
            }
            continue;
        };
        if whole.contains(name) {
            errors.push(
                resource.invalid(format!("if '{name}/*' is present, must not specify {}", resource.text())),
            );
        }
        if everywhere.contains(sub) {
            errors.push(
                resource.invalid(format!("if '*/{sub}' is present, must not specify {}", resource.text())),
            );
        }
        if sub == "*" {
            whole.insert(name);
        }
        if name == "*" {
            everywhere.insert(sub);
        }
    }
    let has = |text: &str| resources.list().iter().any(|resource| resource == text);
    if resources.list().len() > 1 && has("*/*") {
        errors.push(resources.invalid("if '*/*' is present, must not specify other resources"));
    }
    if has("*") && plain {
        errors.push(
            resources.invalid("if '*' is present, must not specify other resources without subresources"),
        );
    }
}

/// Where a webhook listens: at a URL or behind a Service.
pub(in crate::kinds) fn client(config: &Node<'_, '_>, errors: &mut Errors) {
    let (location, service) = (config.at("url"), config.at("service"));
    match (location.is_set(), service.is_set()) {
        (true, false) => url(&location, errors),
        (false, true) => backend(&service, errors),
        _ => errors.push(config.required("exactly one of url or service is required")),
    }
}

fn url(url: &Node<'_, '_>, errors: &mut Errors) {
    const FORM: &str = "; desired format: https://host[/path]";
    let (scheme, rest) = url.text().split_once("://").unwrap_or(("", url.text()));
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    // Without a scheme all of it is a path.
    let authority = if scheme.is_empty() { "" } else { rest.split('/').next().unwrap_or_default() };
    let (user, host) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    if scheme != "https" {
        errors.push(url.invalid_as(scheme, format!("'https' is the only allowed URL scheme{FORM}")));
    }
    if host.is_empty() {
        errors.push(url.invalid_as(host, format!("host must be specified{FORM}")));
    }
    if let Some(user) = user {
        errors.push(url.invalid_as(user, "user information is not permitted in the URL"));
    }
    if !fragment.is_empty() {
        errors.push(url.invalid_as(fragment, "fragments are not permitted in the URL"));
    }
    if !query.is_empty() {
        errors.push(url.invalid_as(query, "query parameters are not permitted in the URL"));
    }
}

fn backend(service: &Node<'_, '_>, errors: &mut Errors) {
    service.at("name").require(errors);
    service.at("namespace").require(errors);
    let (port, path) = (service.at("port"), service.at("path"));
    let problems = names::port_number(port.int().unwrap_or_default());
    if !problems.is_empty() {
        errors.push(port.invalid(format!("port is not valid: {}", problems.join(", "))));
    }
    if !matches!(path.text(), "" | "/") {
        segments(&path, errors);
    }
}

fn segments(path: &Node<'_, '_>, errors: &mut Errors) {
    if path.text() == "//" {
        return errors.push(path.invalid("segment[0] may not be empty"));
    }
    if !path.text().starts_with('/') {
        errors.push(path.invalid("must start with a '/'"));
    }
    let mut characters = path.text().chars();
    characters.next();
    let rest = characters.as_str();
    for (index, segment) in rest.strip_suffix('/').unwrap_or(rest).split('/').enumerate() {
        let problems = match segment {
            "" => vec![format!("segment[{index}] may not be empty")],
            _ => names::subdomain(segment)
                .iter()
                .map(|problem| format!("segment[{index}]: {problem}"))
                .collect(),
        };
        errors.extend(problems.into_iter().map(|problem| path.invalid(problem)));
    }
}

const CONDITIONS_MAX: usize = 64;

/// Named expressions that decide whether a request is looked at. Whether they compile is not known here.
pub(super) fn match_conditions(conditions: &Node<'_, '_>, errors: &mut Errors) {
    if conditions.list().len() > CONDITIONS_MAX {
        errors.push(conditions.too_many(conditions.list().len(), CONDITIONS_MAX));
    }
    let mut seen = BTreeSet::new();
    for condition in conditions.items() {
        let (name, expression) = (condition.at("name"), condition.at("expression"));
        if expression.text().trim().is_empty() {
            errors.push(expression.required(""));
        }
        name.must_be(names::qualified_name, errors);
        if !name.text().is_empty() && !seen.insert(text(condition.value, "name")) {
            errors.push(name.duplicate());
        }
    }
}

pub(super) static TABLE: Table = Table {
    columns: &[NAME, Column::int("Webhooks"), AGE],
    cells: |configuration, now| {
        vec![name(configuration), list(configuration, "webhooks").len().into(), age(configuration, now)]
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    fn found(change: &Value) -> Vec<String> {
        let base = json!({"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": "https://host/path"}});
        let mut object = json!({"webhooks": [crate::patch::merge(base, change).unwrap()]});
        mutating_defaults(&mut object);
        let mut errors = Errors::new();
        validate(&Node::root(&object), &mut errors);
        errors.iter().map(|error| error.to_string().replacen("webhooks[0].", "", 1)).collect()
    }

    #[test]
    fn what_a_webhook_must_say() {
        let form = "; desired format: https://host[/path]";
        let service = |service: Value| json!({"clientConfig": {"url": null, "service": service}});
        for (change, expected) in [
            (json!({}), vec![]),
            (json!({"name": "a.b"}), vec!["name: Invalid value: \"a.b\": should be a domain with at least three segments separated by dots".to_owned()]),
            (json!({"sideEffects": null}), vec!["sideEffects: Required value: must specify one of None, NoneOnDryRun".to_owned()]),
            (json!({"sideEffects": "Some"}), vec!["sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"".to_owned()]),
            (json!({"timeoutSeconds": 31}), vec!["timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds".to_owned()]),
            (json!({"admissionReviewVersions": []}), vec!["admissionReviewVersions: Required value: must specify one of v1, v1beta1".to_owned()]),
            (
                json!({"admissionReviewVersions": ["v2", "v2"]}),
                vec![
                    "admissionReviewVersions[1]: Invalid value: \"v2\": duplicate version".to_owned(),
                    "admissionReviewVersions: Invalid value: [\"v2\",\"v2\"]: must include at least one of v1, v1beta1".to_owned(),
                ],
            ),
            (json!({"reinvocationPolicy": "X"}), vec!["reinvocationPolicy: Unsupported value: \"X\": supported values: \"IfNeeded\", \"Never\"".to_owned()]),
            (json!({"clientConfig": {"service": {}}}), vec!["clientConfig: Required value: exactly one of url or service is required".to_owned()]),
            (
                json!({"clientConfig": {"url": "http://u@h/p?q#f"}}),
                vec![
                    format!("clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme{form}"),
                    "clientConfig.url: Invalid value: \"u\": user information is not permitted in the URL".to_owned(),
                    "clientConfig.url: Invalid value: \"f\": fragments are not permitted in the URL".to_owned(),
                    "clientConfig.url: Invalid value: \"q\": query parameters are not permitted in the URL".to_owned(),
                ],
            ),
            (
                service(json!({"name": "s", "namespace": "n", "port": 0, "path": "a//b"})),
                vec![
                    "clientConfig.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive".to_owned(),
                    "clientConfig.service.path: Invalid value: \"a//b\": must start with a '/'".to_owned(),
                    "clientConfig.service.path: Invalid value: \"a//b\": segment[0] may not be empty".to_owned(),
                    "clientConfig.service.path: Invalid value: \"a//b\": segment[1] may not be empty".to_owned(),
                ],
            ),
            (
                json!({"matchConditions": [{"name": "a", "expression": " "}, {"name": "a", "expression": "x"}]}),
                vec![
                    "matchConditions[0].expression: Required value".to_owned(),
                    "matchConditions[1].name: Duplicate value: \"a\"".to_owned(),
                ],
            ),
        ] {
            assert_eq!(found(&change), expected, "{change}");
        }
    }

    #[test]
    fn rules_do_not_repeat_themselves() {
        let rule = |change: Value| {
            let base = json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]});
            let errors = found(&json!({"rules": [crate::patch::merge(base, &change).unwrap()]}));
            errors.iter().map(|error| error.replacen("rules[0].", "", 1)).collect::<Vec<_>>()
        };
        for (change, expected) in [
            (json!({}), &[][..]),
            (json!({"operations": []}), &["operations: Required value"]),
            (
                json!({"operations": ["*", "CREATE"]}),
                &[
                    "operations: Invalid value: [\"*\",\"CREATE\"]: if '*' is present, must not specify other operations",
                ],
            ),
            (
                json!({"operations": ["READ"]}),
                &[
                    "operations[0]: Unsupported value: \"READ\": supported values: \"*\", \"CONNECT\", \"CREATE\", \"DELETE\", \"UPDATE\"",
                ],
            ),
            (json!({"apiVersions": [""]}), &["apiVersions[0]: Required value"]),
            (
                json!({"resources": ["pods/*", "pods/status"]}),
                &[
                    "resources[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not specify pods/status",
                ],
            ),
            (
                json!({"resources": ["*/scale", "a/scale"]}),
                &[
                    "resources[1]: Invalid value: \"a/scale\": if '*/scale' is present, must not specify a/scale",
                ],
            ),
            (
                json!({"resources": ["*/*", "a"]}),
                &[
                    "resources: Invalid value: [\"*/*\",\"a\"]: if '*/*' is present, must not specify other resources",
                ],
            ),
            (
                json!({"resources": ["*", "a"]}),
                &[
                    "resources: Invalid value: [\"*\",\"a\"]: if '*' is present, must not specify other resources without subresources",
                ],
            ),
            (
                json!({"scope": "X"}),
                &["scope: Unsupported value: \"X\": supported values: \"*\", \"Cluster\", \"Namespaced\""],
            ),
        ] {
            assert_eq!(rule(change.clone()), expected, "{change}");
        }
    }
}
