//! Requests, limits and other lists of quantities.

use serde_json::Value;

use crate::field::{Errors, Node};
use crate::names;
use crate::quantity::Quantity;

/// The quantity of `name` in a resource list.
pub(in crate::kinds) fn quantity_of(list: &Value, name: &str) -> Option<Quantity> {
    parse(list.get(name)?)
}

/// Quantities come as strings, and as numbers from people who leave the quotes out.
fn parse(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// Writes every quantity of a list in its canonical form, nothing finer than thousandths.
pub(in crate::kinds) fn round_up(list: &mut Value) {
    for value in list.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        if let Some(quantity) = parse(value) {
            *value = quantity.round_up_to_milli().to_string().into();
        }
    }
}

/// A list whose quantities are what they should be: parsed, not negative, whole where the resource cannot be split.
pub(in crate::kinds) fn resource_list(list: &Node<'_, '_>, errors: &mut Errors) {
    for (name, quantity) in list.entries() {
        errors.extend(
            names::qualified_name(name)
                .into_iter()
                .map(|problem| quantity.invalid_as(name.as_str(), problem)),
        );
        match parse(quantity.value) {
            None => errors.push(quantity.invalid(
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            )),
            Some(amount) => value(name, amount, &quantity, errors),
        }
    }
}

fn value(name: &str, amount: Quantity, at: &Node<'_, '_>, errors: &mut Errors) {
    if amount.is_negative() {
        errors.push(at.invalid(names::NON_NEGATIVE));
    }
    if is_countable(name) && !amount.is_whole() {
        errors.push(at.invalid("must be an integer"));
    }
}

/// Things that come in ones: extended resources, pods and other objects.
fn is_countable(name: &str) -> bool {
    is_extended(name) || name == "pods" || name.starts_with("count/")
}

fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.split('/').next().is_some_and(|prefix| prefix.ends_with("kubernetes.io"))
}

const STANDARD: &[&str] = &["cpu", "memory", "ephemeral-storage"];

/// The `resources` of a container.
pub(super) fn requirements(resources: &Node<'_, '_>, errors: &mut Errors) {
    let (limits, requests) = (resources.at("limits"), resources.at("requests"));
    for list in [&limits, &requests] {
        resource_list(list, errors);
        for (name, quantity) in list.entries() {
            container_resource(name, &quantity, errors);
        }
    }
    for (name, request) in requests.entries() {
        let Some(amount) = parse(request.value) else { continue };
        let fixed = is_extended(name) || name.starts_with("hugepages-");
        match quantity_of(limits.value, name) {
            Some(limit) if fixed && amount != limit => errors.push(
                requests.invalid_as(amount.to_string(), format!("must be equal to {name} limit of {limit}")),
            ),
            Some(limit) if amount > limit => errors.push(requests.invalid_as(
                amount.to_string(),
                format!("must be less than or equal to {name} limit of {limit}"),
            )),
            None if fixed => {
                errors.push(limits.required("Limit must be set for non overcommitable resources"));
            }
            Some(_) | None => {}
        }
    }
}

fn container_resource(name: &str, at: &Node<'_, '_>, errors: &mut Errors) {
    if !name.contains('/') && !STANDARD.contains(&name) && !name.starts_with("hugepages-") {
        errors.push(at.invalid_as(name, "must be a standard resource for containers"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
    fn found(resources: Value) -> Vec<String> {
        let mut errors = Errors::new();
        requirements(&Node::root(&resources), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn requests_fit_into_limits() {
        assert_eq!(
            found(json!({"limits": {"cpu": "1"}, "requests": {"cpu": "500m", "memory": "1Gi"}})),
            [""; 0]
        );
        assert_eq!(
            found(json!({"limits": {"cpu": "1"}, "requests": {"cpu": "2"}})),
            ["requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1"]
        );
        assert_eq!(
            found(json!({"requests": {"example.com/gpu": "1"}})),
            ["limits: Required value: Limit must be set for non overcommitable resources"]
        );
    }

    #[test]
    fn odd_resources() {
        assert_eq!(
            found(json!({"limits": {"cpu": "-1"}})),
            ["limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0"]
        );
        assert_eq!(
            found(json!({"limits": {"apples": "1"}})),
            ["limits[apples]: Invalid value: \"apples\": must be a standard resource for containers"]
        );
        assert_eq!(
            found(json!({"limits": {"example.com/gpu": "500m"}})),
            ["limits[example.com/gpu]: Invalid value: \"500m\": must be an integer"]
        );
    }
}
