//! Containers, init containers and what both may say.

use std::collections::BTreeSet;

use serde_json::Value;

use super::spec::{Around, Owner};
use super::{env, probes, resources, security};
use crate::field::{Errors, Node};
use crate::names;
use crate::value::text;

/// Names are unique across all containers of a pod.
type Names<'v> = BTreeSet<&'v str>;

pub(super) fn validate<'v>(spec: &Node<'v, '_>, around: &Around<'v>, errors: &mut Errors) {
    let list = spec.at("containers");
    let mut names = Names::new();
    match list.list() {
        [] => errors.push(list.required("")),
        _ => regular(&list, around, &mut names, errors),
    }
    init(&spec.at("initContainers"), around, &mut names, errors);
    ephemeral(spec, around, &mut names, errors);
}

fn regular<'v>(list: &Node<'v, '_>, around: &Around<'v>, names: &mut Names<'v>, errors: &mut Errors) {
    for container in list.items() {
        common(&container, around, errors);
        unique(&container.at("name"), names, errors);
        probes::of_container(&container, around.grace, errors);
        restart(&container, errors);
    }
    let mut bound = BTreeSet::new();
    for container in list.items() {
        host_ports(&container, &mut bound, errors);
    }
}

fn init<'v>(list: &Node<'v, '_>, around: &Around<'v>, names: &mut Names<'v>, errors: &mut Errors) {
    for container in list.items() {
        common(&container, around, errors);
        restart(&container, errors);
        unique(&container.at("name"), names, errors);
        // They run one after another: each may collide with itself alone. Upstream shows it as the first.
        host_ports(&container.named(list.path.index(0)), &mut BTreeSet::new(), errors);
        match is_sidecar(container.value) {
            true => probes::of_container(&container, around.grace, errors),
            false => only_for_sidecars(&container, errors),
        }
    }
}

/// A sidecar starts with the init containers and stays.
pub(super) fn is_sidecar(container: &Value) -> bool {
    text(container, "restartPolicy") == "Always"
}

fn only_for_sidecars(container: &Node<'_, '_>, errors: &mut Errors) {
    for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
        let field = container.at(field);
        if field.is_set() {
            errors.push(field.forbidden("may not be set for init containers without restartPolicy=Always"));
        }
    }
}

/// What makes sense only for containers that a pod is made with.
const NOT_EPHEMERAL: [&str; 9] = [
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];
const NO_EPHEMERAL: &str = "cannot be set for an Ephemeral Container";

/// Containers that join a pod that runs.
fn ephemeral<'v>(spec: &Node<'v, '_>, around: &Around<'v>, names: &mut Names<'v>, errors: &mut Errors) {
    let others = names.clone();
    for container in spec.at("ephemeralContainers").items() {
        common(&container, around, errors);
        image_is_trimmed(&container.at("image"), errors);
        unique(&container.at("name"), names, errors);
        let target = container.at("targetContainerName");
        if !target.text().is_empty() && !others.contains(target.text()) {
            errors.push(target.not_found());
        }
        for field in NOT_EPHEMERAL.map(|field| container.at(field)).iter().filter(|field| !field.is_zero()) {
            errors.push(field.forbidden(NO_EPHEMERAL));
        }
        for mount in container.at("volumeMounts").items() {
            for path in ["subPath", "subPathExpr"] {
                if !mount.at(path).text().is_empty() {
                    errors.push(mount.at(path).forbidden(NO_EPHEMERAL));
                }
            }
        }
    }
}

/// What every container of every sort must say.
fn common<'v>(container: &Node<'v, '_>, around: &Around<'v>, errors: &mut Errors) {
    let name = container.at("name");
    match name.text() {
        "" => errors.push(name.required("")),
        _ => name.check(names::dns_label, errors),
    }
    container.at("image").require(errors);
    container.at("terminationMessagePolicy").must_be_among(&["File", "FallbackToLogsOnError"], errors);
    ports(&container.at("ports"), errors);
    env::validate(container, &around.volumes, errors);
    around.volumes.mounts(container, errors);
    around.volumes.devices(container, errors);
    container.at("imagePullPolicy").must_be_among(&["Always", "IfNotPresent", "Never"], errors);
    resources::of_container(&container.at("resources"), &around.claims, errors);
    resize(&container.at("resizePolicy"), around.restart_policy, errors);
    security::container(&container.at("securityContext"), around.host_users, errors);
}

fn unique<'v>(name: &Node<'v, '_>, names: &mut Names<'v>, errors: &mut Errors) {
    if !names.insert(name.text()) {
        errors.push(name.duplicate_as(name.text()));
    }
}

/// Spaces around the image of a template are let in, some put a placeholder there; a pod cannot run them.
pub(super) fn image_is_trimmed(image: &Node<'_, '_>, errors: &mut Errors) {
    if image.text().trim() != image.text() {
        errors.push(image.invalid("must not have leading or trailing whitespace"));
    }
}

const RESTART_RULES_MAX: usize = 20;
const EXIT_CODES_MAX: usize = 255;

/// When a container is restarted, where it says so itself.
fn restart(container: &Node<'_, '_>, errors: &mut Errors) {
    let (policy, rules) = (container.at("restartPolicy"), container.at("restartPolicyRules"));
    if policy.is_set() {
        policy.only_among(&["Always", "Never", "OnFailure"], errors);
    } else if !rules.list().is_empty() {
        errors.push(policy.required("must specify restartPolicy when restart rules are used"));
    }
    if rules.list().len() > RESTART_RULES_MAX {
        errors.push(rules.too_many(rules.list().len(), RESTART_RULES_MAX));
    }
    for rule in rules.items() {
        rule.at("action").only_among(&["Restart"], errors);
        let codes = rule.at("exitCodes");
        if !codes.is_set() {
            errors.push(codes.required("must be specified"));
            continue;
        }
        codes.at("operator").only_among(&["In", "NotIn"], errors);
        let count = codes.at("values").list().len();
        if count > EXIT_CODES_MAX {
            errors.push(codes.at("values").too_many(count, EXIT_CODES_MAX));
        }
    }
}

fn ports(ports: &Node<'_, '_>, errors: &mut Errors) {
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
        number(&port.at("containerPort"), true, errors);
        number(&port.at("hostPort"), false, errors);
        port.at("protocol").must_be_among(&["SCTP", "TCP", "UDP"], errors);
    }
}

fn number(port: &Node<'_, '_>, required: bool, errors: &mut Errors) {
    match port.int().unwrap_or_default() {
        0 if required => errors.push(port.required("")),
        0 => {}
        number => errors.extend(names::port_number(number).into_iter().map(|problem| port.invalid(problem))),
    }
}

fn host_ports(container: &Node<'_, '_>, bound: &mut BTreeSet<String>, errors: &mut Errors) {
    for port in container.at("ports").items() {
        let host = port.at("hostPort");
        let Some(number) = host.int().filter(|number| *number != 0) else { continue };
        let place = format!("{}/{}/{number}", port.at("protocol").text(), port.at("hostIP").text());
        match bound.contains(&place) {
            true => errors.push(host.duplicate_as(place)),
            false => drop(bound.insert(place)),
        }
    }
}

/// On the host's network a port is the host's. A template may leave that to be filled in.
pub(super) fn host_network(spec: &Node<'_, '_>, owner: Owner<'_>, errors: &mut Errors) {
    if !spec.at("hostNetwork").flag() {
        return;
    }
    for container in spec.at("containers").items() {
        for port in container.at("ports").items() {
            let host = port.at("hostPort");
            let number = host.int().unwrap_or_default();
            let asked = number != 0 || matches!(owner, Owner::Pod(_));
            if asked && number != port.at("containerPort").int().unwrap_or_default() {
                errors.push(host.invalid_as(number, "must match `containerPort` when `hostNetwork` is true"));
            }
        }
    }
}

fn resize(policies: &Node<'_, '_>, restart_policy: &str, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for policy in policies.items() {
        let (resource, restart) = (policy.at("resourceName"), policy.at("restartPolicy"));
        if !seen.insert(resource.text()) {
            errors.push(policy.duplicate_as(resource.text()));
        }
        resource.named(policies.path).must_be_among(&["cpu", "memory"], errors);
        restart.named(policies.path).must_be_among(&["NotRequired", "RestartContainer"], errors);
        if restart_policy == "Never" && restart.text() != "NotRequired" {
            let detail = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            errors.push(policies.invalid_as(restart.text(), detail));
        }
    }
}
