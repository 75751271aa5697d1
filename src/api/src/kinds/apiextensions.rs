//! apiextensions.k8s.io: definitions of custom resources. The rules for their schemas live with the code that serves
//! custom resources.

use serde_json::{Value, json};

use super::apps::rules::immutable;
use super::entry::{GroupVersion, names};
use super::{Generation, Kind, Strategy};
use crate::field::{Errors, Node};
use crate::names;
use crate::value::{at, default_to, default_zero_to, flag, list, replace, text};

const V1: GroupVersion = GroupVersion::new("apiextensions.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    short_names: &["crd", "crds"],
    categories: &["api-extensions"],
    subresources: &[V1.status("CustomResourceDefinition")],
    strategy: Strategy {
        defaults,
        prepare_create: stored_versions,
        validate,
        validate_update: update,
        generation: Generation::Spec,
        unconditional_update: false,
        ..Strategy::PLAIN
    },
    ..V1.cluster(names!(
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
        CustomResourceDefinition,
        "customresourcedefinitions"
    ))
}];

fn defaults(definition: &mut Value) {
    let Some(spec) = definition.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    let kind = text(spec, "names.kind").to_owned();
    if let Some(names) = spec.get_mut("names") {
        default_zero_to(names, "singular", kind.to_lowercase());
        if !kind.is_empty() {
            default_zero_to(names, "listKind", format!("{kind}List"));
        }
    }
    default_to(spec, "conversion", json!({"strategy": "None"}));
}

/// Objects will be stored in the version marked for it.
fn stored_versions(definition: &mut Value) {
    let stored: Value = list(definition, "spec.versions")
        .iter()
        .filter(|version| flag(version, "storage"))
        .map(|version| at(version, "name").clone())
        .collect();
    replace(definition, "status", Some(json!({"storedVersions": stored})));
}

fn validate(definition: &Node<'_, '_>, errors: &mut Errors) {
    let spec = definition.at("spec");
    let (name, group, plural) = (definition.at("metadata.name"), spec.at("group"), spec.at("names.plural"));
    let expected = format!("{}.{}", plural.text(), group.text());
    if name.text() != expected {
        errors.push(name.invalid("must be spec.names.plural+\".\"+spec.group"));
    }
    match group.text() {
        "" => errors.push(group.required("")),
        text if !text.contains('.') => errors.push(group.invalid("should be a domain with at least one dot")),
        text => errors.extend(names::subdomain(text).into_iter().map(|problem| group.invalid(problem))),
    }
    let scope = spec.at("scope");
    match scope.text() {
        "" => errors.push(scope.required("")),
        "Cluster" | "Namespaced" => {}
        _ => errors.push(scope.unsupported(&["Cluster", "Namespaced"])),
    }
    for field in ["plural", "singular", "kind", "listKind"] {
        let names = spec.at("names");
        let name = names.at(field);
        match name.text().to_lowercase() {
            empty if empty.is_empty() => errors.push(name.required("")),
            lower => {
                errors.extend(names::dns_label_1035(&lower).into_iter().map(|problem| name.invalid(problem)));
            }
        }
    }
    versions(&spec.at("versions"), errors);
}

fn versions(versions: &Node<'_, '_>, errors: &mut Errors) {
    if versions.list().is_empty() {
        return errors.push(versions.required("must have at least one version"));
    }
    let stored = versions.list().iter().filter(|version| flag(version, "storage")).count();
    if stored != 1 {
        errors.push(versions.invalid("must have exactly one version marked as storage version"));
    }
    for version in versions.items() {
        let name = version.at("name");
        errors.extend(
            names::dns_label_1035(name.text())
                .into_iter()
                .map(|problem| name.invalid_as(name.text(), problem)),
        );
        if !version.at("schema.openAPIV3Schema").is_set() {
            errors.push(version.at("schema.openAPIV3Schema").required("schemas are required"));
        }
    }
}

fn update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    for field in ["spec.group", "spec.scope", "spec.names.plural"] {
        immutable(&new.at(field), at(old, field), errors);
    }
}
