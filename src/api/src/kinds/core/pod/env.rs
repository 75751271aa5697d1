//! Environment variables and where their values come from.

use crate::field::{Errors, Node};
use crate::names;

/// Fields of the pod itself that a variable may show.
const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

const SOURCES: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];

pub(super) fn validate(container: &Node<'_, '_>, errors: &mut Errors) {
    for variable in container.at("env").items() {
        let name = variable.at("name");
        match name.text() {
            "" => errors.push(name.required("")),
            text => errors.extend(names::env_name(text).into_iter().map(|problem| name.invalid(problem))),
        }
        let source = variable.at("valueFrom");
        if source.is_set() {
            value_from(&source, !variable.at("value").text().is_empty(), errors);
        }
    }
    for source in container.at("envFrom").items() {
        env_from(&source, errors);
    }
}

fn value_from(source: &Node<'_, '_>, has_value: bool, errors: &mut Errors) {
    match SOURCES.iter().filter(|kind| source.at(kind).is_set()).count() {
        0 => errors.push(source.invalid_as(
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        )),
        1 => {}
        _ => errors.push(source.invalid_as("", "may not have more than one field specified at a time")),
    }
    if has_value {
        errors.push(source.invalid_as("", "may not be specified when `value` is not empty"));
    }
    if source.at("fieldRef").is_set() {
        field_reference(&source.at("fieldRef"), FIELDS, errors);
    }
    if source.at("resourceFieldRef").is_set() {
        resource_reference(&source.at("resourceFieldRef"), errors);
    }
    for kind in ["configMapKeyRef", "secretKeyRef"] {
        let reference = source.at(kind);
        if reference.is_set() {
            key_reference(&reference, errors);
        }
    }
}

/// A reference to a field of the pod; `supported` beside its labels and annotations.
pub(super) fn field_reference(reference: &Node<'_, '_>, supported: &[&str], errors: &mut Errors) {
    let (version, path) = (reference.at("apiVersion"), reference.at("fieldPath"));
    if version.text().is_empty() {
        errors.push(version.required(""));
    } else if version.text() != "v1" {
        errors.push(version.unsupported(&["v1"]));
    }
    match path.text() {
        "" => errors.push(path.required("")),
        text => match subscript(text) {
            Some(("metadata.annotations", key)) => qualified(&path, &key.to_lowercase(), errors),
            Some(("metadata.labels", key)) => qualified(&path, key, errors),
            Some(_) => errors.push(path.invalid("does not support subscript")),
            None if !supported.contains(&text) => errors.push(path.unsupported(supported)),
            None => {}
        },
    }
}

/// `metadata.labels['key']`
fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['")
}

fn qualified(path: &Node<'_, '_>, key: &str, errors: &mut Errors) {
    errors.extend(names::qualified_name(key).into_iter().map(|problem| path.invalid_as(key, problem)));
}

pub(super) fn resource_reference(reference: &Node<'_, '_>, errors: &mut Errors) {
    let resource = reference.at("resource");
    let huge = ["limits.hugepages-", "requests.hugepages-"];
    match resource.text() {
        "" => errors.push(resource.required("")),
        text if RESOURCES.contains(&text) || huge.iter().any(|prefix| text.starts_with(prefix)) => {}
        _ => errors.push(resource.unsupported(RESOURCES)),
    }
}

fn key_reference(reference: &Node<'_, '_>, errors: &mut Errors) {
    let (name, key) = (reference.at("name"), reference.at("key"));
    errors.extend(
        names::subdomain(name.text()).into_iter().map(|problem| name.invalid_as(name.text(), problem)),
    );
    match key.text() {
        "" => errors.push(key.required("")),
        text => errors.extend(names::config_key(text).into_iter().map(|problem| key.invalid(problem))),
    }
}

fn env_from(source: &Node<'_, '_>, errors: &mut Errors) {
    let prefix = source.at("prefix");
    if !prefix.text().is_empty() {
        errors.extend(names::env_name(prefix.text()).into_iter().map(|problem| prefix.invalid(problem)));
    }
    let kinds: Vec<&str> =
        ["configMapRef", "secretRef"].into_iter().filter(|kind| source.at(kind).is_set()).collect();
    for kind in &kinds {
        let reference = source.at(kind);
        let name = reference.at("name");
        if name.text().is_empty() {
            errors.push(name.required(""));
        } else {
            errors.extend(names::subdomain(name.text()).into_iter().map(|problem| name.invalid(problem)));
        }
    }
    match kinds.len() {
        0 => errors.push(source.invalid_as("", "must specify one of: `configMapRef` or `secretRef`")),
        1 => {}
        _ => errors.push(source.invalid_as("", "may not have more than one field specified at a time")),
    }
}
