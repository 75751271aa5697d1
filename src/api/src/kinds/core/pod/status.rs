//! Rules for the status of a pod: what its node may say of it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::annotations;
use super::containers::is_sidecar;
use super::dns::address;
use super::security::id;
use crate::field::{Errors, Node};
use crate::names;
use crate::value::{at, default_zero_to, int, items_mut, list, replace, text};

/// A node says nothing about who owns its pods or when they end; old ones say nothing about the class of service either.
pub(super) fn prepare(new: &mut Value, old: &Value) {
    if let Some(metadata) = new.get_mut("metadata") {
        for field in ["deletionTimestamp", "ownerReferences"] {
            replace(metadata, field, at(old, "metadata").get(field).cloned());
        }
    }
    if let Some(status) = new.get_mut("status") {
        generations(status, at(old, "status"));
    }
    let class = at(old, "status").get("qosClass").cloned();
    if let Some(status) = new.get_mut("status").filter(|status| status.is_object()) {
        addresses(status);
    }
    if let Some(status) = new.get_mut("status").filter(|status| text(status, "qosClass").is_empty()) {
        replace(status, "qosClass", class);
    }
}

/// Which generation was seen is not forgotten by who does not say. Conditions may share a type: then the first is the first.
fn generations(status: &mut Value, old: &Value) {
    const SEEN: &str = "observedGeneration";
    let carry = |to: &mut Value, from: &Value| {
        if int(from, SEEN) != 0 {
            default_zero_to(to, SEEN, int(from, SEEN));
        }
    };
    carry(status, old);
    let mut known: Vec<&Value> = list(old, "conditions").iter().collect();
    for condition in items_mut(status, "conditions") {
        let same = known.iter().position(|known| text(known, "type") == text(condition, "type"));
        if let Some(same) = same {
            carry(condition, known.remove(same));
        }
    }
}

/// The first address has a field of its own; where the two differ that one counts.
fn addresses(status: &mut Value) {
    let one = text(status, "podIP").to_owned();
    let first = list(status, "podIPs").first().map(|first| text(first, "ip").to_owned());
    match first {
        Some(first) if one.is_empty() => replace(status, "podIP", Some(first.into())),
        Some(first) if first == one => {}
        None if one.is_empty() => {}
        _ => replace(status, "podIPs", Some(json!([{"ip": one}]))),
    }
}

pub(super) fn validate(pod: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    annotations::update(&pod.at("metadata.annotations"), at(old, "metadata.annotations"), errors);
    annotations::validate(&pod.at("metadata.annotations"), &pod.at("spec"), errors);
    let status = pod.at("status");
    conditions(&status.at("conditions").named(pod.path.field("metadata.conditions")), errors);
    let nominated = status.at("nominatedNodeName");
    if nominated.value != at(old, "status.nominatedNodeName") {
        nominated.check_given(names::subdomain, errors);
    }
    let class = status.at("qosClass");
    if class.text() != text(old, "status.qosClass") {
        errors.push(class.invalid_as(class.text(), "field is immutable"));
    }
    transitions(&status, old, errors);
    claims(&status.at("resourceClaimStatuses"), at(old, "spec"), errors);
    status.at("podIPs").items().for_each(|ip| address(&ip.at("ip").named(ip.path), errors));
    families(&status.at("podIPs"), errors);
    host_addresses(&status, errors);
    users(pod, &status, errors);
    for (kind, containers) in
        [("containerStatuses", "containers"), ("initContainerStatuses", "initContainers")]
    {
        for one in status.at(kind).items() {
            let container = list(at(old, "spec"), containers)
                .iter()
                .find(|container| text(container, "name") == one.at("name").text());
            devices(&one.at("allocatedResourcesStatus"), container, errors);
        }
    }
    for one in status.at("ephemeralContainerStatuses").items() {
        let devices = one.at("allocatedResourcesStatus");
        if !devices.list().is_empty() {
            errors.push(devices.forbidden("must not be specified in container status"));
        }
    }
}

/// Conditions of others are named by their domain.
fn conditions(conditions: &Node<'_, '_>, errors: &mut Errors) {
    for condition in conditions.items() {
        let kind = condition.at("type");
        if !matches!(kind.text(), "PodScheduled" | "Ready" | "Initialized") {
            kind.named(condition.path.field("Type")).check(names::qualified_name, errors);
        }
    }
}

/// A container that has ended for good does not run again.
fn transitions(status: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let policy = text(old, "spec.restartPolicy");
    for (kind, policy) in [
        ("containerStatuses", policy),
        ("initContainerStatuses", policy),
        ("ephemeralContainerStatuses", "Never"),
    ] {
        if policy == "Always" {
            continue;
        }
        let new = status.at(kind);
        for (index, was) in list(at(old, "status"), kind).iter().enumerate() {
            let name = text(was, "name");
            let ended = !at(was, "state.terminated").is_null();
            let failed = int(was, "state.terminated.exitCode") != 0;
            if !ended || (failed && policy == "OnFailure") || restarts(at(old, "spec"), kind, name) {
                continue;
            }
            let runs = |one: &&Value| text(one, "name") == name && at(one, "state.terminated").is_null();
            let path = new.path.index(index);
            for _ in new.list().iter().filter(runs) {
                let state = Node { value: &Value::Null, path: path.field("state") };
                errors.push(state.forbidden("may not be transitioned to non-terminated state"));
            }
        }
    }
}

/// Whether the container restarts by a rule of its own.
fn restarts(spec: &Value, kind: &str, name: &str) -> bool {
    let containers = match kind {
        "initContainerStatuses" => "initContainers",
        "containerStatuses" => "containers",
        _ => return false,
    };
    let container = list(spec, containers).iter().find(|container| text(container, "name") == name);
    container.is_some_and(|container| {
        is_sidecar(container)
            || text(container, "restartPolicy") == "OnFailure"
            || !list(container, "restartPolicyRules").is_empty()
    })
}

fn claims(statuses: &Node<'_, '_>, spec: &Value, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for status in statuses.items() {
        let name = status.at("name");
        if !list(spec, "resourceClaims").iter().any(|claim| text(claim, "name") == name.text()) {
            let detail = "must match the name of an entry in `spec.resourceClaims`";
            errors.push(name.invalid_as(name.text(), detail));
        }
        if !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
        let made = status.at("resourceClaimName");
        if made.is_set() {
            made.named(name.path).check(names::subdomain, errors);
        }
    }
}

/// One address of each family, none twice.
fn families(addresses: &Node<'_, '_>, errors: &mut Errors) {
    let all: Vec<&str> = addresses.list().iter().map(|address| text(address, "ip")).collect();
    if all.len() < 2 {
        return;
    }
    let parsed: Vec<IpAddr> = all.iter().filter_map(|ip| ip.parse().ok()).collect();
    let dual = parsed.iter().any(IpAddr::is_ipv4) && parsed.iter().any(IpAddr::is_ipv6);
    if !dual || all.len() > 2 {
        errors.push(addresses.invalid("may specify no more than one IP for each IP family"));
    }
    let mut seen = BTreeSet::new();
    for address in addresses.items().filter(|address| !seen.insert(text(address.value, "ip"))) {
        errors.push(address.duplicate());
    }
}

fn host_addresses(status: &Node<'_, '_>, errors: &mut Errors) {
    let all = status.at("hostIPs");
    if all.list().is_empty() {
        return;
    }
    let first = all.first();
    if first.at("ip").text() != status.at("hostIP").text() {
        errors.push(first.at("ip").invalid("must be equal to `hostIP`"));
    }
    all.items().for_each(|ip| address(&ip.at("ip").named(ip.path), errors));
    families(&all, errors);
}

fn users(pod: &Node<'_, '_>, status: &Node<'_, '_>, errors: &mut Errors) {
    let windows = pod.at("spec.os.name").text() == "windows";
    for kind in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        for one in status.at(kind).items() {
            let user = one.at("user.linux").named(one.path.field("linux"));
            if windows && user.is_set() {
                errors.push(user.forbidden("cannot be set for a windows pod"));
            } else if !windows {
                id(&user.at("uid"), errors);
                id(&user.at("gid"), errors);
                user.at("supplementalGroups").items().for_each(|group| id(&group, errors));
            }
        }
    }
}

/// How the devices of a container are.
fn devices(statuses: &Node<'_, '_>, container: Option<&Value>, errors: &mut Errors) {
    for status in statuses.items() {
        let name = status.at("name");
        if let Some(detail) = container.and_then(|container| unasked(container, name.text())) {
            errors.push(name.invalid_as(name.text(), detail));
        }
        let mut seen = BTreeSet::new();
        for device in status.at("resources").items() {
            device.at("health").only_among(&["Healthy", "Unhealthy", "Unknown"], errors);
            let id = device.at("resourceID");
            if !seen.insert(id.text()) {
                errors.push(id.duplicate());
            }
        }
    }
}

fn unasked(container: &Value, name: &str) -> Option<&'static str> {
    let Some(of_claim) = name.strip_prefix("claim:") else {
        let asked = at(container, "resources.requests").get(name).is_some();
        return (!asked).then_some("must match one of the container's resource requests");
    };
    let named = |claim: &Value| match text(claim, "request") {
        "" => of_claim == text(claim, "name"),
        request => of_claim.split_once('/') == Some((text(claim, "name"), request)),
    };
    let asked = list(container, "resources.claims").iter().any(named);
    (!asked).then_some(
        "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or \
         'claim:<claimName>' if request is empty",
    )
}
