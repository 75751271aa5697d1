//! Rules of resource quotas and limit ranges.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::pod::{amount, container_resource, is_for_quotas, may_overcommit, quantity_of, resource_name};
use crate::field::{Errors, Node};
use crate::names;
use crate::quantity::Quantity;
use crate::value::at;

pub(super) fn quota(quota: &Node<'_, '_>, errors: &mut Errors) {
    quota_list(&quota.at("spec.hard"), errors);
    scopes(quota, errors);
    selector(quota, errors);
}

pub(super) fn quota_update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let set = |scopes: &Value| -> BTreeSet<String> {
        scopes
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|scope| scope.as_str().map(str::to_owned))
            .collect()
    };
    let scopes = new.at("spec.scopes");
    if set(scopes.value) != set(at(old, "spec.scopes")) {
        errors.push(scopes.invalid("field is immutable"));
    }
}

pub(super) fn quota_status(quota: &Node<'_, '_>, errors: &mut Errors) {
    quota_list(&quota.at("status.hard"), errors);
    quota_list(&quota.at("status.used"), errors);
}

fn quota_list(list: &Node<'_, '_>, errors: &mut Errors) {
    for (name, quantity) in list.entries() {
        resource_name(name, &quantity, errors);
        if !name.contains('/') && !is_for_quotas(name) {
            errors.push(quantity.invalid_as(name.as_str(), "must be a standard resource for quota"));
        }
        amount(name, &quantity, errors);
    }
}

const TERMINATING: [&str; 2] = ["Terminating", "NotTerminating"];
const BEST_EFFORT: [&str; 2] = ["BestEffort", "NotBestEffort"];
const CROSS: &str = "CrossNamespacePodAffinity";

fn is_scope(scope: &str) -> bool {
    TERMINATING.contains(&scope)
        || BEST_EFFORT.contains(&scope)
        || matches!(scope, "PriorityClass" | "VolumeAttributesClass" | CROSS)
}

/// Whether a resource that quotas know is counted by the scope.
fn counts(scope: &str, resource: &str) -> bool {
    const COMPUTE: [&str; 6] =
        ["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
    match scope {
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        scope if is_scope(scope) => resource == "pods" || COMPUTE.contains(&resource),
        _ => true,
    }
}

/// The limits that a scope cannot be applied to.
fn uncounted<'v>(quota: &Node<'v, '_>, scope: &str) -> usize {
    let hard = at(quota.value, "spec.hard").as_object().into_iter().flat_map(serde_json::Map::keys);
    hard.filter(|name| is_for_quotas(name) && !counts(scope, name)).count()
}

fn scopes(quota: &Node<'_, '_>, errors: &mut Errors) {
    let scopes = quota.at("spec.scopes");
    for scope in scopes.items() {
        if !is_scope(scope.text()) {
            errors.push(scopes.invalid("unsupported scope"));
        }
        for _ in 0..uncounted(quota, scope.text()) {
            errors.push(scopes.invalid("unsupported scope applied to resource"));
        }
    }
    conflicts(&scopes, |scope| scopes.list().iter().any(|one| one == scope), errors);
}

fn conflicts(scopes: &Node<'_, '_>, has: impl Fn(&str) -> bool, errors: &mut Errors) {
    for pair in [BEST_EFFORT, TERMINATING] {
        if pair.into_iter().all(&has) {
            errors.push(scopes.invalid("conflicting scopes"));
        }
    }
}

fn selector(quota: &Node<'_, '_>, errors: &mut Errors) {
    let selector = quota.at("spec.scopeSelector");
    let expressions = selector.at("matchExpressions");
    for expression in expressions.items() {
        scope_expression(&expression.named(expressions.path), &selector, quota, errors);
    }
    let has =
        |scope: &str| expressions.list().iter().any(|one| crate::value::text(one, "scopeName") == scope);
    conflicts(&quota.at("spec.scopeSelector.matchExpressions"), has, errors);
}

/// One expression; upstream does not say which.
fn scope_expression(
    expression: &Node<'_, '_>,
    selector: &Node<'_, '_>,
    quota: &Node<'_, '_>,
    errors: &mut Errors,
) {
    const EXISTS: &str = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, \
        ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or \
        ResourceQuotaScopeCrossNamespacePodAffinity";
    let (scope, operator, values) =
        (expression.at("scopeName"), expression.at("operator"), expression.at("values"));
    if !is_scope(scope.text()) {
        errors.push(scope.invalid_as(scope.text(), "unsupported scope"));
    }
    for _ in 0..uncounted(quota, scope.text()) {
        let detail = "unsupported scope applied to resource";
        errors.push(expression.invalid_as(selector.value.clone(), detail));
    }
    let has_no_values =
        is_scope(scope.text()) && !matches!(scope.text(), "PriorityClass" | "VolumeAttributesClass");
    if has_no_values && operator.text() != "Exists" {
        errors.push(operator.invalid_as(operator.text(), EXISTS));
    }
    match operator.text() {
        "In" | "NotIn" if values.list().is_empty() => errors
            .push(values.required(
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            )),
        "Exists" | "DoesNotExist" if !values.list().is_empty() => errors.push(
            values
                .invalid("must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"),
        ),
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => errors.push(operator.invalid_as(other, "not a valid selector operator")),
    }
}

pub(super) fn range(range: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for item in range.at("spec.limits").items() {
        let kind = item.at("type");
        kind.check(names::qualified_name, errors);
        let known = matches!(kind.text(), "Pod" | "Container" | "PersistentVolumeClaim");
        if !known && !kind.text().contains('/') && names::qualified_name(kind.text()).is_empty() {
            errors.push(kind.invalid("must be a standard limit type or fully qualified"));
        }
        if !seen.insert(kind.text()) {
            errors.push(kind.duplicate());
        }
        item_rules(&item, kind.text(), errors);
    }
}

/// The lists of one item and the words upstream has for each.
const LISTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];

fn item_rules(item: &Node<'_, '_>, kind: &str, errors: &mut Errors) {
    let mut names = BTreeMap::new();
    for (index, list) in LISTS.into_iter().enumerate() {
        let entries = item.at(list);
        if kind == "Pod" && matches!(list, "default" | "defaultRequest") {
            if !entries.is_zero() {
                errors.push(entries.forbidden("may not be specified when `type` is 'Pod'"));
            }
            continue;
        }
        for (name, quantity) in entries.entries() {
            match kind {
                "Pod" | "Container" => container_resource(name, &quantity, errors),
                _ => resource_name(name, &quantity, errors),
            }
            let amounts: &mut [Option<Quantity>; 5] = names.entry(name.as_str()).or_default();
            amounts[index] = quantity_of(entries.value, name);
        }
        let storage = |list: &str| at(item.value, list).get("storage").is_some();
        if list == "defaultRequest" && kind == "PersistentVolumeClaim" && !storage("min") && !storage("max") {
            errors.push(
                item.at("limits").required(
                    "either minimum or maximum storage value is required, but neither was provided",
                ),
            );
        }
    }
    for (name, amounts) in names {
        in_order(item, name, amounts, errors);
    }
}

/// min ≤ default request ≤ default limit ≤ max, and the ratio leaves room for that.
fn in_order(item: &Node<'_, '_>, name: &str, amounts: [Option<Quantity>; 5], errors: &mut Errors) {
    let [max, min, default, request, ratio] = amounts;
    let mut refuse = |list: &str, shown: Quantity, detail: String| {
        errors.push(item.at(list).key(name).invalid_as(shown.to_string(), detail));
    };
    let pairs = [
        ("min", min, "min value", max, "max value", min),
        ("defaultRequest", min, "min value", request, "default request value", request),
        ("defaultRequest", request, "default request value", max, "max value", request),
        ("defaultRequest", request, "default request value", default, "default limit value", request),
        ("default", min, "min value", default, "default value", min),
        ("default", default, "default value", max, "max value", max),
    ];
    for (list, low, low_words, high, high_words, shown) in pairs {
        if let (Some(low), Some(high), Some(shown)) = (low, high, shown)
            && low > high
        {
            refuse(list, shown, format!("{low_words} {low} is greater than {high_words} {high}"));
        }
    }
    if let Some(ratio) = ratio {
        if ratio < Quantity::whole(1) {
            refuse("maxLimitRequestRatio", ratio, format!("ratio {ratio} is less than 1"));
        }
        if let (Some(min), Some(max)) = (min, max) {
            let limit = thousandths(max) / thousandths(min);
            if thousandths(ratio) / 1000.0 > limit {
                let detail = format!("ratio {ratio} is greater than max/min = {limit:.6}");
                refuse("maxLimitRequestRatio", ratio, detail);
            }
        }
    }
    if let (Some(default), Some(request)) = (default, request)
        && !may_overcommit(name)
        && default != request
    {
        let detail =
            format!("default value {default} must equal to defaultRequest value {request} in {name}");
        refuse("defaultRequest", request, detail);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a ratio of two amounts is compared, to more places than people write"
)]
fn thousandths(amount: Quantity) -> f64 {
    amount.milli_value() as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
    fn said(rules: fn(&Node<'_, '_>, &mut Errors), spec: Value) -> Vec<String> {
        let mut errors = Errors::new();
        rules(&Node::root(&json!({"spec": spec})), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn quotas() {
        let exists = |scope: &str| json!({"scopeName": scope, "operator": "Exists"});
        let cases: [(Value, &[&str]); 6] = [
            (
                json!({"hard": {"cpu": "1", "pods": "2", "count/widgets.a.io": "3", "requests.example.com/gpu": "1"}}),
                &[],
            ),
            (
                json!({"hard": {"apples": "1", "pods": "500m", "cpu": "-1"}}),
                &[
                    "spec.hard[apples]: Invalid value: \"apples\": must be a standard resource type or fully qualified",
                    "spec.hard[apples]: Invalid value: \"apples\": must be a standard resource for quota",
                    "spec.hard[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
                    "spec.hard[pods]: Invalid value: \"500m\": must be an integer",
                ],
            ),
            (
                json!({"hard": {"cpu": "1"}, "scopes": ["BestEffort"]}),
                &["spec.scopes: Invalid value: [\"BestEffort\"]: unsupported scope applied to resource"],
            ),
            (json!({"scopes": ["x"]}), &["spec.scopes: Invalid value: [\"x\"]: unsupported scope"]),
            (
                json!({"scopes": ["Terminating", "NotTerminating"]}),
                &["spec.scopes: Invalid value: [\"Terminating\",\"NotTerminating\"]: conflicting scopes"],
            ),
            (
                json!({"scopeSelector": {"matchExpressions": [exists("x"), {"scopeName": "PriorityClass", "operator": "In"}]}}),
                &[
                    "spec.scopeSelector.matchExpressions.scopeName: Invalid value: \"x\": unsupported scope",
                    "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
                ],
            ),
        ];
        for (spec, expected) in cases {
            assert_eq!(said(quota, spec), expected);
        }
        let mut errors = Errors::new();
        quota_update(
            &Node::root(&json!({"spec": {"scopes": ["Terminating"]}})),
            &json!({"spec": {}}),
            &mut errors,
        );
        assert_eq!(
            errors[0].to_string(),
            "spec.scopes: Invalid value: [\"Terminating\"]: field is immutable"
        );
    }

    #[test]
    fn ranges() {
        let cases: [(Value, &[&str]); 7] = [
            (
                json!([{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "2"}}]),
                &[],
            ),
            (
                json!([{"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "2"}, "default": {"cpu": "1"}}, {"type": "Pod"}]),
                &[
                    "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
                    "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
                    "spec.limits[1].type: Duplicate value: \"Pod\"",
                ],
            ),
            (
                json!([{"type": "x"}]),
                &[
                    "spec.limits[0].type: Invalid value: \"x\": must be a standard limit type or fully qualified",
                ],
            ),
            (
                json!([{"type": "PersistentVolumeClaim"}]),
                &[
                    "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided",
                ],
            ),
            (
                json!([{"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "2"}}]),
                &[
                    "spec.limits[0].defaultRequest[cpu]: Invalid value: \"2\": default request value 2 is greater than default limit value 1",
                ],
            ),
            (
                json!([{"type": "Container", "max": {"cpu": "3"}, "min": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "2"}}]),
                &[
                    "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"2\": ratio 2 is greater than max/min = 1.500000",
                ],
            ),
            (
                json!([{"type": "Container", "max": {"apples": "1"}}]),
                &[
                    "spec.limits[0].max[apples]: Invalid value: \"apples\": must be a standard resource type or fully qualified",
                    "spec.limits[0].max[apples]: Invalid value: \"apples\": must be a standard resource for containers",
                ],
            ),
        ];
        for (limits, expected) in cases {
            assert_eq!(said(range, json!({"limits": limits})), expected);
        }
    }
}
