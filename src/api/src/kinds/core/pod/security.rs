//! Security contexts of pods and containers.

use serde_json::Value;

use super::spec::choice;
use crate::field::{Errors, Node};
use crate::names;

const PROFILES: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];

pub(super) fn pod(context: &Node<'_, '_>, errors: &mut Errors) {
    identity(context, errors);
    id(&context.at("fsGroup"), errors);
    for group in context.at("supplementalGroups").items() {
        id(&group, errors);
    }
    if context.at("fsGroupChangePolicy").is_set() {
        choice(&context.at("fsGroupChangePolicy"), &["OnRootMismatch", "Always"], errors);
    }
    sysctls(&context.at("sysctls"), errors);
}

pub(super) fn container(context: &Node<'_, '_>, errors: &mut Errors) {
    identity(context, errors);
    let is = |field: &str, value: bool| context.at(field).value == &Value::Bool(value);
    if is("allowPrivilegeEscalation", false) {
        if is("privileged", true) {
            errors.push(
                context.invalid("cannot set `allowPrivilegeEscalation` to false and `privileged` to true"),
            );
        }
        if context.at("capabilities.add").list().iter().any(|capability| capability == "CAP_SYS_ADMIN") {
            errors.push(context.invalid(
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            ));
        }
    }
    let mount = context.at("procMount");
    if mount.is_set() && !matches!(mount.text(), "Default" | "Unmasked") {
        errors.push(mount.unsupported(&["Default", "Unmasked"]));
    }
}

/// What both contexts say: who runs and under which profiles.
fn identity(context: &Node<'_, '_>, errors: &mut Errors) {
    id(&context.at("runAsUser"), errors);
    id(&context.at("runAsGroup"), errors);
    for name in ["seccompProfile", "appArmorProfile"] {
        let profile = context.at(name);
        if profile.is_set() {
            profile_rules(&profile, errors);
        }
    }
}

fn profile_rules(profile: &Node<'_, '_>, errors: &mut Errors) {
    choice(&profile.at("type"), PROFILES, errors);
    let (local, path) = (profile.at("type").text() == "Localhost", profile.at("localhostProfile"));
    match (local, path.is_set()) {
        (true, false) => errors.push(path.required("must be set when seccomp type is Localhost")),
        (false, true) => errors.push(path.invalid("can only be set when seccomp type is Localhost")),
        _ => {}
    }
    if path.text().starts_with('/') {
        errors.push(path.invalid("must be a relative path"));
    } else if path.text().split('/').any(|part| part == "..") {
        errors.push(path.invalid("must not contain '..'"));
    }
}

fn id(id: &Node<'_, '_>, errors: &mut Errors) {
    if id.int().is_some_and(|id| !(0..=i64::from(i32::MAX)).contains(&id)) {
        errors.push(id.invalid(names::range(0, i64::from(i32::MAX))));
    }
}

fn sysctls(sysctls: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = std::collections::BTreeSet::new();
    for sysctl in sysctls.items() {
        let name = sysctl.at("name");
        match name.text() {
            "" => errors.push(name.required("")),
            text if !is_sysctl(text) => errors.push(name.invalid(
                "must have at most 253 characters and match regex \
                 ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
            )),
            text if !seen.insert(text.replace('/', ".")) => errors.push(name.duplicate()),
            _ => {}
        }
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
