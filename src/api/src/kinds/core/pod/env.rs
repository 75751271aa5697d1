//! Environment variables and where their values come from.

use super::volumes::{Volumes, local_path};
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

/// Fields that the API knows by name, whether or not they may be shown.
const KNOWN: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
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
const HUGE: [&str; 2] = ["limits.hugepages-", "requests.hugepages-"];

pub(super) fn validate(container: &Node<'_, '_>, volumes: &Volumes<'_>, errors: &mut Errors) {
    for variable in container.at("env").items() {
        let name = variable.at("name");
        match name.text() {
            "" => errors.push(name.required("")),
            _ => name.check(names::env_name, errors),
        }
        let source = variable.at("valueFrom");
        if source.is_set() {
            value_from(&source, !variable.at("value").text().is_empty(), volumes, errors);
        }
    }
    let sources = container.at("envFrom");
    for source in sources.items() {
        env_from(&source, &sources, errors);
    }
}

fn value_from(source: &Node<'_, '_>, has_value: bool, volumes: &Volumes<'_>, errors: &mut Errors) {
    let mut count = 0;
    let mut each = |kind: &'static str, rules: &mut dyn FnMut(&Node<'_, '_>)| {
        let reference = source.at(kind);
        if reference.is_set() {
            count += 1;
            rules(&reference);
        }
    };
    each("fieldRef", &mut |reference| field_reference(reference, FIELDS, errors));
    each("resourceFieldRef", &mut |reference| resource_reference(reference, false, errors));
    each("configMapKeyRef", &mut |reference| key_reference(reference, errors));
    each("secretKeyRef", &mut |reference| key_reference(reference, errors));
    each("fileKeyRef", &mut |reference| file_reference(reference, volumes, errors));
    match count {
        0 => errors.push(source.invalid_as(
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        )),
        _ if has_value => {
            errors.push(source.invalid_as("", "may not be specified when `value` is not empty"));
        }
        1 => {}
        _ => errors.push(source.invalid_as("", "may not have more than one field specified at a time")),
    }
}

/// A reference to a field of the pod; `supported` beside its labels and annotations.
pub(super) fn field_reference(reference: &Node<'_, '_>, supported: &[&str], errors: &mut Errors) {
    let (version, path) = (reference.at("apiVersion"), reference.at("fieldPath"));
    if version.text().is_empty() {
        return errors.push(version.required(""));
    }
    if path.text().is_empty() {
        return errors.push(path.required(""));
    }
    let unknown = match (version.text(), subscript(path.text())) {
        ("v1", Some(("metadata.annotations" | "metadata.labels", _))) => None,
        ("v1", Some(_)) => Some(format!("field label does not support subscript: {}", path.text())),
        ("v1", None) if KNOWN.contains(&path.text()) || path.text() == "spec.host" => None,
        ("v1", None) => Some(format!("field label not supported: {}", path.text())),
        (version, _) => Some(format!("unsupported pod version: {version}")),
    };
    if let Some(unknown) = unknown {
        return errors.push(path.invalid(format!("error converting fieldPath: {unknown}")));
    }
    match subscript(path.text()) {
        Some(("metadata.annotations", key)) => qualified(reference, &key.to_lowercase(), errors),
        Some((_, key)) => qualified(reference, key, errors),
        // The old name of the field.
        None if path.text() == "spec.host" && supported.contains(&"spec.nodeName") => {}
        None if !supported.contains(&path.text()) => errors.push(path.unsupported(supported)),
        None => {}
    }
}

/// `metadata.labels['key']`
fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['").filter(|(field, _)| !field.is_empty())
}

fn qualified(reference: &Node<'_, '_>, key: &str, errors: &mut Errors) {
    errors.extend(names::qualified_name(key).into_iter().map(|problem| reference.invalid_as(key, problem)));
}

/// A reference to what a container asks for; from a volume it says which container.
pub(super) fn resource_reference(reference: &Node<'_, '_>, of_volume: bool, errors: &mut Errors) {
    let (container, resource) = (reference.at("containerName"), reference.at("resource"));
    let is_huge = HUGE.iter().any(|prefix| resource.text().starts_with(prefix));
    if of_volume && container.text().is_empty() {
        errors.push(container.required(""));
    } else if resource.text().is_empty() {
        errors.push(resource.required(""));
    } else if !is_huge && !RESOURCES.contains(&resource.text()) {
        errors.push(resource.unsupported(RESOURCES));
    }
    divisor(&reference.at("divisor"), resource.text(), errors);
}

const CPU_DIVISORS: &[&str] = &["1m", "1"];
const BYTE_DIVISORS: &[&str] =
    &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

fn divisor(divisor: &Node<'_, '_>, resource: &str, errors: &mut Errors) {
    let Some(given) = super::resources::parse(divisor.value).filter(|given| !given.is_zero()) else { return };
    let (allowed, shown, kind) = match resource {
        "limits.cpu" | "requests.cpu" => (CPU_DIVISORS, "1m and 1", "cpu"),
        "limits.memory" | "requests.memory" => (BYTE_DIVISORS, "", "memory"),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => {
            (BYTE_DIVISORS, "", "local ephemeral storage")
        }
        huge if HUGE.iter().any(|prefix| huge.starts_with(prefix)) => (BYTE_DIVISORS, "", "hugepages"),
        _ => return,
    };
    if !allowed.contains(&given.to_string().as_str()) {
        let shown = if shown.is_empty() { allowed.join(", ") } else { shown.to_owned() };
        let detail = format!("only divisor's values {shown} are supported with the {kind} resource");
        errors.push(divisor.invalid_as(resource, detail));
    }
}

fn key_reference(reference: &Node<'_, '_>, errors: &mut Errors) {
    let key = reference.at("key");
    reference.at("name").check(names::subdomain, errors);
    match key.text() {
        "" => errors.push(key.required("")),
        _ => key.check(names::config_key, errors),
    }
}

const FILE_KEY_MAX: usize = 128;

/// A variable out of a file that another container of the pod has written.
fn file_reference(reference: &Node<'_, '_>, volumes: &Volumes<'_>, errors: &mut Errors) {
    let (key, volume, path) = (reference.at("key"), reference.at("volumeName"), reference.at("path"));
    match key.text() {
        "" => errors.push(key.required("")),
        text if text.len() > FILE_KEY_MAX => errors.push(key.too_long(FILE_KEY_MAX)),
        _ => key.check(names::env_name, errors),
    }
    match volumes.source_of(volume.text()) {
        _ if volume.text().is_empty() => errors.push(volume.required("")),
        None => errors.push(volume.not_found()),
        Some(source) if source.get("emptyDir").is_none_or(serde_json::Value::is_null) => {
            errors.push(volume.invalid("referenced volume must be of type emptyDir"));
        }
        Some(_) => {}
    }
    path.require(errors);
    local_path(&path, errors);
}

/// Upstream tells of both mistakes without saying which source makes them.
fn env_from(source: &Node<'_, '_>, list: &Node<'_, '_>, errors: &mut Errors) {
    source.at("prefix").check_given(names::env_name, errors);
    let mut count = 0;
    for kind in ["configMapRef", "secretRef"] {
        let reference = source.at(kind);
        if !reference.is_set() {
            continue;
        }
        count += 1;
        let name = reference.at("name");
        match name.text() {
            "" => errors.push(name.required("")),
            _ => name.check(names::subdomain, errors),
        }
    }
    match count {
        0 => errors.push(list.invalid_as("", "must specify one of: `configMapRef` or `secretRef`")),
        1 => {}
        _ => errors.push(list.invalid_as("", "may not have more than one field specified at a time")),
    }
}
