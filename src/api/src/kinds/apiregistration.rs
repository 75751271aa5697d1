//! apiregistration.k8s.io: which server answers for which group and version.

use serde_json::{Value, json};

use super::entry::{GroupVersion, names};
use super::{Kind, NameRule, Strategy};
use crate::field::{Errors, Node};
use crate::metadata::keep_described;
use crate::names;
use crate::table::{AGE, Column, NAME, Table, age, name};
use crate::value::{at, default_to, list, replace, text};

const V1: GroupVersion = GroupVersion::new("apiregistration.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    categories: &["api-extensions"],
    subresources: &[V1.status("APIService")],
    strategy: Strategy {
        name: NameRule::PathSegment,
        any_finalizer: true,
        defaults: |service| {
            if let Some(service) = service.get_mut("spec").and_then(|spec| spec.get_mut("service")) {
                default_to(service, "port", 443);
            }
        },
        prepare_create: local_at_once,
        prepare_status: keep_described,
        validate,
        validate_status: status,
        unconditional_update: false,
        ..Strategy::PLAIN
    },
    table: &TABLE,
    ..V1.cluster(names!("io.k8s.kube-aggregator.pkg.apis.apiregistration.v1", APIService, "apiservices"))
}];

/// What this server answers itself is there as soon as it is known.
fn local_at_once(service: &mut Value) {
    if at(service, "spec.service").is_null() {
        let condition = json!({"type": "Available", "status": "True", "reason": "Local",
            "message": "Local APIServices are always available",
            "lastTransitionTime": at(service, "metadata.creationTimestamp")});
        replace(service, "status", Some(json!({"conditions": [condition]})));
    }
}

fn validate(service: &Node<'_, '_>, errors: &mut Errors) {
    let (name, spec) = (service.at("metadata.name"), service.at("spec"));
    let (group, version) = (spec.at("group"), spec.at("version"));
    let required = format!("{}.{}", version.text(), group.text());
    if names::path_segment(name.text()).is_empty() && name.text() != required {
        errors.push(name.invalid(format!("must be `spec.version+\".\"+spec.group`: {required:?}")));
    }
    if group.text().is_empty() && version.text() != "v1" {
        errors.push(group.required("only v1 may have an empty group and it better be legacy kube"));
    }
    group.check_given(names::subdomain, errors);
    version.check(names::dns_label_1035, errors);
    for (field, max) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1000)] {
        let priority = spec.at(field);
        let value = priority.int().unwrap_or_default();
        if !(1..=max).contains(&value) {
            errors.push(priority.invalid_as(value, format!("must be positive and less than {max}")));
        }
    }
    let (backend, insecure, bundle) =
        (spec.at("service"), spec.at("insecureSkipTLSVerify"), spec.at("caBundle"));
    if !backend.is_set() {
        return local(&insecure, &bundle, errors);
    }
    backend.at("namespace").require(errors);
    backend.at("name").require(errors);
    if insecure.flag() && !bundle.is_zero() {
        errors.push(insecure.invalid("may not be true if caBundle is present"));
    }
}

/// What this server answers itself needs no certificate.
fn local(insecure: &Node<'_, '_>, bundle: &Node<'_, '_>, errors: &mut Errors) {
    if !bundle.is_zero() {
        // Of four characters come three bytes, but for the filling.
        let text = bundle.text();
        let size = text.len() / 4 * 3
            - (text.len() - text.trim_end_matches('=').len()).min(2).min(text.len() / 4 * 3);
        errors.push(bundle.invalid_as(format!("{size} bytes"), "local APIServices may not have a caBundle"));
    }
    if insecure.flag() {
        errors.push(insecure.invalid("local APIServices may not have insecureSkipTLSVerify"));
    }
}

fn status(new: &Node<'_, '_>, _: &Value, errors: &mut Errors) {
    for condition in new.at("status.conditions").items() {
        let status = condition.at("status");
        if !matches!(status.text(), "True" | "False" | "Unknown") {
            errors.push(status.unsupported(&["True", "False", "Unknown"]));
        }
    }
}

static TABLE: Table = Table {
    columns: &[NAME, Column::text("Service"), Column::text("Available"), AGE],
    cells: |service, now| {
        let backend = match at(service, "spec.service") {
            Value::Null => "Local".to_owned(),
            backend => format!("{}/{}", text(backend, "namespace"), text(backend, "name")),
        };
        vec![name(service), backend.into(), available(service).into(), age(service, now)]
    },
};

fn available(service: &Value) -> String {
    let condition =
        list(service, "status.conditions").iter().find(|condition| text(condition, "type") == "Available");
    match condition.map(|condition| (text(condition, "status"), text(condition, "reason"))) {
        Some(("True", _)) => "True".to_owned(),
        Some((status, reason)) => format!("{status} ({reason})"),
        None => "Unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_service_must_say() {
        let found = |change: Value| {
            let base = json!({"metadata": {"name": "v1.a.b"}, "spec": {"group": "a.b", "version": "v1",
                "groupPriorityMinimum": 1, "versionPriority": 1, "service": {"namespace": "n", "name": "s"}}});
            let mut errors = Errors::new();
            validate(&Node::root(&crate::patch::merge(base, &change).unwrap()), &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for (change, expected) in [
            (json!({}), &[][..]),
            (
                json!({"metadata": {"name": "v2.a.b"}}),
                &[
                    "metadata.name: Invalid value: \"v2.a.b\": must be `spec.version+\".\"+spec.group`: \"v1.a.b\"",
                ],
            ),
            (
                json!({"spec": {"groupPriorityMinimum": 0, "versionPriority": 1001}}),
                &[
                    "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000",
                    "spec.versionPriority: Invalid value: 1001: must be positive and less than 1000",
                ],
            ),
            (json!({"spec": {"service": {"name": ""}}}), &["spec.service.name: Required value"]),
            (
                json!({"spec": {"insecureSkipTLSVerify": true, "caBundle": "AAAA"}}),
                &["spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present"],
            ),
            (
                json!({"spec": {"service": null, "insecureSkipTLSVerify": true, "caBundle": "AAA="}}),
                &[
                    "spec.caBundle: Invalid value: \"2 bytes\": local APIServices may not have a caBundle",
                    "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
                ],
            ),
        ] {
            assert_eq!(found(change.clone()), expected, "{change}");
        }
    }
}
