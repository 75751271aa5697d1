//! apiregistration.k8s.io: which server answers for which group and version.

use serde_json::Value;

use super::entry::{GroupVersion, names};
use super::{Kind, Strategy};
use crate::field::{Errors, Node};
use crate::table::{AGE, Column, NAME, Table, age, name};
use crate::value::{at, default_to, list, text};

const V1: GroupVersion = GroupVersion::new("apiregistration.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    categories: &["api-extensions"],
    subresources: &[V1.status("APIService")],
    strategy: Strategy {
        defaults: |service| {
            if let Some(service) = service.get_mut("spec").and_then(|spec| spec.get_mut("service")) {
                default_to(service, "port", 443);
            }
        },
        validate,
        unconditional_update: false,
        ..Strategy::PLAIN
    },
    table: &TABLE,
    ..V1.cluster(names!("io.k8s.kube-aggregator.pkg.apis.apiregistration.v1", APIService, "apiservices"))
}];

fn validate(service: &Node<'_, '_>, errors: &mut Errors) {
    let (name, spec) = (service.at("metadata.name"), service.at("spec"));
    let required = format!("{}.{}", spec.at("version").text(), spec.at("group").text());
    if name.text() != required {
        errors.push(name.invalid(format!("must be `spec.version+\".\"+spec.group`: {required:?}")));
    }
    for (field, max) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1000)] {
        let priority = spec.at(field);
        let value = priority.int().unwrap_or_default();
        if !(1..=max).contains(&value) {
            errors.push(priority.invalid_as(value, format!("must be positive and less than {max}")));
        }
    }
    let (insecure, bundle) = (spec.at("insecureSkipTLSVerify"), spec.at("caBundle"));
    if insecure.value == &Value::Bool(true) && !bundle.is_zero() {
        errors.push(insecure.invalid("may not be true if caBundle is present"));
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
