//! Rules of Services. Addresses and node ports are handed out after these hold, so what they would fill in may be missing.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::pod::port_or_name;
use super::addresses;
use super::defaults::{wants_health_port, wants_node_ports};
use crate::field::{Errors, Node};
use crate::metadata::{validate_label_key, validate_labels};
use crate::names;
use crate::value::{at, int, list, text};

const DAY: i64 = 86_400;
const BALANCERS_ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const MODE: &str = "service.kubernetes.io/topology-mode";
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

pub(super) fn service(service: &Node<'_, '_>, errors: &mut Errors) {
    let spec = service.at("spec");
    topology(&service.at("metadata.annotations"), errors);
    if spec.at("ports").list().is_empty()
        && !is_headless(spec.value)
        && spec.at("type").text() != "ExternalName"
    {
        errors.push(spec.at("ports").required(""));
    }
    by_type(&spec, errors);
    ports(&spec, errors);
    validate_labels(&spec.at("selector"), errors);
    affinity(&spec, errors);
    addresses::cluster(&spec, errors);
    addresses::external(&spec.at("externalIPs"), errors);
    spec.at("type").must_be_among(&["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], errors);
    repeated_ports(&spec, errors);
    source_ranges(service, errors);
    balancer(&spec, errors);
    external_policy(&spec, errors);
    internal_policy(&spec, errors);
    spec.at("trafficDistribution").may_be_among(&["PreferClose", "PreferSameNode", "PreferSameZone"], errors);
}

pub(super) fn is_headless(spec: &Value) -> bool {
    match list(spec, "clusterIPs") {
        [] => text(spec, "clusterIP") == "None",
        [only] => only == "None",
        _ => false,
    }
}

/// Both names of one annotation must say the same.
fn topology(annotations: &Node<'_, '_>, errors: &mut Errors) {
    let (hints, mode) = (annotations.key(HINTS), annotations.key(MODE));
    if hints.is_set() && mode.is_set() && hints.value != mode.value {
        errors.push(mode.invalid(format!("must match annotations[{HINTS}] when both are specified")));
    }
}

fn by_type(spec: &Node<'_, '_>, errors: &mut Errors) {
    match spec.at("type").text() {
        kind @ ("LoadBalancer" | "NodePort") if is_headless(spec.value) => {
            let sentence = format!("may not be set to 'None' for {kind} services");
            errors.push(spec.at("clusterIPs").first().invalid_as("None", sentence));
        }
        "ExternalName" => external_name(spec, errors),
        _ => {}
    }
}

fn external_name(spec: &Node<'_, '_>, errors: &mut Errors) {
    let named = !spec.at("clusterIP").is_zero() || !spec.at("clusterIPs").is_zero();
    for (field, said) in [
        ("clusterIPs", named),
        ("ipFamilies", !spec.at("ipFamilies").is_zero()),
        ("ipFamilyPolicy", spec.at("ipFamilyPolicy").is_set()),
    ] {
        if said {
            errors.push(spec.at(field).forbidden("may not be set for ExternalName services"));
        }
    }
    let name = spec.at("externalName");
    // A trailing dot makes the name absolute and is fine.
    match name.text().strip_suffix('.').unwrap_or(name.text()) {
        "" => errors.push(name.required("")),
        host => {
            errors.extend(names::subdomain(host).into_iter().map(|problem| name.invalid_as(host, problem)));
        }
    }
}

fn ports(spec: &Node<'_, '_>, errors: &mut Errors) {
    let ports = spec.at("ports");
    let several = ports.list().len() > 1;
    let mut names_seen = BTreeSet::new();
    for port in ports.items() {
        name(&port.at("name"), several, &mut names_seen, errors);
        let number = port.at("port");
        let problems = names::port_number(number.int().unwrap_or_default());
        errors.extend(
            problems.into_iter().map(|problem| number.invalid_as(number.int().unwrap_or_default(), problem)),
        );
        port.at("protocol").must_be_among(&["SCTP", "TCP", "UDP"], errors);
        port_or_name(&port.at("targetPort"), errors);
        let application = port.at("appProtocol");
        if application.is_set() {
            validate_label_key(&application, application.text(), errors);
        }
    }
}

fn name<'v>(name: &Node<'v, '_>, required: bool, seen: &mut BTreeSet<&'v str>, errors: &mut Errors) {
    match name.text() {
        "" if required => errors.push(name.required("")),
        "" => {}
        text => {
            name.complain(names::dns_label(text), errors);
            if !seen.insert(text) {
                errors.push(name.duplicate());
            }
        }
    }
}

fn affinity(spec: &Node<'_, '_>, errors: &mut Errors) {
    let (affinity, config) = (spec.at("sessionAffinity"), spec.at("sessionAffinityConfig"));
    affinity.must_be_among(&["ClientIP", "None"], errors);
    match affinity.text() {
        "None" if config.is_set() => {
            errors.push(config.forbidden("must not be set when session affinity is None"));
        }
        "ClientIP" => client_address(&config, errors),
        _ => {}
    }
}

/// Defaults have filled the timeout in.
fn client_address(config: &Node<'_, '_>, errors: &mut Errors) {
    let timeout = config.at("clientIP.timeoutSeconds");
    if !(1..=DAY).contains(&timeout.int().unwrap_or_default()) {
        errors.push(timeout.invalid(format!("must be greater than 0 and less than {DAY}")));
    }
}

/// A port is told apart by its number and protocol, in the Service and on the nodes.
fn repeated_ports(spec: &Node<'_, '_>, errors: &mut Errors) {
    let ports = spec.at("ports");
    if spec.at("type").text() == "ClusterIP" {
        for port in ports.items().filter(|port| !port.at("nodePort").is_zero()) {
            errors.push(port.at("nodePort").forbidden("may not be used when `type` is 'ClusterIP'"));
        }
    }
    let mut node_ports = BTreeSet::new();
    for port in ports.items().filter(|port| !port.at("nodePort").is_zero()) {
        let node_port = port.at("nodePort");
        if !node_ports.insert((node_port.int(), text(port.value, "protocol"))) {
            errors.push(node_port.duplicate());
        }
    }
    let mut numbers = BTreeSet::new();
    for port in ports.items() {
        let (number, protocol) = (int(port.value, "port"), text(port.value, "protocol"));
        if !numbers.insert((number, protocol)) {
            errors.push(port.duplicate_as(json!({"port": number, "protocol": protocol})));
        }
    }
}

fn source_ranges(service: &Node<'_, '_>, errors: &mut Errors) {
    let (spec, annotations) = (service.at("spec"), service.at("metadata.annotations"));
    let annotation = annotations.key(SOURCE_RANGES);
    let is_balancer = spec.at("type").text() == "LoadBalancer";
    // The capital letter is upstream's.
    let shown = spec.at("LoadBalancerSourceRanges");
    let ranges = Node { path: shown.path, value: at(spec.value, "loadBalancerSourceRanges") };
    if !ranges.list().is_empty() {
        if !is_balancer {
            errors.push(ranges.forbidden(BALANCERS_ONLY));
        }
        for range in ranges.items() {
            source_range(&range, range.text(), errors);
        }
    } else if annotation.is_set() {
        if !is_balancer {
            errors.push(annotation.forbidden(BALANCERS_ONLY));
        }
        let said = annotation.text().trim();
        said.split(',')
            .filter(|_| !said.is_empty())
            .for_each(|range| source_range(&annotation, range, errors));
    }
}

/// Spaces around a range are let in: the annotation had them once.
fn source_range(at: &Node<'_, '_>, range: &str, errors: &mut Errors) {
    let range = range.trim();
    errors.extend(names::cidr(range).into_iter().map(|problem| at.invalid_as(range, problem)));
}

fn balancer(spec: &Node<'_, '_>, errors: &mut Errors) {
    let is_balancer = spec.at("type").text() == "LoadBalancer";
    let (allocate, class) = (spec.at("allocateLoadBalancerNodePorts"), spec.at("loadBalancerClass"));
    if allocate.is_set() && !is_balancer {
        errors.push(allocate.forbidden(BALANCERS_ONLY));
    }
    match (class.is_set(), is_balancer) {
        (true, true) => validate_label_key(&class, class.text(), errors),
        (true, false) => errors.push(class.forbidden(BALANCERS_ONLY)),
        (false, _) => {}
    }
}

fn external_policy(spec: &Node<'_, '_>, errors: &mut Errors) {
    let policy = spec.at("externalTrafficPolicy");
    let reachable = wants_node_ports(spec.value)
        || (spec.at("type").text() == "ClusterIP" && !spec.at("externalIPs").list().is_empty());
    match (reachable, policy.text()) {
        (false, "") => {}
        (false, _) => errors.push(policy.invalid("may only be set for externally-accessible services")),
        (true, _) => policy.must_be_among(&["Cluster", "Local"], errors),
    }
    let port = spec.at("healthCheckNodePort");
    match port.int() {
        Some(0) | None => {}
        Some(_) if !wants_health_port(spec.value) => {
            errors.push(port.invalid(
                "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
            ));
        }
        Some(number) => {
            errors.extend(names::port_number(number).into_iter().map(|problem| port.invalid(problem)));
        }
    }
}

fn internal_policy(spec: &Node<'_, '_>, errors: &mut Errors) {
    let policy = spec.at("internalTrafficPolicy");
    if !policy.is_set() && matches!(spec.at("type").text(), "ClusterIP" | "LoadBalancer" | "NodePort") {
        errors.push(policy.required(""));
    }
    policy.may_be_among(&["Cluster", "Local"], errors);
}

/// What was handed out stays, unless the Service stops having one.
pub(super) fn update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let (spec, old) = (new.at("spec"), at(old, "spec"));
    if ![spec.value, old].iter().any(|spec| text(spec, "type") == "ExternalName") {
        addresses::update(&spec, old, errors);
    }
    let class = spec.at("loadBalancerClass");
    if [spec.value, old].iter().all(|spec| text(spec, "type") == "LoadBalancer")
        && class.value != at(old, "loadBalancerClass")
    {
        errors.push(class.invalid("may not change once set"));
    }
    let port = spec.at("healthCheckNodePort");
    if wants_health_port(spec.value) && wants_health_port(old) && port.value != at(old, "healthCheckNodePort")
    {
        errors.push(port.forbidden("field is immutable"));
    }
}

/// The status says where a load balancer listens.
pub(super) fn status(new: &Node<'_, '_>, _: &Value, errors: &mut Errors) {
    let entries = new.at("status.loadBalancer.ingress");
    if new.at("spec.type").text() != "LoadBalancer" && !entries.list().is_empty() {
        return errors.push(entries.forbidden("may only be used when `spec.type` is 'LoadBalancer'"));
    }
    for entry in entries.items() {
        let (ip, mode) = (entry.at("ip"), entry.at("ipMode"));
        ip.check_given(names::ip, errors);
        match (ip.text().is_empty(), mode.is_set()) {
            (false, false) => errors.push(mode.required("must be specified when `ip` is set")),
            (true, true) => errors.push(mode.forbidden("may not be specified when `ip` is not set")),
            _ => mode.may_be_among(&["Proxy", "VIP"], errors),
        }
        host_name(&entry.at("hostname"), errors);
    }
}

/// A name in DNS, not an address.
pub(in crate::kinds) fn host_name(name: &Node<'_, '_>, errors: &mut Errors) {
    name.check_given(names::subdomain, errors);
    if names::is_ip(name.text()) {
        errors.push(name.invalid("must be a DNS name, not an IP address"));
    }
}

/// Sentences about what a Service says to no effect, or in an unusual way.
pub(super) fn warnings(service: &Value, _: Option<&Value>) -> Vec<String> {
    let spec = at(service, "spec");
    let (kind, headless) =
        (text(spec, "type"), text(spec, "type") == "ClusterIP" && text(spec, "clusterIP") == "None");
    let externals = list(spec, "externalIPs");
    let mut warnings = Vec::new();
    if at(service, "metadata.annotations").get(HINTS).is_some() {
        warnings.push(format!("annotation {HINTS} is deprecated, please use {MODE} instead"));
    }
    warnings.extend(addresses::warnings(spec, headless));
    for (holds, sentence) in [
        (
            headless && !text(spec, "loadBalancerIP").is_empty(),
            "spec.loadBalancerIP is ignored for headless services",
        ),
        (headless && !externals.is_empty(), "spec.externalIPs is ignored for headless services"),
        (
            headless && text(spec, "sessionAffinity") != "None",
            "spec.SessionAffinity is ignored for headless services",
        ),
        (
            !externals.is_empty() && !headless && kind != "ExternalName",
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
        ),
        (
            !externals.is_empty() && kind == "ExternalName",
            "spec.externalIPs is ignored when spec.type is \"ExternalName\"",
        ),
        (
            kind != "ExternalName" && !text(spec, "externalName").is_empty(),
            "spec.externalName is ignored when spec.type is not \"ExternalName\"",
        ),
        (
            text(spec, "trafficDistribution") == "PreferClose",
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
        ),
    ] {
        if holds {
            warnings.push(sentence.to_owned());
        }
    }
    warnings
}
