//! Classes of storage and of volume attributes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::Strategy;
use super::super::apps::rules::immutable;
use super::super::core::old_labels;
use crate::field::{Errors, Node};
use crate::metadata::validate_label_key;
use crate::table::{AGE, Column, NAME, Table, age, name};
use crate::value::{at, default_to, flag, text};

pub(super) const STORAGE: Strategy =
    Strategy { defaults, validate: storage, validate_update: storage_update, warnings, ..Strategy::PLAIN };

pub(super) const ATTRIBUTES: Strategy = Strategy {
    validate: attributes,
    validate_update: |new, old, errors| frozen(new, old, &["driverName", "parameters"], errors),
    ..Strategy::PLAIN
};

fn defaults(class: &mut Value) {
    default_to(class, "reclaimPolicy", "Delete");
    default_to(class, "volumeBindingMode", "Immediate");
}

fn storage(class: &Node<'_, '_>, errors: &mut Errors) {
    provisioner(&class.at("provisioner"), errors);
    parameters(&class.at("parameters"), errors);
    let policy = class.at("reclaimPolicy");
    if !policy.text().is_empty() {
        policy.may_be_among(&["Delete", "Retain"], errors);
    }
    let mode = class.at("volumeBindingMode");
    match mode.is_set() {
        false => errors.push(mode.required("")),
        true => mode.may_be_among(&["Immediate", "WaitForFirstConsumer"], errors),
    }
    topologies(&class.at("allowedTopologies"), errors);
}

fn provisioner(provisioner: &Node<'_, '_>, errors: &mut Errors) {
    if provisioner.must_be_set(errors) {
        validate_label_key(provisioner, &provisioner.text().to_lowercase(), errors);
    }
}

const PARAMETERS_MAX: usize = 512;
const PARAMETERS_SIZE_MAX: usize = 256 * 1024;

fn parameters(parameters: &Node<'_, '_>, errors: &mut Errors) {
    if parameters.entries().count() > PARAMETERS_MAX {
        return errors.push(parameters.too_long(PARAMETERS_MAX));
    }
    let mut size = 0;
    for (key, value) in parameters.entries() {
        if key.is_empty() {
            errors.push(parameters.invalid_as("", "field can not be empty."));
        }
        size += key.len() + value.text().len();
    }
    if size > PARAMETERS_SIZE_MAX {
        errors.push(parameters.too_long(PARAMETERS_SIZE_MAX));
    }
}

/// Terms that say where volumes may be; none twice.
fn topologies(terms: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen: Vec<BTreeMap<&str, Vec<&str>>> = Vec::new();
    for term in terms.items() {
        let expressions = term.at("matchLabelExpressions");
        let mut wanted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for expression in expressions.items() {
            let (key, values) = (expression.at("key"), expression.at("values"));
            values.require(errors);
            values.no_duplicates(errors);
            validate_label_key(&key, key.text(), errors);
            let mut sorted: Vec<&str> = values.list().iter().filter_map(Value::as_str).collect();
            sorted.sort_unstable();
            if wanted.insert(text(expression.value, "key"), sorted).is_some() {
                errors.push(key.duplicate());
            }
        }
        if seen.contains(&wanted) {
            errors.push(expressions.duplicate_as(""));
        }
        seen.push(wanted);
    }
}

fn storage_update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    frozen(new, old, &["parameters", "provisioner", "reclaimPolicy"], errors);
    immutable(&new.at("volumeBindingMode"), at(old, "volumeBindingMode"), errors);
}

fn warnings(class: &Value, _: Option<&Value>) -> Vec<String> {
    let root = Node::root(class);
    let terms = root.at("allowedTopologies");
    let mut warnings = Vec::new();
    for term in terms.items() {
        for expression in term.at("matchLabelExpressions").items() {
            let sentence = old_labels::sentence(text(expression.value, "key"));
            warnings.extend(sentence.map(|sentence| format!("{}: {sentence}", expression.path)));
        }
    }
    warnings
}

fn attributes(class: &Node<'_, '_>, errors: &mut Errors) {
    provisioner(&class.at("driverName"), errors);
    let given = class.at("parameters");
    parameters(&given, errors);
    if given.is_zero() {
        errors.push(given.required("must contain at least one key/value pair"));
    }
}

fn frozen(new: &Node<'_, '_>, old: &Value, fields: &[&str], errors: &mut Errors) {
    for field in fields {
        let node = new.at(field);
        if node.value != at(old, field) {
            errors.push(node.forbidden(format!("updates to {field} are forbidden.")));
        }
    }
}

pub(super) static STORAGE_TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("Provisioner"),
        Column::text("ReclaimPolicy"),
        Column::text("VolumeBindingMode"),
        Column::flag("AllowVolumeExpansion"),
        AGE,
    ],
    cells: |class, now| {
        vec![
            marked(class, "storageclass").into(),
            text(class, "provisioner").into(),
            text(class, "reclaimPolicy").into(),
            text(class, "volumeBindingMode").into(),
            flag(class, "allowVolumeExpansion").into(),
            age(class, now),
        ]
    },
};

/// The name, with a mark on the class that is used by default.
fn marked(class: &Value, kind: &str) -> String {
    let annotations = at(class, "metadata.annotations");
    let is_default = [
        format!("{kind}.kubernetes.io/is-default-class"),
        format!("{kind}.beta.kubernetes.io/is-default-class"),
    ]
    .iter()
    .any(|key| annotations.get(key).is_some_and(|value| value == "true"));
    let name = text(class, "metadata.name");
    if is_default { format!("{name} (default)") } else { name.to_owned() }
}

pub(super) static ATTRIBUTES_TABLE: Table = Table {
    columns: &[NAME, Column::text("DriverName"), AGE],
    cells: |class, now| vec![name(class), text(class, "driverName").into(), age(class, now)],
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(rules: fn(&Node<'_, '_>, &mut Errors), object: &Value) -> Vec<String> {
        let mut errors = Errors::new();
        rules(&Node::root(object), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_class_must_say() {
        let class = |mut change: Value| {
            default_to(&mut change, "provisioner", "a.b/c");
            defaults(&mut change);
            found(storage, &change)
        };
        let term = |values: Value| json!({"matchLabelExpressions": [{"key": "a", "values": values}]});
        for (change, expected) in [
            (json!({}), &[][..]),
            (json!({"provisioner": ""}), &["provisioner: Required value"]),
            (
                json!({"reclaimPolicy": "Recycle"}),
                &["reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\""],
            ),
            (
                json!({"volumeBindingMode": "X"}),
                &[
                    "volumeBindingMode: Unsupported value: \"X\": supported values: \"Immediate\", \"WaitForFirstConsumer\"",
                ],
            ),
            (json!({"parameters": {"": "x"}}), &["parameters: Invalid value: \"\": field can not be empty."]),
            (
                json!({"parameters": {"a": "x".repeat(262_144)}}),
                &["parameters: Too long: may not be more than 262144 bytes"],
            ),
            (
                json!({"allowedTopologies": [term(json!([]))]}),
                &["allowedTopologies[0].matchLabelExpressions[0].values: Required value"],
            ),
            (
                json!({"allowedTopologies": [term(json!(["b", "b"]))]}),
                &["allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: \"b\""],
            ),
            (
                json!({"allowedTopologies": [term(json!(["b", "c"])), term(json!(["c", "b"]))]}),
                &["allowedTopologies[1].matchLabelExpressions: Duplicate value: \"\""],
            ),
        ] {
            assert_eq!(class(change.clone()), expected);
        }
        assert_eq!(
            found(attributes, &json!({"driverName": "d"})),
            ["parameters: Required value: must contain at least one key/value pair"]
        );
        let old = json!({"allowedTopologies": [{"matchLabelExpressions": [{"key": "failure-domain.beta.kubernetes.io/zone"}]}]});
        assert_eq!(
            warnings(&old, None),
            [
                "allowedTopologies[0].matchLabelExpressions[0]: deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"
            ]
        );
    }
}
