//! Namespaces.

use serde_json::{Value, json};

use super::super::{NameRule, PartRules, Strategy};
use crate::field::{Errors, Node};
use crate::metadata::{validate_label_key, validate_standard_finalizer};
use crate::table::{self, AGE, Column, NAME, Table, age};
use crate::value::{object, replace, text};

pub(super) const STRATEGY: Strategy = Strategy {
    name: NameRule::Label,
    defaults: name_label,
    prepare_create,
    prepare_update: |new, old| replace(new, "spec", old.get("spec").cloned()),
    validate_create,
    validate_status,
    ..Strategy::PLAIN
};

/// Whoever has emptied a namespace says so here; its finalizers are not changed in any other way.
pub(super) static FINALIZE: PartRules = PartRules {
    prepare: |new, old| {
        let spec = new.get("spec").cloned();
        let metadata = new.get("metadata").cloned();
        new.clone_from(old);
        replace(new, "spec", spec);
        replace(new, "metadata", metadata);
    },
    validate: |namespace, _, errors| validate_finalize(namespace, errors),
};

/// Every namespace can be selected by its name.
fn name_label(namespace: &mut Value) {
    let name = text(namespace, "metadata.name").to_owned();
    if !name.is_empty()
        && let Some(metadata) = namespace.get_mut("metadata")
        && let Some(labels) = object(metadata, "labels")
    {
        labels.insert("kubernetes.io/metadata.name".into(), name.into());
    }
}

/// A namespace is emptied before it goes: its own finalizer sees to that.
fn prepare_create(namespace: &mut Value) {
    name_label(namespace);
    replace(namespace, "status", Some(json!({"phase": "Active"})));
    if let Some(spec) = object(namespace, "spec") {
        let finalizers = spec.entry("finalizers").or_insert_with(|| json!([]));
        if let Some(finalizers) = finalizers.as_array_mut()
            && !finalizers.iter().any(|finalizer| finalizer == "kubernetes")
        {
            finalizers.push("kubernetes".into());
        }
    }
}

/// Upstream does not say which finalizer of a new namespace is wrong.
fn validate_create(namespace: &Node<'_, '_>, errors: &mut Errors) {
    let finalizers = namespace.at("spec.finalizers");
    finalizers.items().for_each(|finalizer| name(&finalizer.named(finalizers.path), errors));
}

fn validate_finalize(namespace: &Node<'_, '_>, errors: &mut Errors) {
    namespace.at("spec.finalizers").items().for_each(|finalizer| name(&finalizer, errors));
}

fn name(finalizer: &Node<'_, '_>, errors: &mut Errors) {
    validate_label_key(finalizer, finalizer.text(), errors);
    validate_standard_finalizer(finalizer, errors);
}

/// A namespace goes when it was deleted, and not before.
fn validate_status(namespace: &Node<'_, '_>, _: &Value, errors: &mut Errors) {
    let phase = namespace.at("status.phase");
    let (expected, when) = match namespace.at("metadata.deletionTimestamp").is_set() {
        false => ("Active", "if `deletionTimestamp` is empty"),
        true => ("Terminating", "if `deletionTimestamp` is not empty"),
    };
    if phase.text() != expected {
        let phase = phase.named(namespace.path.field("status.Phase"));
        errors.push(phase.invalid_as(phase.text(), format!("may only be '{expected}' {when}")));
    }
}

pub(super) static TABLE: Table = Table {
    columns: &[NAME, Column::text("Status"), AGE],
    cells: |namespace, now| {
        vec![table::name(namespace), text(namespace, "status.phase").into(), age(namespace, now)]
    },
};

#[cfg(test)]
mod tests {
    use super::super::super::{Part, by_resource};
    use super::*;

    #[test]
    fn finalizers_and_phases() {
        let kind = by_resource("", "v1", "namespaces").unwrap();
        let mut namespace = json!({"metadata": {"name": "n", "resourceVersion": "1"}, "spec": {"finalizers": ["mine"]},
            "status": {"phase": "Terminating"}});
        let found = kind.validate_create(&namespace);
        assert_eq!(
            found[0].to_string(),
            "spec.finalizers: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified"
        );
        let found = kind.validate_update(&namespace, &namespace, Part::Sub("finalize"));
        assert_eq!(found[0].field, "spec.finalizers[0]");
        let found = kind.validate_update(&namespace, &namespace, Part::Status);
        assert_eq!(
            found[0].to_string(),
            "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
        );
        namespace["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert_eq!(kind.validate_update(&namespace, &namespace, Part::Status), []);
    }
}
