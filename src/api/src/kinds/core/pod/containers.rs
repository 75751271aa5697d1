//! Containers, init containers and what both may say.

use std::collections::BTreeSet;

use serde_json::Value;

use super::spec::{choice, optional_choice};
use super::volumes::Volumes;
use super::{env, probes, resources, security};
use crate::field::{Errors, Node};
use crate::names;
use crate::value::text;

/// Names and host ports are unique across the whole pod.
#[derive(Default)]
struct Seen<'v> {
    names: BTreeSet<&'v str>,
    host_ports: BTreeSet<String>,
}

pub(super) fn validate(spec: &Node<'_, '_>, volumes: &Volumes<'_>, errors: &mut Errors) {
    let host_network = spec.at("hostNetwork").value == &Value::Bool(true);
    let mut seen = Seen::default();
    let list = spec.at("containers");
    if list.list().is_empty() {
        errors.push(list.required(""));
    }
    for container in list.items() {
        container_rules(&container, host_network, volumes, &mut seen, errors);
        probes::of_container(&container, errors);
        host_ports(&container, &mut seen, errors);
    }
    for container in spec.at("initContainers").items() {
        container_rules(&container, host_network, volumes, &mut seen, errors);
        init(&container, errors);
        // Init containers run one after another: only with those that stay can a port collide.
        if is_sidecar(&container) {
            host_ports(&container, &mut seen, errors);
        }
    }
}

/// What makes sense only for containers that a pod is made with.
const NOT_EPHEMERAL: [&str; 8] = [
    "lifecycle",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "resources",
    "restartPolicyRules",
    "startupProbe",
];

/// Containers that join a pod that runs.
pub(super) fn ephemeral(spec: &Node<'_, '_>, errors: &mut Errors) {
    // The volumes were checked when the pod was made.
    let claimed = spec.at("volumes");
    let volumes = super::volumes::validate(&claimed, &mut Errors::new());
    let others = ["containers", "initContainers"].map(|kind| spec.at(kind).list());
    let mut seen = Seen::default();
    seen.names.extend(others.into_iter().flatten().map(|container| text(container, "name")));
    for container in spec.at("ephemeralContainers").items() {
        container_rules(&container, false, &volumes, &mut seen, errors);
        for field in NOT_EPHEMERAL {
            let field = container.at(field);
            if !field.is_zero() {
                errors.push(field.forbidden("cannot be set for an Ephemeral Container"));
            }
        }
        let target = container.at("targetContainerName");
        let named = |container: &Value| text(container, "name") == target.text();
        if !target.text().is_empty() && !others.into_iter().flatten().any(named) {
            errors.push(target.not_found());
        }
    }
}

fn is_sidecar(container: &Node<'_, '_>) -> bool {
    container.at("restartPolicy").text() == "Always"
}

fn init(container: &Node<'_, '_>, errors: &mut Errors) {
    if is_sidecar(container) {
        return probes::of_container(container, errors);
    }
    for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
        let field = container.at(field);
        if field.is_set() {
            errors.push(field.forbidden("may not be set for init containers without restartPolicy=Always"));
        }
    }
}

fn container_rules<'v>(
    container: &Node<'v, '_>,
    host_network: bool,
    volumes: &Volumes<'_>,
    seen: &mut Seen<'v>,
    errors: &mut Errors,
) {
    name(&container.at("name"), seen, errors);
    image(&container.at("image"), errors);
    choice(&container.at("terminationMessagePolicy"), &["FallbackToLogsOnError", "File"], errors);
    choice(&container.at("imagePullPolicy"), &["Always", "IfNotPresent", "Never"], errors);
    optional_choice(&container.at("restartPolicy"), &["Always", "OnFailure", "Never"], errors);
    ports(&container.at("ports"), host_network, errors);
    env::validate(container, errors);
    volumes.mounts(container, errors);
    resources::requirements(&container.at("resources"), errors);
    resize(&container.at("resizePolicy"), errors);
    security::container(&container.at("securityContext"), errors);
}

fn name<'v>(name: &Node<'v, '_>, seen: &mut Seen<'v>, errors: &mut Errors) {
    match name.text() {
        "" => errors.push(name.required("")),
        text => {
            errors.extend(names::dns_label(text).into_iter().map(|problem| name.invalid(problem)));
            if !seen.names.insert(text) {
                errors.push(name.duplicate());
            }
        }
    }
}

fn image(image: &Node<'_, '_>, errors: &mut Errors) {
    if image.text().is_empty() {
        errors.push(image.required(""));
    } else if image.text().trim() != image.text() {
        errors.push(image.invalid("must not have leading or trailing whitespace"));
    }
}

fn ports(ports: &Node<'_, '_>, host_network: bool, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for port in ports.items() {
        let name = port.at("name");
        if !name.text().is_empty() {
            let problems = names::port_name(name.text());
            if problems.is_empty() && !seen.insert(name.text()) {
                errors.push(name.duplicate());
            }
            errors.extend(problems.into_iter().map(|problem| name.invalid(problem)));
        }
        let (container, host) = (port.at("containerPort"), port.at("hostPort"));
        number(&container, true, errors);
        number(&host, false, errors);
        if host_network && host.int() != container.int() {
            errors.push(container.invalid("must match `hostPort` when `hostNetwork` is true"));
        }
        choice(&port.at("protocol"), &["SCTP", "TCP", "UDP"], errors);
    }
}

fn number(port: &Node<'_, '_>, required: bool, errors: &mut Errors) {
    match port.int().unwrap_or_default() {
        0 if required => errors.push(port.required("")),
        0 => {}
        number => errors.extend(names::port_number(number).into_iter().map(|problem| port.invalid(problem))),
    }
}

fn host_ports(container: &Node<'_, '_>, seen: &mut Seen<'_>, errors: &mut Errors) {
    let ports = container.at("ports");
    for port in ports.items() {
        let host = port.at("hostPort");
        let Some(number) = host.int().filter(|number| *number != 0) else { continue };
        let bound = format!("{}/{}/{number}", port.at("protocol").text(), port.at("hostIP").text());
        if seen.host_ports.contains(&bound) {
            errors.push(host.duplicate_as(bound));
        } else {
            seen.host_ports.insert(bound);
        }
    }
}

fn resize(policies: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for policy in policies.items() {
        let (resource, restart) = (policy.at("resourceName"), policy.at("restartPolicy"));
        choice(&resource, &["cpu", "memory"], errors);
        choice(&restart, &["NotRequired", "RestartContainer"], errors);
        if !seen.insert(resource.text()) {
            errors.push(policies.duplicate_as(resource.text()));
        }
    }
}
