//! Annotations of pods that mean something to the system, most of them the old names of fields.

use serde_json::Value;

use super::os::each_container;
use super::placement;
use super::volumes::descending_path;
use crate::field::{Errors, FieldError, Node};
use crate::value::{at, text};

pub(super) const MIRROR: &str = "kubernetes.io/config.mirror";
const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
pub(super) const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
pub(super) const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
pub(super) const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// The annotations of a pod or of a template, at the path upstream gives them.
pub(super) fn validate(annotations: &Node<'_, '_>, spec: &Node<'_, '_>, errors: &mut Errors) {
    let given = |key: &str| annotations.value.get(key).and_then(Value::as_str);
    if given(MIRROR).is_some() && spec.at("nodeName").text().is_empty() {
        let detail = "must set spec.nodeName if mirror pod annotation is set";
        errors.push(annotations.key(MIRROR).invalid(detail));
    }
    if let Some(text) = given(TOLERATIONS).filter(|text| !text.is_empty()) {
        tolerations(annotations, text, errors);
    }
    if given(DELETION_COST).is_some_and(|cost| !is_cost(cost)) {
        errors.push(annotations.key(DELETION_COST).invalid("must be a 32bit integer"));
    }
    if given(SECCOMP_POD).is_some() {
        seccomp(&annotations.key(SECCOMP_POD), annotations, SECCOMP_POD, errors);
    }
    for (key, value) in annotations.entries() {
        if key.starts_with(SECCOMP_CONTAINER) {
            seccomp(&value, annotations, key, errors);
        }
    }
    for (key, value) in annotations.entries() {
        if let Some(container) = key.strip_prefix(APP_ARMOR) {
            app_armor(&value, container, spec, errors);
        }
    }
}

fn tolerations(annotations: &Node<'_, '_>, text: &str, errors: &mut Errors) {
    match serde_json::from_str::<Value>(text) {
        Err(error) => errors.push(annotations.invalid_as(TOLERATIONS, error.to_string())),
        Ok(list) => {
            let path = annotations.path.field(TOLERATIONS);
            placement::tolerations(&Node { value: &list, path }, errors);
        }
    }
}

/// A number as people write it: no plus, no zeros in front.
fn is_cost(cost: &str) -> bool {
    let digits = cost.strip_prefix('-').unwrap_or(cost);
    let spelled = cost == "0"
        || cost.starts_with('-')
        || digits.starts_with(|first: char| ('1'..='9').contains(&first));
    spelled && cost.parse::<i32>().is_ok()
}

/// `localhost/PATH` or a word.
fn seccomp(value: &Node<'_, '_>, annotations: &Node<'_, '_>, key: &str, errors: &mut Errors) {
    let path = annotations.path.field(key);
    let here = value.named(path);
    match value.text() {
        "runtime/default" | "docker/default" | "unconfined" => {}
        text => match text.strip_prefix("localhost/") {
            Some(file) => descending_path(&Node { value: &file.into(), path }, errors),
            None => errors.push(here.invalid("must be a valid seccomp profile")),
        },
    }
}

fn app_armor(profile: &Node<'_, '_>, container: &str, spec: &Node<'_, '_>, errors: &mut Errors) {
    let mut found = false;
    each_container(spec, |one| found |= text(one.value, "name") == container);
    if !found {
        errors.push(profile.invalid_as(container, "container not found"));
    }
    let text = profile.text();
    if !matches!(text, "" | "runtime/default" | "unconfined") && !text.starts_with("localhost/") {
        errors.push(profile.invalid(format!("invalid AppArmor profile name: {text:?}")));
    }
}

/// Where an annotation and the field that took its place both say something, they say the same.
pub(super) fn match_fields(metadata: &Value, spec: &Node<'_, '_>, errors: &mut Errors) {
    let annotations = at(metadata, "annotations");
    let given = |key: &str| annotations.get(key).and_then(Value::as_str);
    if let Some(annotation) = given(SECCOMP_POD) {
        errors.extend(differs(&spec.at("securityContext.seccompProfile"), annotation, "seccomp"));
    }
    each_container(spec, |container| {
        let key = format!("{SECCOMP_CONTAINER}{}", container.at("name").text());
        if let Some(annotation) = given(&key) {
            errors.extend(differs(&container.at("securityContext.seccompProfile"), annotation, "seccomp"));
        }
    });
    if text(spec.value, "os.name") == "windows" {
        return;
    }
    let whole = at(spec.value, "securityContext.appArmorProfile");
    each_container(spec, |container| {
        let key = format!("{APP_ARMOR}{}", container.at("name").text());
        let Some(annotation) = given(&key) else { return };
        let own = container.at("securityContext.appArmorProfile");
        let value = if own.is_set() { own.value } else { whole };
        errors.extend(differs(&Node { value, path: own.path }, annotation, "apparmor"));
    });
}

fn differs(profile: &Node<'_, '_>, annotation: &str, kind: &str) -> Option<FieldError> {
    let by_type = || profile.at("type").forbidden(format!("{kind} type in annotation and field must match"));
    let same = match profile.at("type").text() {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => {
            annotation == "runtime/default" || (kind == "seccomp" && annotation == "docker/default")
        }
        "Localhost" => match annotation.strip_prefix("localhost/") {
            None => false,
            Some(file) => {
                let path = profile.at("localhostProfile");
                let detail = format!("{kind} profile in annotation and field must match");
                return (path.value.as_str() != Some(file)).then(|| path.forbidden(detail));
            }
        },
        _ => true,
    };
    (!same).then(by_type)
}

/// Annotations that stay as the pod was made with them.
pub(super) fn update(annotations: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let fixed = |key: &str| key == MIRROR || key.starts_with(APP_ARMOR);
    let named = |key: &str| if key == MIRROR { "mirror pod annotation" } else { "AppArmor annotations" };
    for (key, was) in old.as_object().into_iter().flatten().filter(|(key, _)| fixed(key)) {
        if annotations.value.get(key) != Some(was) {
            errors.push(annotations.key(key).forbidden(format!("may not remove or update {}", named(key))));
        }
    }
    for (key, added) in annotations.entries().filter(|(key, _)| fixed(key)) {
        if old.get(key).is_none() {
            errors.push(added.forbidden(format!("may not add {}", named(key))));
        }
    }
}
