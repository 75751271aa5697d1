//! Ingresses and their classes.

use serde_json::Value;

use super::super::apps::rules::immutable;
use super::super::core::service::load_balancer;
use super::super::{Generation, Strategy};
use crate::field::{Errors, Node};
use crate::names;
use crate::table::{AGE, Column, NAME, Table, age, first_three, name, or_none};
use crate::value::{at, list, text};

pub(super) const STRATEGY: Strategy =
    Strategy { validate: ingress, generation: Generation::Spec, ..Strategy::PLAIN };

pub(super) const CLASS: Strategy = Strategy {
    validate: class,
    validate_update: |new, old, errors| {
        immutable(&new.at("spec.controller"), at(old, "spec.controller"), errors);
    },
    generation: Generation::Spec,
    ..Strategy::PLAIN
};

fn ingress(ingress: &Node<'_, '_>, errors: &mut Errors) {
    let spec = ingress.at("spec");
    let (rules, default) = (spec.at("rules"), spec.at("defaultBackend"));
    if rules.list().is_empty() && !default.is_set() {
        errors.push(spec.invalid("either `defaultBackend` or `rules` must be specified"));
    }
    if default.is_set() {
        backend(&default, errors);
    }
    for rule in rules.items() {
        host(&rule.at("host"), errors);
        paths(&rule.at("http"), errors);
    }
    for tls in spec.at("tls").items() {
        for name in tls.at("hosts").items() {
            host(&name, errors);
        }
    }
    let class = spec.at("ingressClassName");
    if class.is_set() {
        errors.extend(names::subdomain(class.text()).into_iter().map(|problem| class.invalid(problem)));
    }
}

fn host(host: &Node<'_, '_>, errors: &mut Errors) {
    let name = host.text();
    if name.is_empty() {
        return;
    }
    if name.parse::<std::net::IpAddr>().is_ok() {
        errors.push(host.invalid("must be a DNS name, not an IP address"));
    }
    let check = if name.contains('*') { names::wildcard_subdomain } else { names::subdomain };
    errors.extend(check(name).into_iter().map(|problem| host.invalid(problem)));
}

fn paths(http: &Node<'_, '_>, errors: &mut Errors) {
    if !http.is_set() {
        return;
    }
    let paths = http.at("paths");
    if paths.list().is_empty() {
        errors.push(paths.required(""));
    }
    for path in paths.items() {
        let (kind, prefix) = (path.at("pathType"), path.at("path"));
        match kind.text() {
            "" => errors.push(kind.required("pathType must be specified")),
            "Exact" | "Prefix" => exact_path(&prefix, errors),
            "ImplementationSpecific" => {
                if !prefix.text().is_empty() && !prefix.text().starts_with('/') {
                    errors.push(prefix.invalid("must be an absolute path"));
                }
            }
            _ => errors.push(kind.unsupported(&["Exact", "ImplementationSpecific", "Prefix"])),
        }
        backend(&path.at("backend"), errors);
    }
}

fn exact_path(path: &Node<'_, '_>, errors: &mut Errors) {
    if !path.text().starts_with('/') {
        errors.push(path.invalid_as(path.text(), "must be an absolute path"));
    }
    let lower = path.text().to_lowercase();
    for banned in ["//", "/./", "/../", "%2f"] {
        if lower.contains(banned) {
            errors.push(path.invalid(format!("must not contain '{banned}'")));
        }
    }
    for banned in ["/..", "/."] {
        if path.text().ends_with(banned) {
            errors.push(path.invalid(format!("cannot end with '{banned}'")));
        }
    }
}

fn backend(backend: &Node<'_, '_>, errors: &mut Errors) {
    let (service, resource) = (backend.at("service"), backend.at("resource"));
    match (service.is_set(), resource.is_set()) {
        (true, true) => {
            errors.push(backend.invalid("cannot set both resource and service backends"));
        }
        (false, false) => errors.push(backend.required("resource or service backend is required")),
        (false, true) => {
            for field in ["kind", "name"] {
                let field = resource.at(field);
                if field.text().is_empty() {
                    errors.push(field.required(""));
                }
            }
        }
        (true, false) => service_backend(&service, errors),
    }
}

fn service_backend(service: &Node<'_, '_>, errors: &mut Errors) {
    let (name, number, port) = (service.at("name"), service.at("port.number"), service.at("port.name"));
    match name.text() {
        "" => errors.push(name.required("")),
        text => errors.extend(names::dns_label_1035(text).into_iter().map(|problem| name.invalid(problem))),
    }
    match (port.text(), number.int().unwrap_or_default()) {
        ("", 0) => errors.push(service.required("port name or number is required")),
        ("", number_value) => {
            errors
                .extend(names::port_number(number_value).into_iter().map(|problem| number.invalid(problem)));
        }
        (text, 0) => errors.extend(names::port_name(text).into_iter().map(|problem| port.invalid(problem))),
        _ => errors.push(service.invalid("cannot set both port name & port number")),
    }
}

fn class(class: &Node<'_, '_>, errors: &mut Errors) {
    let controller = class.at("spec.controller");
    if controller.text().len() > 250 {
        errors.push(controller.too_long(250));
    }
    match controller.text().split_once('/') {
        Some((domain, rest)) if !rest.is_empty() => {
            errors.extend(names::subdomain(domain).into_iter().map(|problem| controller.invalid(problem)));
        }
        _ if controller.text().is_empty() => errors.push(controller.required("")),
        _ => errors.push(controller.invalid("must be a domain-prefixed path (such as \"acme.io/foo\")")),
    }
    let parameters = class.at("spec.parameters");
    if parameters.is_set() {
        for field in ["kind", "name"] {
            let field = parameters.at(field);
            if field.text().is_empty() {
                errors.push(field.required(""));
            }
        }
    }
}

pub(super) static TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("Class"),
        Column::text("Hosts"),
        Column::text("Address"),
        Column::text("Ports"),
        AGE,
    ],
    cells: |ingress, now| {
        let hosts: Vec<String> = list(ingress, "spec.rules")
            .iter()
            .map(|rule| text(rule, "host").to_owned())
            .filter(|host| !host.is_empty())
            .collect();
        let tls = !list(ingress, "spec.tls").is_empty();
        vec![
            name(ingress),
            or_none(text(ingress, "spec.ingressClassName")).into(),
            first_three(&hosts, "*").into(),
            load_balancer(ingress).into(),
            if tls { "80, 443" } else { "80" }.into(),
            age(ingress, now),
        ]
    },
};

pub(super) static CLASS_TABLE: Table = Table {
    columns: &[NAME, Column::text("Controller"), Column::text("Parameters"), AGE],
    cells: |class, now| {
        vec![name(class), text(class, "spec.controller").into(), parameters(class).into(), age(class, now)]
    },
};

fn parameters(class: &Value) -> String {
    let parameters = at(class, "spec.parameters");
    match (text(parameters, "kind"), text(parameters, "apiGroup"), text(parameters, "name")) {
        _ if parameters.is_null() => "<none>".to_owned(),
        (kind, "", name) => format!("{kind}/{name}"),
        (kind, group, name) => format!("{kind}.{group}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
    fn found(spec: Value) -> Vec<String> {
        let mut errors = Errors::new();
        ingress(&Node::root(&json!({"spec": spec})), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_an_ingress_must_say() {
        let backend = json!({"service": {"name": "s", "port": {"number": 80}}});
        let rule = |path: Value| json!({"rules": [{"host": "*.a.b", "http": {"paths": [path]}}]});
        assert_eq!(found(rule(json!({"path": "/", "pathType": "Prefix", "backend": backend}))), [""; 0]);
        assert_eq!(
            found(json!({})),
            ["spec: Invalid value: {}: either `defaultBackend` or `rules` must be specified"]
        );
        assert_eq!(
            found(rule(json!({"path": "a//b", "pathType": "Exact", "backend": {"service": {"name": "s"}}}))),
            [
                "spec.rules[0].http.paths[0].path: Invalid value: \"a//b\": must be an absolute path",
                "spec.rules[0].http.paths[0].path: Invalid value: \"a//b\": must not contain '//'",
                "spec.rules[0].http.paths[0].backend.service: Required value: port name or number is required",
            ]
        );
        assert_eq!(
            found(rule(json!({"backend": backend}))),
            ["spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"]
        );
    }
}
