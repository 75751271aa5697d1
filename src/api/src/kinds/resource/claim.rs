//! What a claim asks for, and the classes it asks from. Whether selectors compile is not known here.

use serde_json::Value;

use super::super::core::pod::is_extended;
use super::names_of::{Requests, fully_qualified, named, raw_object, slice};
use crate::field::{Errors, Node};
use crate::kinds::storage::driver_name;
use crate::metadata::{validate_annotations, validate_label_key, validate_labels};
use crate::names;

/// Requests, constraints, configurations and selectors: so many of each.
const MAX: usize = 32;
const ALTERNATIVES_MAX: usize = 8;
const EXPRESSION_MAX: usize = 10 * 1024;
const PARAMETERS_MAX: usize = 10 * 1024;

pub(super) fn class(class: &Node<'_, '_>, errors: &mut Errors) {
    let spec = class.at("spec");
    slice(&spec.at("selectors"), MAX, selector, errors);
    slice(&spec.at("config"), MAX, configuration, errors);
    let extended = spec.at("extendedResourceName");
    if extended.is_set() && !is_extended(extended.text()) {
        errors.push(extended.invalid("must be a valid extended resource name"));
    }
}

pub(super) fn template(template: &Node<'_, '_>, errors: &mut Errors) {
    let spec = template.at("spec");
    let metadata = spec.at("metadata");
    validate_annotations(&metadata.at("annotations"), errors);
    validate_labels(&metadata.at("labels"), errors);
    for (field, _) in metadata
        .entries()
        .filter(|(field, value)| !value.is_zero() && *field != "annotations" && *field != "labels")
    {
        errors.push(metadata.at(field).forbidden("cannot be set"));
    }
    self::spec(&spec.at("spec"), errors);
}

pub(super) fn spec(spec: &Node<'_, '_>, errors: &mut Errors) {
    let devices = spec.at("devices");
    let requests = Requests::of(devices.value);
    named(&devices.at("requests"), MAX, "name", request, errors);
    slice(&devices.at("constraints"), MAX, |one, errors| constraint(one, &requests, errors), errors);
    slice(
        &devices.at("config"),
        MAX,
        |config, errors| {
            requests.check_all(&config.at("requests"), errors);
            configuration(config, errors);
        },
        errors,
    );
}

fn request(request: &Node<'_, '_>, errors: &mut Errors) {
    const ONE: &str = "exactly one of `exactly` or `firstAvailable` is required";
    request.at("name").check(names::dns_label, errors);
    let (exactly, choice) = (request.at("exactly"), request.at("firstAvailable"));
    match (exactly.is_set(), !choice.list().is_empty()) {
        (false, false) => errors.push(request.required(ONE)),
        (true, true) => {
            errors.push(request.invalid_as(Value::Null, format!("{ONE}, but multiple fields are set")));
        }
        (true, false) => device(&exactly, errors),
        (false, true) => named(
            &choice,
            ALTERNATIVES_MAX,
            "name",
            |alternative, errors| {
                alternative.at("name").check(names::dns_label, errors);
                device(alternative, errors);
            },
            errors,
        ),
    }
}

fn device(request: &Node<'_, '_>, errors: &mut Errors) {
    request.at("deviceClassName").must_be(names::subdomain, errors);
    slice(&request.at("selectors"), MAX, selector, errors);
    let (mode, count) = (request.at("allocationMode"), request.at("count"));
    match (mode.text(), count.int().unwrap_or_default()) {
        ("All", 0) | ("ExactCount", 1..) => {}
        ("All", _) => errors.push(count.invalid("must not be specified when allocationMode is 'All'")),
        ("ExactCount", number) => errors.push(count.invalid_as(number, "must be greater than zero")),
        _ => errors.push(mode.unsupported(&["All", "ExactCount"])),
    }
    request.at("tolerations").items().for_each(|one| toleration(&one, errors));
}

fn selector(selector: &Node<'_, '_>, errors: &mut Errors) {
    let cel = selector.at("cel");
    match cel.is_set() {
        false => errors.push(cel.required("")),
        true if cel.at("expression").text().len() > EXPRESSION_MAX => {
            errors.push(cel.at("expression").too_long(EXPRESSION_MAX));
        }
        true => {}
    }
}

fn toleration(toleration: &Node<'_, '_>, errors: &mut Errors) {
    let (key, operator, value) = (toleration.at("key"), toleration.at("operator"), toleration.at("value"));
    if !key.text().is_empty() {
        validate_label_key(&key, key.text(), errors);
    }
    match operator.text() {
        "Exists" if !value.text().is_empty() => {
            errors.push(value.invalid("must be empty for operator `Exists`"));
        }
        "Exists" => {}
        "Equal" => value.check(names::label_value, errors),
        _ => operator.must_be_among(&["Equal", "Exists"], errors),
    }
    let effect = toleration.at("effect");
    if !effect.text().is_empty() {
        effect.may_be_among(&["NoExecute", "NoSchedule", "None"], errors);
    }
}

fn constraint(constraint: &Node<'_, '_>, requests: &Requests<'_>, errors: &mut Errors) {
    requests.check_all(&constraint.at("requests"), errors);
    let (same, unlike) = (constraint.at("matchAttribute"), constraint.at("distinctAttribute"));
    match (same.is_set(), unlike.is_set()) {
        (true, _) => fully_qualified(&same, errors),
        (false, true) => fully_qualified(&unlike, errors),
        (false, false) => errors.push(constraint.required(
            "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set",
        )),
    }
}

/// What a driver is told about a device.
pub(super) fn configuration(config: &Node<'_, '_>, errors: &mut Errors) {
    let opaque = config.at("opaque");
    if !opaque.is_set() {
        return errors.push(opaque.required(""));
    }
    driver_name(&opaque.at("driver"), errors);
    raw_object(&opaque.at("parameters"), PARAMETERS_MAX, errors);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::by_resource;

    #[test]
    fn what_a_claim_must_say() {
        let kind = by_resource("resource.k8s.io", "v1", "resourceclaims").unwrap();
        let found = |devices: Value| {
            let mut object =
                json!({"metadata": {"name": "c", "namespace": "n"}, "spec": {"devices": devices}});
            kind.default_object(&mut object);
            let errors = kind.validate_create(&object);
            errors.iter().map(|error| error.to_string().replacen("spec.devices.", "", 1)).collect::<Vec<_>>()
        };
        let request = json!({"name": "r", "exactly": {"deviceClassName": "c"}});
        for (devices, expected) in [
            (json!({"requests": [request]}), &[][..]),
            (
                json!({"requests": [{"name": "r"}]}),
                &["requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required"],
            ),
            (json!({"requests": [request, request]}), &["requests[1]: Duplicate value: \"r\""]),
            (
                json!({"requests": [{"name": "r", "exactly": {}}]}),
                &["requests[0].exactly.deviceClassName: Required value"],
            ),
            (
                json!({"requests": [{"name": "r", "exactly": {"deviceClassName": "c", "allocationMode": "All", "count": 2}}]}),
                &[
                    "requests[0].exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'",
                ],
            ),
            (
                json!({"requests": [{"name": "r", "exactly": {"deviceClassName": "c", "count": -1}}]}),
                &["requests[0].exactly.count: Invalid value: -1: must be greater than zero"],
            ),
            (
                json!({"requests": [request], "constraints": [{"requests": ["x"], "matchAttribute": "a"}]}),
                &[
                    "constraints[0].requests[0]: Invalid value: \"x\": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
                    "constraints[0].matchAttribute: Invalid value: \"a\": a fully qualified name must be a domain and a name separated by a slash",
                ],
            ),
            (json!({"requests": [request], "config": [{}]}), &["config[0].opaque: Required value"]),
            (
                json!({"requests": [request], "config": [{"requests": ["r", "r"], "opaque": {"driver": "a.b", "parameters": []}}]}),
                &[
                    "config[0].requests[1]: Duplicate value: \"r\"",
                    "config[0].opaque.parameters: Invalid value: \"<value omitted>\": must be a valid JSON object",
                ],
            ),
            (
                json!({"requests": [{"name": "r", "exactly": {"deviceClassName": "c", "selectors": [{}], "tolerations": [{"operator": "Exists", "value": "v", "effect": "X"}]}}]}),
                &[
                    "requests[0].exactly.selectors[0].cel: Required value",
                    "requests[0].exactly.tolerations[0].value: Invalid value: \"v\": must be empty for operator `Exists`",
                    "requests[0].exactly.tolerations[0].effect: Unsupported value: \"X\": supported values: \"NoExecute\", \"NoSchedule\", \"None\"",
                ],
            ),
        ] {
            assert_eq!(found(devices.clone()), expected, "{devices}");
        }
    }
}
