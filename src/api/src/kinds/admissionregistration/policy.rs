//! Admission policies and their bindings.

use serde_json::{Value, json};

use crate::table::{AGE, Column, NAME, Table, age, name, or, plain};
use crate::value::{at, default_to, items_mut, list, members, text};

pub(super) fn defaults(policy: &mut Value) {
    let Some(spec) = policy.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    default_to(spec, "failurePolicy", "Fail");
    if let Some(resources) = spec.get_mut("matchConstraints") {
        match_resources(resources);
    }
}

pub(super) fn binding_defaults(binding: &mut Value) {
    if let Some(resources) = binding.get_mut("spec").and_then(|spec| spec.get_mut("matchResources")) {
        match_resources(resources);
    }
}

fn match_resources(resources: &mut Value) {
    default_to(resources, "matchPolicy", "Equivalent");
    default_to(resources, "namespaceSelector", json!({}));
    default_to(resources, "objectSelector", json!({}));
    for rules in ["resourceRules", "excludeResourceRules"] {
        items_mut(resources, rules).for_each(|rule| default_to(rule, "scope", "*"));
    }
}

const PARAMETERS: Column = Column::text("ParamKind");

pub(super) static VALIDATING_TABLE: Table = Table {
    columns: &[NAME, Column::int("Validations"), PARAMETERS, AGE],
    cells: |policy, now| {
        vec![
            name(policy),
            list(policy, "spec.validations").len().into(),
            parameters(policy).into(),
            age(policy, now),
        ]
    },
};

pub(super) static MUTATING_TABLE: Table = Table {
    columns: &[NAME, Column::int("Mutations"), PARAMETERS, AGE],
    cells: |policy, now| {
        vec![
            name(policy),
            list(policy, "spec.mutations").len().into(),
            parameters(policy).into(),
            age(policy, now),
        ]
    },
};

fn parameters(policy: &Value) -> String {
    match at(policy, "spec.paramKind") {
        Value::Null => "<unset>".to_owned(),
        kind => format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind")),
    }
}

/// Upstream shows the selector as Go prints it.
fn selector(selector: &Value) -> String {
    if selector.is_null() {
        return "<unset>".to_owned();
    }
    let labels = members(selector, "matchLabels").map(|(key, value)| format!("{key}: {},", plain(value, "")));
    let expression = |expression: &Value| {
        let values: Vec<_> = list(expression, "values").iter().map(|value| plain(value, "")).collect();
        let (key, operator) = (text(expression, "key"), text(expression, "operator"));
        format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{}],}},", values.join(" "))
    };
    let mut labels: Vec<_> = labels.collect();
    labels.sort_unstable();
    let expressions: String = list(selector, "matchExpressions").iter().map(expression).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}",
        labels.concat()
    )
}

pub(super) static BINDING_TABLE: Table = Table {
    columns: &[NAME, Column::text("PolicyName"), Column::text("ParamRef"), AGE],
    cells: |binding, now| {
        let parameters = match at(binding, "spec.paramRef") {
            Value::Null => "<unset>".to_owned(),
            reference => match (text(reference, "namespace"), text(reference, "name")) {
                (_, "") => selector(at(reference, "selector")),
                (namespace, name) => format!("{}/{name}", or(namespace, "*")),
            },
        };
        vec![name(binding), text(binding, "spec.policyName").into(), parameters.into(), age(binding, now)]
    },
};

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_parameters_of_a_binding() {
        let selector = json!({"matchLabels": {"b": "2", "a": "1"},
            "matchExpressions": [{"key": "k", "operator": "In", "values": ["x", "y"]}]});
        for (reference, shown) in [
            (json!(null), "<unset>"),
            (json!({"name": "n"}), "*/n"),
            (json!({"name": "n", "namespace": "s"}), "s/n"),
            (json!({"parameterNotFoundAction": "Deny"}), "<unset>"),
            (
                json!({ "selector": selector }),
                "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{\
                 LabelSelectorRequirement{Key:k,Operator:In,Values:[x y],},},}",
            ),
        ] {
            let binding = json!({"spec": {"paramRef": reference}});
            assert_eq!((BINDING_TABLE.cells)(&binding, Timestamp::UNIX_EPOCH)[2], shown);
        }
    }
}
