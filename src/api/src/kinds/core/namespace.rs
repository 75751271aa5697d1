//! Namespaces.

use serde_json::{Value, json};

use super::super::{NameRule, PartRules, Strategy};
use crate::field::{Errors, Node};
use crate::metadata::validate_label_key;
use crate::table::{AGE, Column, NAME, Table, age, name};
use crate::value::{object, replace, text};

pub(super) const STRATEGY: Strategy = Strategy {
    name: NameRule::Label,
    defaults: name_label,
    prepare_create,
    prepare_update: |new, old| replace(new, "spec", old.get("spec").cloned()),
    validate,
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
    validate: |namespace, _, errors| validate(namespace, errors),
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

fn validate(namespace: &Node<'_, '_>, errors: &mut Errors) {
    for finalizer in namespace.at("spec.finalizers").items() {
        validate_label_key(&finalizer, finalizer.text(), errors);
        if !finalizer.text().contains('/') && finalizer.text() != "kubernetes" {
            errors.push(
                finalizer.invalid("name is neither a standard finalizer name nor is it fully qualified"),
            );
        }
    }
}

pub(super) static TABLE: Table = Table {
    columns: &[NAME, Column::text("Status"), AGE],
    cells: |namespace, now| {
        vec![name(namespace), text(namespace, "status.phase").into(), age(namespace, now)]
    },
};
