//! Ingresses and their classes.

use serde_json::{Value, json};

use super::super::apps::rules::immutable;
use super::super::core::service::{host_name, load_balancer};
use super::super::{Generation, Strategy};
use crate::field::{Errors, Node};
use crate::names;
use crate::table::{AGE, Column, NAME, Table, age, name, or, or_none};
use crate::value::{at, default_to, list, text};

const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

pub(super) const STRATEGY: Strategy = Strategy {
    validate: ingress,
    validate_create: one_class,
    validate_status: status,
    generation: Generation::Spec,
    warnings,
    ..Strategy::PLAIN
};

pub(super) const CLASS: Strategy = Strategy {
    defaults: |class| {
        if let Some(parameters) = class.get_mut("spec").and_then(|spec| spec.get_mut("parameters")) {
            default_to(parameters, "scope", "Cluster");
        }
    },
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
        errors.push(spec.invalid_as(json!([]), "either `defaultBackend` or `rules` must be specified"));
    }
    if default.is_set() {
        backend(&default, errors);
    }
    for rule in rules.items() {
        let host_node = rule.at("host");
        if names::is_ip(host_node.text()) {
            errors.push(host_node.invalid("must be a DNS name, not an IP address"));
        }
        if !host_node.text().is_empty() {
            host(&host_node, errors);
        }
        paths(&rule.at("http"), errors);
    }
    for tls in spec.at("tls").items() {
        tls.at("hosts").items().for_each(|name| host(&name, errors));
        tls.at("secretName").check_given(names::subdomain, errors);
    }
    let class = spec.at("ingressClassName");
    if class.is_set() {
        class.check(names::subdomain, errors);
    }
}

/// The annotation is the older way to name a class; both must name the same.
fn one_class(ingress: &Node<'_, '_>, errors: &mut Errors) {
    let class = at(ingress.value, "spec.ingressClassName");
    let annotation = at(ingress.value, "metadata.annotations").get(CLASS_ANNOTATION);
    if let Some(annotation) = annotation.filter(|annotation| !class.is_null() && *annotation != class) {
        // Upstream's path leaves `metadata` out.
        let path = ingress.path.field("annotations");
        let said = Node { value: annotation, path: path.field(CLASS_ANNOTATION) };
        errors.push(said.invalid("must match `ingressClassName` when both are specified"));
    }
}

fn warnings(ingress: &Value, old: Option<&Value>) -> Vec<String> {
    let annotated = at(ingress, "metadata.annotations").get(CLASS_ANNOTATION).is_some();
    match old.is_none() && annotated && at(ingress, "spec.ingressClassName").is_null() {
        true => vec![format!(
            "annotation {CLASS_ANNOTATION:?} is deprecated, please use 'spec.ingressClassName' instead"
        )],
        false => Vec::new(),
    }
}

fn host(host: &Node<'_, '_>, errors: &mut Errors) {
    let check = if host.text().contains('*') { names::wildcard_subdomain } else { names::subdomain };
    host.check(check, errors);
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
            _ if !kind.is_set() => {
                errors.push(kind.required("pathType must be specified"));
                continue;
            }
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
    for banned in ["//", "/./", "/../", "%2f", "%2F"] {
        if path.text().contains(banned) {
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
            errors.push(backend.invalid_as("", "cannot set both resource and service backends"));
        }
        (false, false) => errors.push(backend.invalid_as("", "resource or service backend is required")),
        (false, true) => reference(&resource, errors),
        (true, false) => service_backend(backend, &service, errors),
    }
}

/// An object of any kind.
fn reference(reference: &Node<'_, '_>, errors: &mut Errors) {
    let group = reference.at("apiGroup");
    if group.is_set() {
        group.check(names::subdomain, errors);
    }
    reference.at("kind").must_be(names::path_segment, errors);
    reference.at("name").must_be(names::path_segment, errors);
}

fn service_backend(backend: &Node<'_, '_>, service: &Node<'_, '_>, errors: &mut Errors) {
    service.at("name").must_be(names::dns_label_1035, errors);
    let (number, port) = (service.at("port.number"), service.at("port.name"));
    match (port.text(), number.int().unwrap_or_default()) {
        ("", 0) => errors.push(backend.required("port name or number is required")),
        ("", value) => {
            errors.extend(names::port_number(value).into_iter().map(|problem| number.invalid(problem)));
        }
        (text, 0) => port.complain(names::port_name(text), errors),
        _ => errors.push(backend.invalid_as("", "cannot set both port name & port number")),
    }
}

fn status(new: &Node<'_, '_>, _: &Value, errors: &mut Errors) {
    for entry in new.at("status.loadBalancer.ingress").items() {
        entry.at("ip").check_given(names::ip, errors);
        host_name(&entry.at("hostname"), errors);
    }
}

const CONTROLLER_MAX: usize = 250;

fn class(class: &Node<'_, '_>, errors: &mut Errors) {
    let controller = class.at("spec.controller");
    if controller.text().len() > CONTROLLER_MAX {
        errors.push(controller.too_long(CONTROLLER_MAX));
    }
    controller.must_be_domain_and_path(errors);
    let parameters = class.at("spec.parameters");
    if parameters.is_set() {
        reference(&parameters, errors);
        scope(&parameters, errors);
    }
}

fn scope(parameters: &Node<'_, '_>, errors: &mut Errors) {
    let (scope, namespace) = (parameters.at("scope"), parameters.at("namespace"));
    match (scope.text(), namespace.is_set()) {
        ("Namespace", false) => errors.push(namespace.required("`parameters.scope` is set to 'Namespace'")),
        ("Namespace", true) => namespace.check(names::dns_label, errors),
        ("Cluster", true) => errors.push(namespace.forbidden("`parameters.scope` is set to 'Cluster'")),
        ("Cluster", false) => {}
        _ => scope.must_be_among(&["Cluster", "Namespace"], errors),
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
        let tls = !list(ingress, "spec.tls").is_empty();
        vec![
            name(ingress),
            or_none(text(ingress, "spec.ingressClassName")).into(),
            hosts(list(ingress, "spec.rules")).into(),
            load_balancer(ingress).into(),
            if tls { "80, 443" } else { "80" }.into(),
            age(ingress, now),
        ]
    },
};

/// The first three hosts. What upstream counts besides are rules, with or without a host.
fn hosts(rules: &[Value]) -> String {
    let named = |rule: &&Value| !text(rule, "host").is_empty();
    let third = rules.iter().enumerate().filter(|(_, rule)| named(rule)).nth(2);
    let shown: Vec<&str> = rules.iter().filter(named).map(|rule| text(rule, "host")).take(3).collect();
    match third {
        Some((index, _)) if index + 1 < rules.len() => {
            format!("{} + {} more...", shown.join(","), rules.len() - 3)
        }
        _ => or(&shown.join(","), "*").to_owned(),
    }
}

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
    use crate::field::said::sentences;

    #[test]
    fn what_an_ingress_must_say() {
        let backend = json!({"service": {"name": "s", "port": {"number": 80}}});
        let rule = |path: Value| json!({"rules": [{"host": "*.a.b", "http": {"paths": [path]}}]});
        let path = "spec.rules[0].http.paths[0]";
        for (spec, expected) in [
            (rule(json!({"path": "/", "pathType": "Prefix", "backend": backend})), vec![]),
            (json!({}), vec!["spec: Invalid value: []: either `defaultBackend` or `rules` must be specified".to_owned()]),
            (
                rule(json!({"path": "a//b", "pathType": "Exact", "backend": {"service": {"name": "s"}}})),
                vec![
                    format!("{path}.path: Invalid value: \"a//b\": must be an absolute path"),
                    format!("{path}.path: Invalid value: \"a//b\": must not contain '//'"),
                    format!("{path}.backend: Required value: port name or number is required"),
                ],
            ),
            (
                rule(json!({"path": "/..", "pathType": "Prefix", "backend": backend})),
                vec![format!("{path}.path: Invalid value: \"/..\": cannot end with '/..'")],
            ),
            (rule(json!({"backend": backend})), vec![format!("{path}.pathType: Required value: pathType must be specified")]),
            (
                rule(json!({"pathType": "X", "backend": {}})),
                vec![
                    format!("{path}.pathType: Unsupported value: \"X\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\""),
                    format!("{path}.backend: Invalid value: \"\": resource or service backend is required"),
                ],
            ),
            (
                json!({"defaultBackend": {"service": {"name": "s", "port": {"number": 80, "name": "a"}}}}),
                vec!["spec.defaultBackend: Invalid value: \"\": cannot set both port name & port number".to_owned()],
            ),
            (
                json!({"defaultBackend": {"service": {"port": {"number": 0, "name": "A"}}}}),
                vec![
                    "spec.defaultBackend.service.name: Required value".to_owned(),
                    "spec.defaultBackend.service.port.name: Invalid value: \"A\": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned(),
                    "spec.defaultBackend.service.port.name: Invalid value: \"A\": must contain at least one letter (a-z)".to_owned(),
                ],
            ),
            (
                json!({"defaultBackend": {"service": {}, "resource": {}}}),
                vec!["spec.defaultBackend: Invalid value: \"\": cannot set both resource and service backends".to_owned()],
            ),
            (
                json!({"defaultBackend": {"resource": {"kind": "a/b"}}}),
                vec![
                    "spec.defaultBackend.resource.kind: Invalid value: \"a/b\": may not contain '/'".to_owned(),
                    "spec.defaultBackend.resource.name: Required value".to_owned(),
                ],
            ),
            (
                json!({"rules": [{"host": "10.0.0.1"}]}),
                vec!["spec.rules[0].host: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address".to_owned()],
            ),
            (json!({"rules": [{"http": {}}]}), vec!["spec.rules[0].http.paths: Required value".to_owned()]),
        ] {
            let mut errors = Errors::new();
            ingress(&Node::root(&json!({"spec": spec})), &mut errors);
            assert_eq!(sentences(&errors), expected, "{spec}");
        }
    }

    #[test]
    fn rules_without_a_host_count_among_the_rest() {
        let shown = |hosts: &[&str]| {
            super::hosts(&hosts.iter().map(|host| json!({ "host": host })).collect::<Vec<_>>())
        };
        for (hosts, expected) in [
            (&[""][..], "*"),
            (&["a", "", "b", "c"], "a,b,c"),
            (&["a", "b", "c", ""], "a,b,c + 1 more..."),
            (&["a", "", "b", "c", "d"], "a,b,c + 2 more..."),
        ] {
            assert_eq!(shown(hosts), expected);
        }
    }

    #[test]
    fn a_class_is_named_once() {
        let object =
            json!({"metadata": {"annotations": {CLASS_ANNOTATION: "a"}}, "spec": {"ingressClassName": "b"}});
        let mut errors = Errors::new();
        one_class(&Node::root(&object), &mut errors);
        assert_eq!(
            sentences(&errors),
            [
                "annotations.kubernetes.io/ingress.class: Invalid value: \"a\": must match `ingressClassName` when both are specified"
            ]
        );
        let object = json!({"metadata": {"annotations": {CLASS_ANNOTATION: "a"}}});
        assert_eq!(
            warnings(&object, None),
            [
                "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
            ]
        );
        assert_eq!(warnings(&object, Some(&object)), [""; 0]);
    }

    #[test]
    fn what_a_class_must_say() {
        for (spec, expected) in [
            (json!({"controller": "acme.io/foo"}), vec![]),
            (json!({}), vec!["spec.controller: Required value"]),
            (
                json!({"controller": "acme"}),
                vec![
                    "spec.controller: Invalid value: \"acme\": must be a domain-prefixed path (such as \"acme.io/foo\")",
                ],
            ),
            (
                json!({"controller": "a.b/c d"}),
                vec![
                    "spec.controller: Invalid value: \"c d\": Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')",
                ],
            ),
            (
                json!({"controller": "a.b/c", "parameters": {"kind": "K", "name": "n", "scope": "Namespace"}}),
                vec!["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
            ),
            (
                json!({"controller": "a.b/c", "parameters": {"kind": "K", "name": "n", "scope": "Cluster", "namespace": "n"}}),
                vec!["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"],
            ),
            (
                json!({"controller": "a.b/c", "parameters": {"kind": "K", "scope": "X"}}),
                vec![
                    "spec.parameters.name: Required value",
                    "spec.parameters.scope: Unsupported value: \"X\": supported values: \"Cluster\", \"Namespace\"",
                ],
            ),
        ] {
            let mut errors = Errors::new();
            class(&Node::root(&json!({"spec": spec})), &mut errors);
            assert_eq!(sentences(&errors), expected, "{spec}");
        }
        let mut object = json!({"spec": {"parameters": {}}});
        (CLASS.defaults)(&mut object);
        assert_eq!(object["spec"]["parameters"]["scope"], "Cluster");
    }
}
