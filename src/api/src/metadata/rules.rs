//! The rules of the metadata, the same for every kind.

use jiff::Timestamp;
use serde_json::Value;

use crate::field::{Errors, Node};
use crate::kinds::{Kind, NameRule};
use crate::names::{self, Problems};
use crate::value::{at, int};

/// All annotations of an object together, keys and values.
const ANNOTATIONS_MAX: usize = 256 * 1024;
const MANAGER_MAX: usize = 128;
const SUBRESOURCE_MAX: usize = 256;

/// Rules for an object by itself.
pub fn validate(kind: &Kind, metadata: &Node<'_, '_>, errors: &mut Errors) {
    let rule = kind.strategy.name;
    let generate = metadata.at("generateName");
    if !generate.text().is_empty() {
        let probe = mask_trailing_dash(generate.text());
        errors.extend(rule.check(&probe).into_iter().map(|problem| generate.invalid(problem)));
    }
    let name = metadata.at("name");
    match name.text() {
        "" => errors.push(name.required("name or generateName is required")),
        text => errors.extend(rule.check(text).into_iter().map(|problem| name.invalid(problem))),
    }
    namespace(kind, &metadata.at("namespace"), errors);
    let generation = metadata.at("generation");
    if generation.int().is_some_and(|generation| generation < 0) {
        errors.push(generation.invalid(names::NON_NEGATIVE));
    }
    describing(kind, metadata, errors);
}

/// Rules between an object and the one it replaces.
pub fn validate_update(kind: &Kind, metadata: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    if !at(old, "deletionTimestamp").is_null() {
        no_new_finalizers(&metadata.at("finalizers"), at(old, "finalizers"), errors);
    }
    let generation = metadata.at("generation");
    if generation.int().unwrap_or_default() < int(old, "generation") {
        errors.push(generation.invalid("must not be decremented"));
    }
    for field in ["name", "namespace", "uid", "creationTimestamp"] {
        let field_node = metadata.at(field);
        if field_node.value != at(old, field) {
            errors.push(field_node.invalid(IMMUTABLE));
        }
    }
    deletion(metadata, old, errors);
    describing(kind, metadata, errors);
}

const IMMUTABLE: &str = "field is immutable";

/// A deletion begins by a request to delete, and in no other way.
fn deletion(metadata: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let (ends, grace) = (metadata.at("deletionTimestamp"), metadata.at("deletionGracePeriodSeconds"));
    if ends.value != at(old, "deletionTimestamp") {
        errors.push(ends.invalid_unshown(format!("{}: {IMMUTABLE}", go_time(ends.text()))));
    }
    if grace.value != at(old, "deletionGracePeriodSeconds") {
        errors.push(grace.invalid(IMMUTABLE));
    }
}

/// A time as Go prints it.
fn go_time(text: &str) -> String {
    text.parse::<Timestamp>()
        .map_or_else(|_| text.to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string())
}

impl NameRule {
    pub fn check(self, name: &str) -> Problems {
        match self {
            Self::Subdomain => names::subdomain(name),
            Self::Label => names::dns_label(name),
            Self::Label1035 => names::dns_label_1035(name),
            Self::PathSegment => names::path_segment(name),
            Self::Address => names::canonical_ip(name),
        }
    }
}

/// A prefix may end in a dash, what follows it makes the name whole.
fn mask_trailing_dash(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(start) if !start.is_empty() => format!("{start}a"),
        _ => prefix.to_owned(),
    }
}

fn namespace(kind: &Kind, namespace: &Node<'_, '_>, errors: &mut Errors) {
    match (kind.namespaced, namespace.text()) {
        (true, "") => errors.push(namespace.required("")),
        (true, text) => {
            errors.extend(names::dns_label(text).into_iter().map(|problem| namespace.invalid(problem)));
        }
        (false, "") => {}
        (false, _) => errors.push(namespace.forbidden("not allowed on this type")),
    }
}

/// What people and controllers write about an object: labels, annotations, owners, finalizers.
fn describing(kind: &Kind, metadata: &Node<'_, '_>, errors: &mut Errors) {
    labels(&metadata.at("labels"), errors);
    annotations(&metadata.at("annotations"), errors);
    owners(&metadata.at("ownerReferences"), errors);
    finalizers(&metadata.at("finalizers"), errors);
    managers(&metadata.at("managedFields"), errors);
    if !kind.strategy.any_finalizer {
        metadata.at("finalizers").items().for_each(|finalizer| standard_finalizer(&finalizer, errors));
    }
}

pub(crate) fn labels(labels: &Node<'_, '_>, errors: &mut Errors) {
    for (key, value) in labels.entries() {
        label_key(labels, key, errors);
        for problem in names::label_value(value.text()) {
            errors.push(labels.invalid_as(value.text(), problem));
        }
    }
}

pub(crate) fn label_key(at: &Node<'_, '_>, key: &str, errors: &mut Errors) {
    errors.extend(names::qualified_name(key).into_iter().map(|problem| at.invalid_as(key, problem)));
}

pub(crate) fn annotations(annotations: &Node<'_, '_>, errors: &mut Errors) {
    let mut size = 0;
    for (key, value) in annotations.entries() {
        // Upper-case prefixes were let in once and still are.
        let problems = names::qualified_name(&key.to_lowercase());
        errors.extend(problems.into_iter().map(|problem| annotations.invalid_as(key.as_str(), problem)));
        size += key.len() + value.text().len();
    }
    if size > ANNOTATIONS_MAX {
        errors.push(annotations.too_long(ANNOTATIONS_MAX));
    }
}

fn owners(owners: &Node<'_, '_>, errors: &mut Errors) {
    let mut controller: Option<String> = None;
    for owner in owners.items() {
        owner_fields(&owner.named(owners.path), errors);
        if !owner.at("controller").flag() {
            continue;
        }
        let name = format!("{}/{}", owner.at("kind").text(), owner.at("name").text());
        match &controller {
            None => controller = Some(name),
            Some(first) => errors.push(owners.invalid(format!(
                "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
            ))),
        }
    }
}

/// One owner; upstream does not say which.
fn owner_fields(owner: &Node<'_, '_>, errors: &mut Errors) {
    let version = owner.at("apiVersion");
    if version.text().rsplit('/').next().is_none_or(str::is_empty) {
        errors.push(version.invalid_as(version.text(), "version must not be empty"));
    }
    for field in ["kind", "name", "uid"] {
        let field = owner.at(field);
        if field.text().is_empty() {
            errors.push(field.invalid_as("", "must not be empty"));
        }
    }
    if version.text() == "v1" && owner.at("kind").text() == "Event" {
        errors.push(owner.invalid("/v1, Kind=Event is disallowed from being an owner"));
    }
}

fn finalizers(finalizers: &Node<'_, '_>, errors: &mut Errors) {
    for finalizer in finalizers.list().iter().filter_map(Value::as_str) {
        label_key(finalizers, finalizer, errors);
    }
    let has = |name: &str| finalizers.list().iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        errors.push(finalizers.invalid("finalizer orphan and foregroundDeletion cannot be both set"));
    }
}

/// Who writes which field: what clients send of it must at least be readable.
fn managers(entries: &Node<'_, '_>, errors: &mut Errors) {
    for entry in entries.items() {
        let (operation, kind) = (entry.at("operation"), entry.at("fieldsType"));
        if !matches!(operation.text(), "Apply" | "Update") {
            errors.push(operation.invalid_as(operation.text(), "must be `Apply` or `Update`"));
        }
        if !matches!(kind.text(), "" | "FieldsV1") {
            errors.push(kind.invalid("must be `FieldsV1`"));
        }
        for (field, max) in [("manager", MANAGER_MAX), ("subresource", SUBRESOURCE_MAX)] {
            if entry.at(field).text().len() > max {
                errors.push(entry.at(field).too_long(max));
            }
        }
        let manager = entry.at("manager");
        for (position, letter) in manager.text().char_indices().filter(|(_, letter)| letter.is_control()) {
            let code = u32::from(letter);
            errors.push(manager.invalid(format!("invalid character U+{code:04X} (at position {position})")));
        }
    }
}

/// Finalizers without a domain are those of Kubernetes itself.
pub(crate) fn standard_finalizer(finalizer: &Node<'_, '_>, errors: &mut Errors) {
    let name = finalizer.text();
    if !name.contains('/') && !matches!(name, "kubernetes" | "orphan" | "foregroundDeletion") {
        errors.push(finalizer.invalid("name is neither a standard finalizer name nor is it fully qualified"));
    }
}

fn no_new_finalizers(finalizers: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let known = |finalizer: &&Value| old.as_array().is_some_and(|old| old.contains(finalizer));
    let new: Vec<&str> =
        finalizers.list().iter().filter(|finalizer| !known(finalizer)).filter_map(Value::as_str).collect();
    if !new.is_empty() {
        let shown: Vec<String> = new.iter().map(|finalizer| format!("{finalizer:?}")).collect();
        errors.push(finalizers.forbidden(format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            shown.join(", ")
        )));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::by_resource;

    #[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
    fn found(kind: &str, metadata: Value) -> Vec<String> {
        let object = json!({"metadata": metadata});
        let mut errors = Errors::new();
        let root = Node::root(&object);
        validate(by_resource("", "v1", kind).unwrap(), &root.at("metadata"), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_and_namespaces() {
        assert_eq!(found("configmaps", json!({"name": "a", "namespace": "b"})), [""; 0]);
        assert_eq!(
            found("configmaps", json!({})),
            [
                "metadata.name: Required value: name or generateName is required",
                "metadata.namespace: Required value"
            ]
        );
        assert_eq!(
            found("nodes", json!({"name": "a", "namespace": "b"})),
            ["metadata.namespace: Forbidden: not allowed on this type"]
        );
        assert_eq!(
            found("configmaps", json!({"name": "a-xyz", "generateName": "a-", "namespace": "b"})),
            [""; 0]
        );
        assert!(found("services", json!({"name": "1a", "namespace": "b"}))[0].contains("DNS-1035"));
    }

    #[test]
    fn owners_labels_and_finalizers() {
        let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "u", "controller": true});
        let errors = found(
            "configmaps",
            json!({"name": "a", "namespace": "b", "labels": {"a b": "-"},
            "ownerReferences": [owner, owner, {"apiVersion": "apps/"}], "finalizers": ["orphan", "foregroundDeletion"]}),
        );
        assert!(errors[0].starts_with("metadata.labels: Invalid value: \"a b\": name part must consist"));
        assert!(errors[1].starts_with("metadata.labels: Invalid value: \"-\": a valid label must be"));
        assert!(errors[2].contains("Found \"true\" in references for Pod/x and Pod/x"));
        assert_eq!(
            errors[3],
            "metadata.ownerReferences.apiVersion: Invalid value: \"apps/\": version must not be empty"
        );
        assert_eq!(errors[6], "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty");
        assert!(errors[7].ends_with("finalizer orphan and foregroundDeletion cannot be both set"));
    }

    #[test]
    fn finalizers_and_managers_have_names() {
        assert_eq!(
            found(
                "configmaps",
                json!({"name": "a", "namespace": "b", "annotations": {"A b": ""}, "finalizers": ["mine", "a.io/b"],
                    "managedFields": [{"operation": "x", "manager": "a\u{1}", "fieldsType": "y"}]})
            ),
            [
                "metadata.annotations: Invalid value: \"A b\": name part must consist of alphanumeric characters, '-', '_' or '.', \
                 and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex \
                 used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
                "metadata.managedFields[0].operation: Invalid value: \"x\": must be `Apply` or `Update`",
                "metadata.managedFields[0].fieldsType: Invalid value: \"y\": must be `FieldsV1`",
                "metadata.managedFields[0].manager: Invalid value: \"a\\u0001\": invalid character U+0001 (at position 1)",
                "metadata.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified",
            ]
        );
    }

    #[test]
    fn a_deletion_is_not_begun_by_an_update() {
        let (kind, old) = (by_resource("", "v1", "configmaps").unwrap(), json!({"name": "a"}));
        for (new, expected) in [
            (json!({"name": "a", "deletionTimestamp": null}), ""),
            (
                json!({"name": "a", "deletionTimestamp": "2026-01-02T03:04:05Z"}),
                "metadata.deletionTimestamp: Invalid value: 2026-01-02 03:04:05 +0000 UTC: field is immutable",
            ),
            (
                json!({"name": "a", "deletionGracePeriodSeconds": 5}),
                "metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable",
            ),
        ] {
            let (new, old) = (json!({"metadata": new}), json!({"metadata": old}));
            let mut prepared = new.clone();
            crate::metadata::prepare_update(&mut prepared, &old);
            let mut errors = Errors::new();
            let root = Node::root(&prepared);
            validate_update(kind, &root.at("metadata"), &old["metadata"], &mut errors);
            let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(found.join(", "), expected, "{new}");
        }
    }

    #[test]
    fn too_many_annotations() {
        let errors = found(
            "configmaps",
            json!({"name": "a", "namespace": "b", "annotations": {"a": "x".repeat(262_144)}}),
        );
        assert_eq!(errors, ["metadata.annotations: Too long: may not be more than 262144 bytes"]);
    }
}
