//! Rules of a definition beside its schemas.

use std::collections::BTreeSet;

use serde_json::Value;

use super::schema;
use crate::field::{Errors, Node};
use crate::kinds::admissionregistration::{client, mixed_case, review_versions};
use crate::kinds::apps::rules::immutable;
use crate::names;
use crate::value::{at, flag, list, text};

pub(super) fn validate(definition: &Node<'_, '_>, errors: &mut Errors) {
    let spec = definition.at("spec");
    let (name, group, plural) = (definition.at("metadata.name"), spec.at("group"), spec.at("names.plural"));
    let is_pair = name.text().split_once('.') == Some((plural.text(), group.text()));
    if !is_pair {
        errors.push(name.invalid("must be spec.names.plural+\".\"+spec.group"));
    }
    match names::subdomain(group.text()) {
        _ if group.text().is_empty() => errors.push(group.required("")),
        problems if problems.is_empty() && !group.text().contains('.') => {
            errors.push(group.invalid("should be a domain with at least one dot"));
        }
        problems => group.complain_once(&problems, errors),
    }
    spec.at("scope").must_be_among(&["Cluster", "Namespaced"], errors);
    let versions = spec.at("versions");
    for version in versions.items() {
        let schema = version.at("schema.openAPIV3Schema");
        if !schema.is_set() {
            errors.push(schema.required("schemas are required"));
        }
    }
    every_version(&spec, errors);
    let named: BTreeSet<&str> = versions.list().iter().map(|version| text(version, "name")).collect();
    if named.len() < versions.list().len() {
        errors.push(versions.invalid("must contain unique version names"));
    }
    if versions.list().iter().filter(|version| flag(version, "storage")).count() != 1 {
        errors.push(versions.invalid("must have exactly one version marked as storage version"));
    }
    for field in ["plural", "singular", "kind", "listKind"] {
        spec.at("names").at(field).require(errors);
    }
    resource_names(&spec.at("names"), errors);
    shared(&spec, errors);
    conversion(&spec.at("conversion"), errors);
    resource_names(&definition.at("status.acceptedNames"), errors);
    stored(&definition.at("status.storedVersions"), versions.list(), errors);
    let preserve = spec.at("preserveUnknownFields");
    if preserve.flag() {
        errors.push(preserve.invalid(
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
        ));
    }
}

/// What upstream keeps once for all versions if they agree in it, and under which name it speaks of it then.
const SHARED: [(&str, &str); 4] = [
    ("schema", "validation"),
    ("subresources", "subresources"),
    ("additionalPrinterColumns", "additionalPrinterColumns"),
    ("selectableFields", "selectableFields"),
];

/// Whether the versions, of which there is one at least, agree in `field`.
fn agree(versions: &[Value], field: &str) -> bool {
    versions.windows(2).all(|pair| at(&pair[0], field) == at(&pair[1], field))
}

fn every_version(spec: &Node<'_, '_>, errors: &mut Errors) {
    let versions = spec.at("versions");
    let shared = SHARED.map(|(field, _)| agree(versions.list(), field));
    for version in versions.items() {
        version.at("name").complain_once(&names::dns_label_1035(version.at("name").text()), errors);
        deprecation(&version, errors);
        for ((field, _), shared) in SHARED.iter().zip(shared) {
            if !shared {
                part(field, &version.at(field), version.value, errors);
            }
        }
    }
}

/// What all versions agree in is judged once.
fn shared(spec: &Node<'_, '_>, errors: &mut Errors) {
    let versions = spec.at("versions");
    let Some(version) = versions.list().first() else { return };
    for (field, name) in SHARED.iter().filter(|(field, _)| agree(versions.list(), field)) {
        part(field, &Node { value: at(version, field), path: spec.path.field(name) }, version, errors);
    }
}

fn part(field: &str, here: &Node<'_, '_>, version: &Value, errors: &mut Errors) {
    match field {
        "schema" => {
            let has_status = at(version, "subresources.status").is_object();
            schema::validate(&here.at("openAPIV3Schema"), has_status, errors);
        }
        "subresources" => scale(&here.at("scale"), errors),
        "additionalPrinterColumns" => here.items().for_each(|shown| column(&shown, errors)),
        _ => selectable(here, at(version, "schema.openAPIV3Schema"), errors),
    }
}

fn deprecation(version: &Node<'_, '_>, errors: &mut Errors) {
    let warning = version.at("deprecationWarning");
    if !warning.is_set() {
        return;
    }
    if !version.at("deprecated").flag() {
        return errors.push(warning.invalid("can only be set for deprecated versions"));
    }
    if warning.text().len() > 256 {
        errors.push(warning.invalid("must be <= 256 characters long"));
    }
    if warning.text().is_empty() {
        errors.push(warning.invalid("must not be an empty string"));
    }
    let unprintable = |letter: char| letter.is_control() || (letter.is_whitespace() && letter != ' ');
    if let Some(index) = warning.text().find(unprintable) {
        errors.push(warning.invalid(format!(
            "must only contain printable UTF-8 characters; non-printable character found at index {index}"
        )));
    }
}

fn resource_names(all: &Node<'_, '_>, errors: &mut Errors) {
    let label = |name: &Node<'_, '_>, errors: &mut Errors| {
        name.complain_once(&names::dns_label_1035(name.text()), errors);
    };
    for field in ["plural", "singular"] {
        let name = all.at(field);
        if !name.text().is_empty() {
            label(&name, errors);
        }
    }
    let (kind, list_kind) = (all.at("kind"), all.at("listKind"));
    for name in [&kind, &list_kind].into_iter().filter(|name| !name.text().is_empty()) {
        mixed_case(name, errors);
    }
    all.at("shortNames").items().for_each(|name| label(&name, errors));
    if !kind.text().is_empty() && kind.text() == list_kind.text() {
        errors.push(list_kind.invalid("kind and listKind may not be the same"));
    }
    all.at("categories").items().for_each(|name| label(&name, errors));
}

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 8] =
    ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

fn column(column: &Node<'_, '_>, errors: &mut Errors) {
    column.at("name").require(errors);
    let (kind, format) = (column.at("type"), column.at("format"));
    let types = || format!("must be one of {}", COLUMN_TYPES.join(","));
    match kind.text() {
        "" => errors.push(kind.required(types())),
        text if COLUMN_TYPES.contains(&text) => {}
        _ => errors.push(kind.invalid(types())),
    }
    if !format.is_zero() && !COLUMN_FORMATS.contains(&format.text()) {
        errors.push(format.invalid(format!("must be one of {}", COLUMN_FORMATS.join(","))));
    }
    // Upstream spells the field so, although its JSON name is another.
    let path = column.at("jsonPath").named(column.path.field("JSONPath"));
    if path.must_be_set(errors) {
        simple_path(&path, errors);
    }
}

/// Whether this is a path without brackets.
fn simple_path(path: &Node<'_, '_>, errors: &mut Errors) -> bool {
    let simple = path.text().starts_with('.');
    if !simple {
        errors.push(path.invalid("must be a simple json path starting with ."));
    }
    simple
}

fn scale(scale: &Node<'_, '_>, errors: &mut Errors) {
    if !scale.is_set() {
        return;
    }
    for (field, roots, detail) in [
        ("specReplicasPath", &[".spec."][..], "should be a json path under .spec"),
        ("statusReplicasPath", &[".status."], "should be a json path under .status"),
        ("labelSelectorPath", &[".spec.", ".status."], "should be a json path under either .spec or .status"),
    ] {
        let path = scale.at(field);
        if path.text().is_empty() {
            if field != "labelSelectorPath" {
                errors.push(path.required(""));
            }
            continue;
        }
        if simple_path(&path, errors) && !roots.iter().any(|root| path.text().starts_with(root)) {
            errors.push(path.invalid(detail));
        }
    }
}

const MAX_SELECTABLE: usize = 8;

fn selectable(fields: &Node<'_, '_>, schema: &Value, errors: &mut Errors) {
    if fields.list().is_empty() || schema.is_null() {
        return;
    }
    let mut seen = BTreeSet::new();
    for field in fields.items() {
        let path = field.at("jsonPath");
        if !path.must_be_set(errors) {
            continue;
        }
        let Some(pointed) = pointed(schema, path.text()) else {
            errors.push(path.invalid("is an invalid path: does not refer to a valid field"));
            continue;
        };
        if path.text().starts_with(".metadata") {
            errors.push(path.invalid("must not point to fields in metadata"));
        }
        if !matches!(text(pointed, "type"), "string" | "boolean" | "integer") {
            errors.push(path.invalid(
                "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
            ));
        }
        if !seen.insert(path.text()) {
            errors.push(path.duplicate());
        }
    }
    if seen.len() > MAX_SELECTABLE {
        errors.push(fields.too_many(seen.len(), MAX_SELECTABLE));
    }
}

/// The schema of the field that a path without brackets leads to.
fn pointed<'s>(schema: &'s Value, path: &str) -> Option<&'s Value> {
    path.strip_prefix('.')?.split('.').try_fold(schema, |schema, name| {
        let properties = schema.get("properties").and_then(|properties| properties.get(name));
        properties.or_else(|| schema.get("additionalProperties").filter(|schema| schema.is_object()))
    })
}

const UNUSED: &str = "should not be set when strategy is not set to Webhook";

fn conversion(conversion: &Node<'_, '_>, errors: &mut Errors) {
    if !conversion.is_set() {
        return;
    }
    let strategy = conversion.at("strategy");
    strategy.must_be_among(&["None", "Webhook"], errors);
    // Upstream speaks of both as they were called in v1beta1.
    let path = conversion.path.field("webhookClientConfig");
    let config = conversion.at("webhook.clientConfig").named(path);
    let reviews = conversion
        .at("webhook.conversionReviewVersions")
        .named(conversion.path.field("conversionReviewVersions"));
    if strategy.text() == "Webhook" {
        match config.is_set() {
            true => client(&config, errors),
            false => errors.push(config.required("required when strategy is set to Webhook")),
        }
        match reviews.list() {
            [] => errors.push(reviews.required("")),
            _ => review_versions(&reviews, errors),
        }
        return;
    }
    for unused in [config, reviews] {
        if !unused.is_zero() {
            errors.push(unused.forbidden(UNUSED));
        }
    }
}

fn stored(stored: &Node<'_, '_>, versions: &[Value], errors: &mut Errors) {
    if stored.list().is_empty() {
        return errors.push(stored.invalid_as(Vec::<Value>::new(), "must have at least one stored version"));
    }
    let names = |version: &Value| text(version, "name").to_owned();
    for version in versions.iter().filter(|version| flag(version, "storage")).map(names) {
        if !stored.list().iter().any(|name| *name == *version) {
            errors.push(stored.invalid(format!("must have the storage version {version}")));
        }
    }
    for version in stored.items() {
        let name = version.text();
        if !versions.iter().any(|defined| text(defined, "name") == name) {
            errors.push(version.invalid(format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            )));
        }
    }
}

pub(super) fn update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let established = list(old, "status.conditions")
        .iter()
        .any(|condition| text(condition, "type") == "Established" && text(condition, "status") == "True");
    let fixed: &[&str] = match established {
        true => &["spec.scope", "spec.names.kind", "spec.group", "spec.names.plural"],
        false => &["spec.group", "spec.names.plural"],
    };
    for field in fixed {
        immutable(&new.at(field), at(old, field), errors);
    }
}
