//! What a driver offers.

use serde_json::Value;

use super::super::apps::rules::immutable;
use super::super::core::pod::node_selector;
use super::device;
use super::names_of::{named, pool};
use crate::field::{Errors, Node};
use crate::kinds::storage::driver_name;
use crate::names;
use crate::value::{at, is_zero, text};

const DEVICES_MAX: usize = 128;
/// Devices with taints or counters are larger.
const LARGE_DEVICES_MAX: usize = 64;
const COUNTER_SETS_MAX: usize = 8;
const COUNTERS_MAX: usize = 32;

pub(super) fn validate(slice: &Node<'_, '_>, errors: &mut Errors) {
    let spec = slice.at("spec");
    driver_name(&spec.at("driver"), errors);
    pool_of(&spec.at("pool"), errors);
    place(&spec, errors);
    let (devices, counters) = (spec.at("devices"), spec.at("sharedCounters"));
    if devices.is_set() && counters.is_set() {
        errors.push(spec.invalid_as("", "only one of `sharedCounters` or `devices` is allowed"));
    }
    let large =
        |device: &Value| ["taints", "consumesCounters"].iter().any(|field| !is_zero(at(device, field)));
    let max = if devices.list().iter().any(large) { LARGE_DEVICES_MAX } else { DEVICES_MAX };
    let each = spec.at("perDeviceNodeSelection").flag();
    named(&devices, max, "name", |one, errors| device::validate(one, each, errors), errors);
    named(&counters, COUNTER_SETS_MAX, "name", counter_set, errors);
}

/// Whose offer it is and where stays.
pub(super) fn update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    for field in ["pool.name", "driver", "nodeName"] {
        let spec = new.at("spec");
        immutable(&spec.at(field), at(at(old, "spec"), field), errors);
    }
}

pub(super) fn warnings(slice: &Value, _: Option<&Value>) -> Vec<String> {
    let driver = text(slice, "spec.driver");
    let warning =
        format!("spec.driver: driver names should be lowercase; {driver:?} contains uppercase characters");
    if driver == driver.to_lowercase() { Vec::new() } else { vec![warning] }
}

fn pool_of(pool_node: &Node<'_, '_>, errors: &mut Errors) {
    pool(&pool_node.at("name"), errors);
    let (count, generation) = (pool_node.at("resourceSliceCount"), pool_node.at("generation"));
    let slices = count.int().unwrap_or_default();
    if slices <= 0 {
        errors.push(count.invalid_as(slices, "must be greater than zero"));
    }
    if generation.int().is_some_and(|generation| generation < 0) {
        errors.push(generation.invalid("must be greater than or equal to zero"));
    }
}

/// The nodes that can use it: one, some, all, or as each device says.
fn place(spec: &Node<'_, '_>, errors: &mut Errors) {
    const ONE: &str =
        "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    let mut said = nodes(spec, "must be either unset or set to a non-empty string", errors);
    let (selector, each) = (spec.at("nodeSelector"), spec.at("perDeviceNodeSelection"));
    let terms = selector.at("nodeSelectorTerms");
    if selector.is_set() && terms.list().len() != 1 {
        errors.push(terms.invalid("must have exactly one node selector term"));
    }
    match each.value.as_bool() {
        Some(true) => said.push("`perDeviceNodeSelection`"),
        Some(false) => errors.push(each.invalid("must be either unset or set to true")),
        None => {}
    }
    match said[..] {
        [] => errors.push(spec.required(ONE)),
        [_] => {}
        _ => {
            let shown = format!("{{{}}}", said.join(", "));
            errors.push(spec.invalid_as(shown, format!("{ONE}, but multiple fields are set")));
        }
    }
}

/// Which of the ways to name nodes are used.
pub(super) fn nodes(of: &Node<'_, '_>, empty: &str, errors: &mut Errors) -> Vec<&'static str> {
    let (name, selector, all) = (of.at("nodeName"), of.at("nodeSelector"), of.at("allNodes"));
    let mut said = Vec::new();
    match name.text() {
        _ if !name.is_set() => {}
        "" => errors.push(name.invalid(empty)),
        _ => {
            said.push("`nodeName`");
            name.check(names::subdomain, errors);
        }
    }
    if selector.is_set() {
        said.push("`nodeSelector`");
        node_selector(&selector, errors);
    }
    match all.value.as_bool() {
        Some(true) => said.push("`allNodes`"),
        Some(false) => errors.push(all.invalid("must be either unset or set to true")),
        None => {}
    }
    said
}

fn counter_set(counters: &Node<'_, '_>, errors: &mut Errors) {
    counters.at("name").must_be(names::dns_label, errors);
    self::counters(&counters.at("counters"), COUNTERS_MAX, errors);
}

/// Amounts by name.
pub(super) fn counters(counters: &Node<'_, '_>, max: usize, errors: &mut Errors) {
    match counters.entries().count() {
        0 => errors.push(counters.required("")),
        count if count > max => errors.push(counters.too_many(count, max)),
        _ => {
            for (name, counter) in counters.entries() {
                let problems = names::dns_label(name).into_iter();
                errors.extend(problems.map(|problem| counter.invalid_as(name.as_str(), problem)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn drivers_are_lowercase() {
        for (driver, expected) in [
            ("a.io", &[][..]),
            (
                "A.io",
                &["spec.driver: driver names should be lowercase; \"A.io\" contains uppercase characters"],
            ),
        ] {
            assert_eq!(warnings(&json!({"spec": {"driver": driver}}), None), expected);
        }
    }

    #[test]
    fn what_a_slice_must_say() {
        let found = |change: Value| {
            let base =
                json!({"driver": "a.b", "pool": {"name": "p", "resourceSliceCount": 1}, "nodeName": "n"});
            let spec = crate::patch::merge(base, &change).unwrap();
            let mut errors = Errors::new();
            validate(&Node::root(&json!({"spec": spec})), &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let one =
            "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
        let device = |device: Value| json!({"devices": [device]});
        for (change, expected) in [
            (json!({}), vec![]),
            (json!({"nodeName": null}), vec![format!("spec: Required value: {one}")]),
            (
                json!({"allNodes": true}),
                vec![format!("spec: Invalid value: \"{{`nodeName`, `allNodes`}}\": {one}, but multiple fields are set")],
            ),
            (
                json!({"pool": {"name": null, "resourceSliceCount": 0, "generation": -1}}),
                vec![
                    "spec.pool.name: Required value".to_owned(),
                    "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero".to_owned(),
                    "spec.pool.generation: Invalid value: -1: must be greater than or equal to zero".to_owned(),
                ],
            ),
            (json!({"devices": [{"name": "a"}, {"name": "a"}]}), vec!["spec.devices[1]: Duplicate value: \"a\"".to_owned()]),
            (
                device(json!({"name": "a", "attributes": {"x": {"int": 1, "bool": true}, "y": {}}})),
                vec![
                    "spec.devices[0].attributes[x]: Invalid value: {\"bool\":true,\"int\":1}: exactly one value must be specified".to_owned(),
                    "spec.devices[0].attributes[y]: Invalid value: \"\": exactly one value must be specified".to_owned(),
                ],
            ),
            (
                device(json!({"name": "a", "attributes": {"v": {"version": "1.0"}}})),
                vec!["spec.devices[0].attributes[v].version: Invalid value: \"1.0\": must be a string compatible with semver.org spec 2.0.0".to_owned()],
            ),
            (
                device(json!({"name": "a", "capacity": {"m": {"value": "1", "requestPolicy": {}}}})),
                vec!["spec.devices[0].capacity[m].requestPolicy: Forbidden: allowMultipleAllocations must be true".to_owned()],
            ),
            (
                device(json!({"name": "a", "taints": [{"key": "k"}]})),
                vec!["spec.devices[0].taints[0].effect: Required value".to_owned()],
            ),
            (
                device(json!({"name": "a", "bindingConditions": ["a.b/c"]})),
                vec!["spec.devices[0].bindingFailureConditions: Invalid value: []: bindingFailureConditions are required to use bindingConditions".to_owned()],
            ),
            (
                json!({"sharedCounters": [{"name": "a"}]}),
                vec!["spec.sharedCounters[0].counters: Required value".to_owned()],
            ),
        ] {
            assert_eq!(found(change.clone()), expected, "{change}");
        }
        let range = json!({"value": "10", "requestPolicy": {"default": "1", "validRange": {"min": "2", "max": "12", "step": "4"}}});
        let errors =
            found(device(json!({"name": "a", "allowMultipleAllocations": true, "capacity": {"m": range}})));
        let at = "spec.devices[0].capacity[m].requestPolicy.validRange";
        assert_eq!(
            errors,
            [
                format!("{at}.min: Invalid value: \"1\": default is less than min: 2"),
                format!("{at}.max: Invalid value: \"12\": max is larger than capacity value: 10"),
                format!(
                    "{at}.step: Invalid value: \"1\": value is not a multiple of a given step (4) from (2)"
                ),
                format!(
                    "{at}.step: Invalid value: \"12\": value is not a multiple of a given step (4) from (2)"
                ),
            ]
        );
    }
}
