//! Probes and life-cycle hooks.

use super::spec::choice;
use crate::field::{Errors, Node};
use crate::names;

pub(super) fn of_container(container: &Node<'_, '_>, errors: &mut Errors) {
    for hook in ["lifecycle.postStart", "lifecycle.preStop"] {
        let hook = container.at(hook);
        if hook.is_set() {
            handler(&hook, &["exec", "httpGet", "tcpSocket", "sleep"], errors);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.at(name);
        if probe.is_set() {
            validate(&probe, errors);
            only_for(name, &probe, errors);
        }
    }
}

/// What one kind of probe may not say.
fn only_for(name: &str, probe: &Node<'_, '_>, errors: &mut Errors) {
    let (successes, grace) = (probe.at("successThreshold"), probe.at("terminationGracePeriodSeconds"));
    if name == "readinessProbe" {
        if grace.is_set() {
            errors.push(grace.invalid("must not be set for readinessProbes"));
        }
    } else if successes.int().is_some_and(|successes| successes != 1) {
        errors.push(successes.invalid("must be 1"));
    }
}

fn validate(probe: &Node<'_, '_>, errors: &mut Errors) {
    handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], errors);
    for field in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        let field = probe.at(field);
        if field.int().is_some_and(|number| number < 0) {
            errors.push(field.invalid(names::NON_NEGATIVE));
        }
    }
    let grace = probe.at("terminationGracePeriodSeconds");
    if grace.int().is_some_and(|seconds| seconds <= 0) {
        errors.push(grace.invalid("must be greater than 0"));
    }
}

fn handler(owner: &Node<'_, '_>, kinds: &[&str], errors: &mut Errors) {
    let mut handlers = kinds.iter().filter(|kind| owner.at(kind).is_set());
    let Some(kind) = handlers.next() else {
        return errors.push(owner.required("must specify a handler type"));
    };
    for another in handlers {
        errors.push(owner.at(another).forbidden("may not specify more than 1 handler type"));
    }
    let action = owner.at(kind);
    match *kind {
        "exec" if action.at("command").list().is_empty() => {
            errors.push(action.at("command").required(""));
        }
        "httpGet" => http_get(&action, errors),
        "grpc" | "tcpSocket" => port(&action.at("port"), errors),
        _ => {}
    }
}

fn http_get(action: &Node<'_, '_>, errors: &mut Errors) {
    if action.at("path").text().is_empty() {
        errors.push(action.at("path").required(""));
    }
    port(&action.at("port"), errors);
    choice(&action.at("scheme"), &["HTTP", "HTTPS"], errors);
    for header in action.at("httpHeaders").items() {
        let name = header.at("name");
        errors.extend(
            names::header_name(name.text()).into_iter().map(|problem| name.invalid_as(name.text(), problem)),
        );
    }
}

/// A number or the name of a port.
pub(in crate::kinds) fn port(port: &Node<'_, '_>, errors: &mut Errors) {
    let problems = match port.value.as_str() {
        Some(name) => names::port_name(name),
        None => names::port_number(port.int().unwrap_or_default()),
    };
    errors.extend(problems.into_iter().map(|problem| port.invalid(problem)));
}
