//! Security contexts of pods and containers.

use std::collections::BTreeSet;

use super::os;

use super::volumes::descending_path;
use crate::field::{Errors, Node};
use crate::names;

const PROFILES: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];

pub(super) fn pod(spec: &Node<'_, '_>, errors: &mut Errors) {
    let context = spec.at("securityContext");
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        id(&context.at(field), errors);
    }
    context.at("supplementalGroups").items().for_each(|group| id(&group, errors));
    let shared = spec.at("shareProcessNamespace");
    if shared.flag() && spec.at("hostPID").flag() {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(context.at("shareProcessNamespace").invalid_as(true, detail));
    }
    sysctls(spec, &context.at("sysctls"), errors);
    context.at("fsGroupChangePolicy").may_be_among(&["Always", "OnRootMismatch"], errors);
    seccomp(&context.at("seccompProfile"), errors);
    os::windows_options(&context.at("windowsOptions"), errors);
    app_armor(&context.at("appArmorProfile"), errors);
    context.at("supplementalGroupsPolicy").may_be_among(&["Merge", "Strict"], errors);
    context.at("seLinuxChangePolicy").may_be_among(&["MountOption", "Recursive"], errors);
}

pub(super) fn container(context: &Node<'_, '_>, host_users: bool, errors: &mut Errors) {
    id(&context.at("runAsUser"), errors);
    id(&context.at("runAsGroup"), errors);
    let mount = context.at("procMount");
    if mount.is_set() {
        mount.only_among(&["Default", "Unmasked"], errors);
        if host_users && mount.text() == "Unmasked" {
            errors.push(mount.invalid("`hostUsers` must be false to use `Unmasked`"));
        }
    }
    seccomp(&context.at("seccompProfile"), errors);
    escalation(context, errors);
    os::windows_options(&context.at("windowsOptions"), errors);
    app_armor(&context.at("appArmorProfile"), errors);
}

/// Who may not gain privileges does not have them.
fn escalation(context: &Node<'_, '_>, errors: &mut Errors) {
    let escalation = context.at("allowPrivilegeEscalation");
    if !escalation.is_set() || escalation.flag() {
        return;
    }
    if context.at("privileged").flag() {
        errors
            .push(context.invalid("cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
    }
    let added = context.at("capabilities.add").list();
    for _ in added.iter().filter(|capability| *capability == "CAP_SYS_ADMIN") {
        errors.push(
            context.invalid(
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            ),
        );
    }
}

fn seccomp(profile: &Node<'_, '_>, errors: &mut Errors) {
    if !profile.is_set() {
        return;
    }
    let (kind, path) = (profile.at("type"), profile.at("localhostProfile"));
    match kind.text() {
        "" => errors.push(kind.required("type is required when seccompProfile is set")),
        _ => kind.only_among(PROFILES, errors),
    }
    match (kind.text() == "Localhost", path.is_set()) {
        (true, false) => errors.push(path.required("must be set when seccomp type is Localhost")),
        (true, true) => descending_path(&path, errors),
        (false, true) => {
            let detail = "can only be set when seccomp type is Localhost";
            errors.push(path.invalid_as(profile.value.clone(), detail));
        }
        (false, false) => {}
    }
}

/// The longest path, without its end.
const PATH_MAX: usize = 4095;

fn app_armor(profile: &Node<'_, '_>, errors: &mut Errors) {
    if !profile.is_set() {
        return;
    }
    let (kind, path) = (profile.at("type"), profile.at("localhostProfile"));
    match kind.text() {
        "Localhost" => match path.text() {
            text if text.trim() != text => errors.push(path.invalid("must not be padded with whitespace")),
            "" => errors.push(path.required("must be set when AppArmor type is Localhost")),
            text if text.len() > PATH_MAX => errors.push(path.too_long(PATH_MAX)),
            _ => {}
        },
        "RuntimeDefault" | "Unconfined" => {
            if path.is_set() {
                errors.push(path.invalid("can only be set when AppArmor type is Localhost"));
            }
        }
        "" => errors.push(kind.required("type is required when appArmorProfile is set")),
        _ => errors.push(kind.unsupported(PROFILES)),
    }
}

pub(super) fn id(id: &Node<'_, '_>, errors: &mut Errors) {
    if id.int().is_some_and(|id| !(0..=i64::from(i32::MAX)).contains(&id)) {
        errors.push(id.invalid(names::range(0, i64::from(i32::MAX))));
    }
}

fn sysctls(spec: &Node<'_, '_>, sysctls: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for sysctl in sysctls.items() {
        let name = sysctl.at("name");
        match name.text() {
            "" => errors.push(name.required("")),
            text if !is_sysctl(text) => errors.push(name.invalid(
                "must have at most 253 characters and match regex \
                 ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
            )),
            text if seen.contains(text) => errors.push(name.duplicate()),
            _ => {}
        }
        let namespace = namespace_of(name.text());
        if let Some(host) = namespace.filter(|host| spec.at(host).flag()) {
            errors.push(name.invalid(format!("may not be specified when '{host}' is true")));
        }
        seen.insert(name.text());
    }
}

/// The flag that hands the host's namespace of a sysctl to the pod.
fn namespace_of(sysctl: &str) -> Option<&'static str> {
    let dotted = sysctl.replace('/', ".");
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| dotted.starts_with(prefix));
    if starts(&["net."]) {
        Some("hostNetwork")
    } else if dotted == "kernel.sem" || starts(&["kernel.shm", "kernel.msg", "fs.mqueue."]) {
        Some("hostIPC")
    } else {
        None
    }
}

fn is_sysctl(name: &str) -> bool {
    let edge =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let segment = |part: &str| {
        let bytes = part.as_bytes();
        edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|byte| edge(Some(byte)) || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split(['.', '/']).all(segment)
}
