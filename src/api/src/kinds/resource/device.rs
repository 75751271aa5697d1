//! One device: what it is, how much of it there is, and who may use it.

use serde_json::{Value, json};

use super::super::core::pod::quantity_of;
use super::names_of::{named, qualified, slice};
use super::slice::{counters, nodes};
use crate::field::{Errors, Node};
use crate::metadata::validate_label_key;
use crate::names;
use crate::quantity::Quantity;

/// Attributes and capacities together.
const FACTS_MAX: usize = 32;
const TAINTS_MAX: usize = 16;
const CONSUMED_MAX: usize = 2;
const CONSUMED_COUNTERS_MAX: usize = 32;
const VALUE_MAX: usize = 64;
const CONDITIONS_MAX: usize = 4;
const OPTIONS_MAX: usize = 10;

pub(super) fn validate(device: &Node<'_, '_>, names_nodes: bool, errors: &mut Errors) {
    device.at("name").check(names::dns_label, errors);
    let (attributes, capacity) = (device.at("attributes"), device.at("capacity"));
    let facts = attributes.entries().count() + capacity.entries().count();
    if facts > FACTS_MAX {
        let sentence = format!("the total number of attributes and capacities must not exceed {FACTS_MAX}");
        errors.push(device.invalid_as(facts, sentence));
    }
    for (name, value) in attributes.entries() {
        qualified(&value, name, errors);
        attribute(&value, errors);
    }
    let shared = device.at("allowMultipleAllocations").flag();
    for (name, amount) in capacity.entries() {
        qualified(&amount, name, errors);
        self::capacity(&amount, shared, errors);
    }
    slice(&device.at("taints"), TAINTS_MAX, taint, errors);
    named(&device.at("consumesCounters"), CONSUMED_MAX, "counterSet", consumed, errors);
    place(device, names_nodes, errors);
    binding_conditions(device, errors);
}

fn attribute(attribute: &Node<'_, '_>, errors: &mut Errors) {
    let (text, version) = (attribute.at("string"), attribute.at("version"));
    if version.is_set() && !is_semantic(version.text()) {
        errors.push(version.invalid("must be a string compatible with semver.org spec 2.0.0"));
    }
    for value in [text, version] {
        if value.text().len() > VALUE_MAX {
            errors.push(value.too_long(VALUE_MAX));
        }
    }
    let given =
        ["bool", "int", "string", "version"].iter().filter(|kind| attribute.at(kind).is_set()).count();
    match given {
        0 => errors.push(attribute.invalid_as("", "exactly one value must be specified")),
        1 => {}
        _ => errors.push(attribute.invalid("exactly one value must be specified")),
    }
}

/// `1.2.3-alpha.1+build`
fn is_semantic(version: &str) -> bool {
    let (rest, build) = version.split_once('+').map_or((version, None), |(rest, build)| (rest, Some(build)));
    let (core, early) = rest.split_once('-').map_or((rest, None), |(core, early)| (core, Some(early)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let number = |part: &str| digits(part) && (part == "0" || !part.starts_with('0'));
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    core.split('.').count() == 3
        && core.split('.').all(number)
        && early
            .is_none_or(|early| early.split('.').all(|part| word(part) && (!digits(part) || number(part))))
        && build.is_none_or(|build| build.split('.').all(word))
}

fn capacity(capacity: &Node<'_, '_>, shared: bool, errors: &mut Errors) {
    let policy = capacity.at("requestPolicy");
    match (policy.is_set(), shared) {
        (false, _) => {}
        (true, false) => errors.push(policy.forbidden("allowMultipleAllocations must be true")),
        (true, true) => request_policy(&policy, quantity_of(capacity.value, "value"), errors),
    }
}

/// How much of a capacity one may ask for.
fn request_policy(policy: &Node<'_, '_>, whole: Option<Quantity>, errors: &mut Errors) {
    let (values, range, default) = (policy.at("validValues"), policy.at("validRange"), policy.at("default"));
    let whole = whole.unwrap_or(Quantity::ZERO);
    let kind = match (values.list().is_empty(), range.is_set()) {
        (false, true) => {
            return errors.push(policy.forbidden(
                "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time",
            ));
        }
        (true, false) => return,
        (false, false) => "validValues",
        (true, true) => "validRange",
    };
    match quantity_of(policy.value, "default") {
        None => errors.push(default.required(format!("required when {kind} is defined"))),
        Some(default) if range.is_set() => self::range(&range, default, whole, errors),
        Some(default) => options(&values, default, whole, errors),
    }
}

fn options(values: &Node<'_, '_>, default: Quantity, whole: Quantity, errors: &mut Errors) {
    let read = |node: &Node<'_, '_>| node.text().parse::<Quantity>().unwrap_or(Quantity::ZERO);
    let amounts: Vec<Quantity> = values.items().map(|value| read(&value)).collect();
    for (pair, value) in amounts.windows(2).zip(values.items().skip(1)) {
        if pair[0] > pair[1] {
            errors.push(value.invalid_as(pair[1].to_string(), "values must be sorted in ascending order"));
        }
    }
    let within = slice(
        values,
        OPTIONS_MAX,
        |value, errors| {
            let amount = read(value);
            if amount > whole {
                let sentence = format!("option is larger than capacity value: {whole}");
                errors.push(value.invalid_as(amount.to_string(), sentence));
            }
        },
        errors,
    );
    if within {
        for (index, value) in values.items().enumerate() {
            let amount = amounts[index].value();
            if amounts[..index].iter().any(|before| before.value() == amount) {
                errors.push(value.duplicate_as(amount.to_string()));
            }
        }
    }
    if !within || !amounts.contains(&default) {
        errors.push(
            values
                .invalid_as(default.to_string(), "default value is not valid according to the requestPolicy"),
        );
    }
}

fn range(range: &Node<'_, '_>, default: Quantity, whole: Quantity, errors: &mut Errors) {
    let (low, high, step) = (range.at("min"), range.at("max"), range.at("step"));
    let Some(min) = quantity_of(range.value, "min") else {
        return errors.push(low.required("required when validRange is defined"));
    };
    let max = quantity_of(range.value, "max");
    let mut refuse = |holds: bool, at: &Node<'_, '_>, shown: Quantity, sentence: String| {
        if holds {
            errors.push(at.invalid_as(shown.to_string(), sentence));
        }
    };
    refuse(min > whole, &low, min, format!("min is larger than capacity value: {whole}"));
    refuse(default < min, &low, default, format!("default is less than min: {min}"));
    if let Some(max) = max {
        refuse(min > max, &high, min, format!("min is larger than max: {max}"));
        refuse(max > whole, &high, max, format!("max is larger than capacity value: {whole}"));
        refuse(default > max, &high, default, format!("default is more than max: {max}"));
    }
    if let Some(size) = quantity_of(range.value, "step").filter(|size| size.value() != 0) {
        let first = min + size;
        refuse(
            first > whole,
            &step,
            size,
            format!("one step {first} is larger than capacity value: {whole}"),
        );
        for amount in [Some(default), max].into_iter().flatten() {
            let off = amount.value().saturating_sub(min.value()) % size.value() != 0;
            let sentence = format!("value is not a multiple of a given step ({size}) from ({min})");
            refuse(off, &step, amount, sentence);
        }
    }
}

fn taint(taint: &Node<'_, '_>, errors: &mut Errors) {
    let key = taint.at("key");
    validate_label_key(&key, key.text(), errors);
    taint.at("value").check_given(names::label_value, errors);
    taint.at("effect").must_be_among(&["NoExecute", "NoSchedule", "None"], errors);
}

fn consumed(consumed: &Node<'_, '_>, errors: &mut Errors) {
    consumed.at("counterSet").must_be(names::dns_label, errors);
    counters(&consumed.at("counters"), CONSUMED_COUNTERS_MAX, errors);
}

fn place(device: &Node<'_, '_>, names_nodes: bool, errors: &mut Errors) {
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when \
                       `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    if names_nodes {
        match &nodes(device, "must not be empty", errors)[..] {
            [] => errors.push(device.required(ONE)),
            [_] => {}
            said => errors.push(device.invalid_as(format!("{{{}}}", said.join(", ")), ONE)),
        }
    } else if ["nodeName", "nodeSelector", "allNodes"].iter().any(|field| device.at(field).is_set()) {
        errors.push(device.invalid_as(
            Value::Null,
            "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in \
             the ResourceSlice spec",
        ));
    }
}

/// Conditions that must hold before a pod is bound, and those that say it never will be.
pub(super) fn binding_conditions(device: &Node<'_, '_>, errors: &mut Errors) {
    let (needed, failures) = (device.at("bindingConditions"), device.at("bindingFailureConditions"));
    for conditions in [&needed, &failures] {
        slice(conditions, CONDITIONS_MAX, |one, errors| validate_label_key(one, one.text(), errors), errors);
    }
    needed.no_duplicates(errors);
    failures.no_duplicates(errors);
    for failure in failures.items().filter(|failure| needed.list().contains(failure.value)) {
        errors.push(failure.invalid("bindingFailureConditions must not overlap with bindingConditions"));
    }
    match (needed.list().is_empty(), failures.list().is_empty()) {
        (true, false) => errors.push(
            needed.invalid_as(json!([]), "bindingConditions are required to use bindingFailureConditions"),
        ),
        (false, true) => errors.push(
            failures.invalid_as(json!([]), "bindingFailureConditions are required to use bindingConditions"),
        ),
        _ => {}
    }
}
