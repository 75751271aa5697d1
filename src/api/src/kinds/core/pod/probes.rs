//! Probes and life-cycle hooks.

use crate::field::{Errors, Node};
use crate::names;

/// The hooks and probes of a container that is given `grace` seconds to end.
pub(super) fn of_container(container: &Node<'_, '_>, grace: Option<i64>, errors: &mut Errors) {
    for hook in ["lifecycle.postStart", "lifecycle.preStop"] {
        let hook = container.at(hook);
        if hook.is_set() {
            handler(&hook, &["exec", "httpGet", "tcpSocket", "sleep"], grace, errors);
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
    } else if successes.int() != Some(1) {
        errors.push(successes.invalid_as(successes.int().unwrap_or_default(), "must be 1"));
    }
}

fn validate(probe: &Node<'_, '_>, errors: &mut Errors) {
    handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], None, errors);
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

fn handler(owner: &Node<'_, '_>, kinds: &[&str], grace: Option<i64>, errors: &mut Errors) {
    let mut handlers = kinds.iter().filter(|kind| owner.at(kind).is_set());
    let Some(kind) = handlers.next() else {
        return errors.push(owner.required("must specify a handler type"));
    };
    let action = owner.at(kind);
    match *kind {
        "exec" => action.at("command").require(errors),
        "httpGet" => http_get(&action, errors),
        "grpc" | "tcpSocket" => port(&action.at("port"), errors),
        "sleep" => sleep(&action, grace, errors),
        _ => {}
    }
    for another in handlers {
        errors.push(owner.at(another).forbidden("may not specify more than 1 handler type"));
    }
}

fn http_get(action: &Node<'_, '_>, errors: &mut Errors) {
    action.at("path").require(errors);
    port(&action.at("port"), errors);
    action.at("scheme").only_among(&["HTTP", "HTTPS"], errors);
    let headers = action.at("httpHeaders");
    for header in headers.items() {
        header.at("name").named(headers.path).check(names::header_name, errors);
    }
}

fn sleep(action: &Node<'_, '_>, grace: Option<i64>, errors: &mut Errors) {
    let seconds = action.at("seconds").int().unwrap_or_default();
    if let Some(grace) = grace.filter(|grace| seconds < 0 || seconds > *grace) {
        errors.push(action.invalid_as(
            seconds,
            format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})"),
        ));
    }
}

/// A number or the name of a port.
pub(in crate::kinds) fn port(port: &Node<'_, '_>, errors: &mut Errors) {
    match port.value.as_str() {
        Some(_) => port.check(names::port_name, errors),
        None => {
            let number = port.int().unwrap_or_default();
            let problems = names::port_number(number).into_iter();
            errors.extend(problems.map(|problem| port.invalid_as(number, problem)));
        }
    }
}
