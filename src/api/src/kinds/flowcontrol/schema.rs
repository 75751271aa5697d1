//! Flow schemas: who is put into which level.

use serde_json::Value;

use crate::field::{Errors, Node};
use crate::names;
use crate::value::text;

const PRECEDENCE_MAX: i64 = 10_000;
const VERBS: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

pub(super) fn validate(schema: &Node<'_, '_>, errors: &mut Errors) {
    let spec = schema.at("spec");
    let precedence = spec.at("matchingPrecedence");
    let value = precedence.int().unwrap_or_default();
    if value <= 0 {
        errors.push(precedence.invalid_as(value, "must be a positive value"));
    }
    if value > PRECEDENCE_MAX {
        errors.push(precedence.invalid(format!("must not be greater than {PRECEDENCE_MAX}")));
    }
    if value == 1 && text(schema.value, "metadata.name") != "exempt" {
        errors.push(precedence.invalid("only the schema named 'exempt' may have matchingPrecedence 1"));
    }
    let method = spec.at("distinguisherMethod");
    if method.is_set() && !matches!(text(method.value, "type"), "ByNamespace" | "ByUser") {
        errors.push(method.at("type").unsupported(&["ByNamespace", "ByUser"]));
    }
    let level = spec.at("priorityLevelConfiguration.name");
    match level.text() {
        "" => errors.push(level.required("must reference a priority level")),
        _ => level.check(names::subdomain, errors),
    }
    for rule in spec.at("rules").items() {
        self::rule(&rule, errors);
    }
}

fn rule(rule: &Node<'_, '_>, errors: &mut Errors) {
    let subjects = rule.at("subjects");
    if subjects.list().is_empty() {
        errors.push(subjects.required("subjects must contain at least one value"));
    }
    subjects.items().for_each(|one| subject(&one, errors));
    let (resources, urls) = (rule.at("resourceRules"), rule.at("nonResourceRules"));
    if resources.list().is_empty() && urls.list().is_empty() {
        errors.push(rule.required("at least one of resourceRules and nonResourceRules has to be non-empty"));
    }
    resources.items().for_each(|rule| resource_rule(&rule, errors));
    urls.items().for_each(|rule| url_rule(&rule, errors));
}

/// A kind of subject and the field that tells of it.
const SUBJECTS: [(&str, &str); 3] =
    [("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")];

fn subject(subject: &Node<'_, '_>, errors: &mut Errors) {
    let kind = subject.at("kind");
    let Some((_, own)) = SUBJECTS.iter().find(|(name, _)| *name == kind.text()) else {
        return errors.push(kind.unsupported(&["Group", "ServiceAccount", "User"]));
    };
    let told = subject.at(own);
    match told.is_set() {
        false => {
            errors.push(told.required(format!("{own} is required when subject kind is '{}'", kind.text())));
        }
        true if *own == "serviceAccount" => service_account(&told, errors),
        true => told.at("name").require(errors),
    }
    // Users are asked about before groups, and accounts before both.
    for (name, field) in SUBJECTS.iter().filter(|(_, field)| field != own) {
        let other = subject.at(field);
        if other.is_set() {
            errors.push(other.forbidden(format!("{field} is forbidden when subject kind is not '{name}'")));
        }
    }
}

fn service_account(account: &Node<'_, '_>, errors: &mut Errors) {
    let (name, namespace) = (account.at("name"), account.at("namespace"));
    if name.text() != "*" {
        name.must_be(names::subdomain, errors);
    }
    match namespace.text() {
        "" => errors.push(namespace.required("must specify namespace for service account")),
        _ => namespace.check(names::dns_label, errors),
    }
}

fn url_rule(rule: &Node<'_, '_>, errors: &mut Errors) {
    verbs(&rule.at("verbs"), errors);
    let urls = rule.at("nonResourceURLs");
    if members(&urls, "nonResourceURLs must contain at least one value", "non-resource URLs", errors) {
        for url in urls.items() {
            errors.extend(url_problem(url.text()).map(|problem| url.invalid(problem)));
        }
    }
}

fn url_problem(url: &str) -> Option<&'static str> {
    let stars = url.matches('*').count();
    match url {
        "" => Some("must not be empty"),
        "/" => None,
        _ if !url.starts_with('/') => Some("must start with slash"),
        _ if url.contains(' ') => Some("must not contain white-space"),
        _ if url.contains("//") => Some("must not contain double slash"),
        _ if stars > 1 || (stars == 1 && !url.ends_with("/*")) => {
            Some("wildcard can only do suffix matching")
        }
        _ => None,
    }
}

fn resource_rule(rule: &Node<'_, '_>, errors: &mut Errors) {
    verbs(&rule.at("verbs"), errors);
    let groups = rule.at("apiGroups");
    members(&groups, "resource rules must supply at least one api group", "api groups", errors);
    let resources = rule.at("resources");
    members(&resources, "resource rules must supply at least one resource", "resources", errors);
    let namespaces = rule.at("namespaces");
    if namespaces.list().is_empty() && rule.at("clusterScope").flag() {
        return;
    }
    let missing = "resource rules that are not cluster scoped must supply at least one namespace";
    if members(&namespaces, missing, "namespaces", errors) {
        for namespace in namespaces.items() {
            let problems = names::dns_label(namespace.text()).into_iter();
            let sentence =
                |problem| format!("each member of this list must be '*' or a DNS-1123 label; {problem}");
            errors.extend(problems.map(|problem| namespace.invalid(sentence(problem))));
        }
    }
}

fn verbs(verbs: &Node<'_, '_>, errors: &mut Errors) {
    let known = |verb: &Value| verb.as_str().is_some_and(|verb| VERBS.contains(&verb));
    if members(verbs, "verbs must contain at least one value", "verbs", errors)
        && !verbs.list().iter().all(known)
    {
        errors.push(verbs.unsupported(VERBS));
    }
}

/// A list that is not empty and says either `*` or other things. Whether it says other things.
fn members(list: &Node<'_, '_>, missing: &str, what: &str, errors: &mut Errors) -> bool {
    let wild = list.list().iter().any(|member| member == "*");
    if list.list().is_empty() {
        errors.push(list.required(missing));
    } else if wild && list.list().len() > 1 {
        errors.push(list.invalid(format!("if '*' is present, must not specify other {what}")));
    }
    !wild && !list.list().is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_schema_must_say() {
        let found = |change: Value| {
            let base = json!({"metadata": {"name": "a"}, "spec": {"matchingPrecedence": 5,
                "priorityLevelConfiguration": {"name": "l"}}});
            let mut errors = Errors::new();
            validate(&Node::root(&crate::patch::merge(base, &change).unwrap()), &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let user = json!({"kind": "User", "user": {"name": "u"}});
        let resource =
            json!({"verbs": ["get"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true});
        let rule = |rule: Value| json!({"spec": {"rules": [rule]}});
        for (change, expected) in [
            (rule(json!({"subjects": [user], "resourceRules": [resource]})), &[][..]),
            (
                json!({"spec": {"matchingPrecedence": 1}}),
                &[
                    "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
                ],
            ),
            (
                json!({"spec": {"matchingPrecedence": 10_001}}),
                &["spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000"],
            ),
            (
                json!({"spec": {"priorityLevelConfiguration": null}}),
                &["spec.priorityLevelConfiguration.name: Required value: must reference a priority level"],
            ),
            (
                rule(json!({})),
                &[
                    "spec.rules[0].subjects: Required value: subjects must contain at least one value",
                    "spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
                ],
            ),
            (
                rule(
                    json!({"subjects": [{"kind": "User", "group": {"name": "g"}}], "resourceRules": [resource]}),
                ),
                &[
                    "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
                    "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'",
                ],
            ),
            (
                rule(
                    json!({"subjects": [user], "nonResourceRules": [{"verbs": ["*", "get"], "nonResourceURLs": ["a", "/a*"]}]}),
                ),
                &[
                    "spec.rules[0].nonResourceRules[0].verbs: Invalid value: [\"*\",\"get\"]: if '*' is present, must not specify other verbs",
                    "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"a\": must start with slash",
                    "spec.rules[0].nonResourceRules[0].nonResourceURLs[1]: Invalid value: \"/a*\": wildcard can only do suffix matching",
                ],
            ),
            (
                rule(
                    json!({"subjects": [user], "resourceRules": [{"verbs": ["x"], "apiGroups": ["a"], "resources": ["b"]}]}),
                ),
                &[
                    "spec.rules[0].resourceRules[0].verbs: Unsupported value: [\"x\"]: supported values: \"create\", \"delete\", \"deletecollection\", \"get\", \"list\", \"patch\", \"proxy\", \"update\", \"watch\"",
                    "spec.rules[0].resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace",
                ],
            ),
        ] {
            assert_eq!(found(change.clone()), expected, "{change}");
        }
    }
}
