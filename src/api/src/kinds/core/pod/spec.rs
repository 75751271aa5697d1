//! The rules of a pod's spec as a whole.

use std::collections::BTreeSet;

use super::volumes::Volumes;
use super::{claims, containers, dns, os, placement, resources, security, volumes};
use crate::field::{Errors, Node};
use crate::metadata::validate_labels;
use crate::names;

const DNS_POLICIES: &[&str] = &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
/// Linux takes no longer host name.
const HOST_NAME_MAX: usize = 64;

/// Whose spec it is: more is asked of a pod than of the template of one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner<'v> {
    /// A pod of this name.
    Pod(&'v str),
    /// A template, and the claims that its owner makes for each pod.
    Template(&'v [serde_json::Value]),
}

/// What the spec says that its containers are held against.
#[derive(Debug)]
pub(super) struct Around<'v> {
    pub(super) volumes: Volumes<'v>,
    /// The names of the resource claims that containers may refer to.
    pub(super) claims: BTreeSet<&'v str>,
    pub(super) grace: Option<i64>,
    pub(super) restart_policy: &'v str,
    pub(super) host_users: bool,
}

pub(super) fn validate<'v>(spec: &Node<'v, '_>, owner: Owner<'v>, errors: &mut Errors) {
    let grace = spec.at("terminationGracePeriodSeconds");
    if !grace.is_set() {
        errors.push(grace.required(""));
    }
    let around = Around {
        volumes: volumes::validate(&spec.at("volumes"), owner, errors),
        claims: claims::names(&spec.at("resourceClaims")),
        grace: grace.int(),
        restart_policy: spec.at("restartPolicy").text(),
        host_users: spec.at("hostUsers").value != &serde_json::Value::Bool(false),
    };
    claims::validate(&spec.at("resourceClaims"), errors);
    containers::validate(spec, &around, errors);
    resources::of_pod(spec, errors);
    containers::host_network(spec, owner, errors);
    spec.at("restartPolicy").must_be_among(&["Always", "OnFailure", "Never"], errors);
    spec.at("dnsPolicy").must_be_among(DNS_POLICIES, errors);
    validate_labels(&spec.at("nodeSelector"), errors);
    security::pod(spec, errors);
    placement::affinity(&spec.at("affinity"), errors);
    dns::config(spec, errors);
    gates(spec, errors);
    placement::spread(&spec.at("topologySpreadConstraints"), errors);
    os::host_process(spec, errors);
    host_users(spec, &around, errors);
    names_of_others(spec, errors);
    host_names(spec, errors);
    placement::tolerations(&spec.at("tolerations"), errors);
    dns::aliases(&spec.at("hostAliases"), errors);
    classes(spec, errors);
    resources::overhead(&spec.at("overhead"), errors);
    os::validate(spec, errors);
}

/// Users of its own do not go with the host's other namespaces.
fn host_users(spec: &Node<'_, '_>, around: &Around<'_>, errors: &mut Errors) {
    if around.host_users {
        return;
    }
    for (field, shown) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if spec.at(field).flag() {
            errors.push(spec.at(shown).forbidden("when `pod.Spec.HostUsers` is false"));
        }
    }
}

fn names_of_others(spec: &Node<'_, '_>, errors: &mut Errors) {
    spec.at("serviceAccountName").check_given(names::subdomain, errors);
    spec.at("nodeName").check_given(names::subdomain, errors);
    let deadline = spec.at("activeDeadlineSeconds");
    if deadline.int().is_some_and(|seconds| !(1..=i64::from(i32::MAX)).contains(&seconds)) {
        errors.push(deadline.invalid(names::range(1, i64::from(i32::MAX))));
    }
}

fn host_names(spec: &Node<'_, '_>, errors: &mut Errors) {
    spec.at("hostname").check_given(names::dns_label, errors);
    spec.at("subdomain").check_given(names::dns_label, errors);
    let own = spec.at("hostnameOverride");
    if own.text().is_empty() {
        return;
    }
    own.check(names::subdomain, errors);
    if own.text().len() > HOST_NAME_MAX {
        errors.push(own.too_long(HOST_NAME_MAX));
    }
    for field in ["setHostnameAsFQDN", "hostNetwork"] {
        let field = spec.at(field);
        if field.flag() {
            errors.push(field.forbidden("may not be true when `hostnameOverride` is set"));
        }
    }
}

fn classes(spec: &Node<'_, '_>, errors: &mut Errors) {
    spec.at("priorityClassName").check_given(names::subdomain, errors);
    let runtime = spec.at("runtimeClassName");
    if runtime.is_set() {
        runtime.check(names::subdomain, errors);
    }
    let preemption = spec.at("preemptionPolicy");
    if preemption.is_set() {
        preemption.must_be_among(&["PreemptLowerPriority", "Never"], errors);
    }
}

fn gates(spec: &Node<'_, '_>, errors: &mut Errors) {
    for gate in spec.at("readinessGates").items() {
        gate.at("conditionType").check(names::qualified_name, errors);
    }
    let mut seen = BTreeSet::new();
    for gate in spec.at("schedulingGates").items() {
        let name = gate.at("name");
        name.named(gate.path).check(names::qualified_name, errors);
        if !seen.insert(name.text()) {
            errors.push(gate.duplicate_as(name.text()));
        }
    }
}
