//! The rules of a pod's spec as a whole.

use std::collections::BTreeSet;

use super::{containers, placement, resources, security, volumes};
use crate::field::{Errors, Node};
use crate::metadata::validate_labels;
use crate::names;

const DNS_POLICIES: &[&str] = &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];

pub(super) fn validate(spec: &Node<'_, '_>, errors: &mut Errors) {
    let volumes = volumes::validate(&spec.at("volumes"), errors);
    containers::validate(spec, &volumes, errors);
    choice(&spec.at("restartPolicy"), &["Always", "OnFailure", "Never"], errors);
    choice(&spec.at("dnsPolicy"), DNS_POLICIES, errors);
    dns_config(spec, errors);
    validate_labels(&spec.at("nodeSelector"), errors);
    security::pod(&spec.at("securityContext"), errors);
    placement::validate(spec, errors);
    names_of_others(spec, errors);
    host_names(spec, errors);
    numbers(spec, errors);
    resources::resource_list(&spec.at("overhead"), errors);
    readiness_and_scheduling_gates(spec, errors);
}

/// A field that must hold one of the given words.
pub(super) fn choice(field: &Node<'_, '_>, words: &[&str], errors: &mut Errors) {
    match field.text() {
        "" => errors.push(field.required("")),
        word if !words.contains(&word) => errors.push(field.unsupported(words)),
        _ => {}
    }
}

/// [`choice`] for fields that may be left out.
pub(super) fn optional_choice(field: &Node<'_, '_>, words: &[&str], errors: &mut Errors) {
    if field.is_set() {
        choice(field, words, errors);
    }
}

fn names_of_others(spec: &Node<'_, '_>, errors: &mut Errors) {
    for name in ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] {
        let name = spec.at(name);
        if !name.text().is_empty() {
            errors.extend(names::subdomain(name.text()).into_iter().map(|problem| name.invalid(problem)));
        }
    }
    for secret in spec.at("imagePullSecrets").items() {
        if secret.at("name").text().is_empty() {
            errors.push(secret.at("name").required(""));
        }
    }
    optional_choice(&spec.at("preemptionPolicy"), &["PreemptLowerPriority", "Never"], errors);
    optional_choice(&spec.at("os.name"), &["linux", "windows"], errors);
}

fn host_names(spec: &Node<'_, '_>, errors: &mut Errors) {
    for name in ["hostname", "subdomain"] {
        let name = spec.at(name);
        if !name.text().is_empty() {
            errors.extend(names::dns_label(name.text()).into_iter().map(|problem| name.invalid(problem)));
        }
    }
    for alias in spec.at("hostAliases").items() {
        let ip = alias.at("ip");
        if ip.text().parse::<std::net::IpAddr>().is_err() {
            errors.push(ip.invalid_as(ip.text(), IP));
        }
        for name in alias.at("hostnames").items() {
            errors.extend(names::subdomain(name.text()).into_iter().map(|problem| name.invalid(problem)));
        }
    }
}

pub(in crate::kinds) const IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

fn numbers(spec: &Node<'_, '_>, errors: &mut Errors) {
    let deadline = spec.at("activeDeadlineSeconds");
    if deadline.int().is_some_and(|seconds| !(1..=i64::from(i32::MAX)).contains(&seconds)) {
        errors.push(deadline.invalid(names::range(1, i64::from(i32::MAX))));
    }
    let context =
        |field: &str| spec.value.get(field).and_then(serde_json::Value::as_bool).unwrap_or_default();
    if context("hostPID") && context("shareProcessNamespace") {
        let share = spec.at("shareProcessNamespace");
        errors.push(share.invalid("ShareProcessNamespace and HostPID cannot both be enabled"));
    }
}

fn dns_config(spec: &Node<'_, '_>, errors: &mut Errors) {
    let config = spec.at("dnsConfig");
    let servers = config.at("nameservers");
    if spec.at("dnsPolicy").text() == "None" {
        if !config.is_set() {
            errors.push(config.required("must provide `dnsConfig` when `dnsPolicy` is None"));
        } else if servers.list().is_empty() {
            errors
                .push(servers.required("must provide at least one DNS nameserver when `dnsPolicy` is None"));
        }
    }
    if servers.list().len() > 3 {
        errors.push(servers.invalid("must not have more than 3 nameservers"));
    }
    for server in servers.items().filter(|server| server.text().parse::<std::net::IpAddr>().is_err()) {
        errors.push(server.invalid(IP));
    }
    let searches = config.at("searches");
    if searches.list().len() > 32 {
        errors.push(searches.invalid("must not have more than 32 search paths"));
    }
    for option in config.at("options").items().filter(|option| option.at("name").text().is_empty()) {
        errors.push(option.required("must not be empty"));
    }
}

fn readiness_and_scheduling_gates(spec: &Node<'_, '_>, errors: &mut Errors) {
    for gate in spec.at("readinessGates").items() {
        let kind = gate.at("conditionType");
        errors.extend(
            names::qualified_name(kind.text())
                .into_iter()
                .map(|problem| kind.invalid_as(kind.text(), problem)),
        );
    }
    let mut seen = BTreeSet::new();
    for gate in spec.at("schedulingGates").items() {
        let name = gate.at("name");
        errors.extend(
            names::qualified_name(name.text())
                .into_iter()
                .map(|problem| gate.invalid_as(name.text(), problem)),
        );
        if !seen.insert(name.text()) {
            errors.push(gate.duplicate_as(name.text()));
        }
    }
}
