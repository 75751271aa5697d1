//! Rules of a schema, level by level.

use std::collections::BTreeSet;

use serde_json::Value;

use super::structural;
use crate::field::{Errors, Node};
use crate::value::{at, flag, is_zero, list, text};

/// What may stand at the root of a schema whose status is judged apart, as upstream's structure calls it.
const AT_ROOT: &str = "[Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations]";
const UNKNOWN: &str = "x-kubernetes-preserve-unknown-fields";
const VALIDATIONS: &str = "x-kubernetes-validations";
const LIST_TYPE: &str = "x-kubernetes-list-type";
const LIST_KEYS: &str = "x-kubernetes-list-map-keys";
const MAP_TYPE: &str = "x-kubernetes-map-type";
/// The fields of that structure that come before `type`.
const BEFORE_TYPE: [&str; 3] = ["id", "$schema", "$ref"];

pub(super) fn validate(schema: &Node<'_, '_>, has_status: bool, errors: &mut Errors) {
    if !schema.is_set() {
        return;
    }
    if has_status {
        root_of_two(schema, errors);
    }
    if schema.at("nullable").flag() {
        errors.push(schema.at("nullable").forbidden("nullable cannot be true at the root"));
    }
    if !any(schema.value, &unsupported) {
        structural::validate(schema, errors);
    }
    Level { root: true, metadata: false, no_default: None }.judge(schema, errors);
}

/// The status is cut out of the schema and judged apart: what stands at the root must not speak of both.
fn root_of_two(schema: &Node<'_, '_>, errors: &mut Errors) {
    let stray = |field: &str| !at_root(field) && !is_zero(at(schema.value, field));
    let kind = schema.at("type");
    let said = |errors: &mut Errors| {
        errors.push(schema.invalid(format!(
            "only {AT_ROOT} fields are allowed at the root of the schema if the status subresource is enabled"
        )));
    };
    if BEFORE_TYPE.iter().any(|field| stray(field)) {
        said(errors);
    } else if !kind.is_zero() && kind.text() != "object" {
        errors.push(kind.invalid(
            "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled",
        ));
    } else if schema.value.as_object().into_iter().flatten().any(|(field, _)| stray(field)) {
        said(errors);
    }
}

fn at_root(field: &str) -> bool {
    let go = match field {
        UNKNOWN => "XPreserveUnknownFields",
        VALIDATIONS => "XValidations",
        _ => field,
    };
    AT_ROOT.trim_matches(['[', ']']).split(' ').any(|allowed| allowed.eq_ignore_ascii_case(go))
}

/// Elements of JSON schema that these schemas do not have.
const UNSUPPORTED: [&str; 6] =
    ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"];

fn unsupported(schema: &Value) -> bool {
    UNSUPPORTED.iter().any(|field| is_unsupported(schema, field)) || at(schema, "items").is_array()
}

fn is_unsupported(schema: &Value, field: &str) -> bool {
    let value = schema.get(field).unwrap_or(&Value::Null);
    match field {
        "id" | "patternProperties" | "definitions" => !is_zero(value),
        _ => !value.is_null(),
    }
}

/// Whether `test` holds anywhere in a schema.
fn any(schema: &Value, test: &dyn Fn(&Value) -> bool) -> bool {
    let one = |field: &str| schema.get(field).is_some_and(|inner| inner.is_object() && any(inner, test));
    let each = |field: &str| list(schema, field).iter().any(|inner| any(inner, test));
    test(schema)
        || ["items", "not", "additionalProperties"].into_iter().any(one)
        || ["allOf", "anyOf", "oneOf"].into_iter().any(each)
        || crate::value::members(schema, "properties").any(|(_, inner)| any(inner, test))
}

/// Where in an object the schema stands.
#[derive(Clone, Copy)]
struct Level<'l> {
    root: bool,
    /// In what describes the object's metadata.
    metadata: bool,
    /// Why there may be no defaults here.
    no_default: Option<&'l str>,
}

impl Level<'_> {
    fn judge(self, schema: &Node<'_, '_>, errors: &mut Errors) {
        if !schema.is_set() {
            return;
        }
        self.elements(schema, errors);
        if schema.at("uniqueItems").flag() {
            errors.push(schema.at("uniqueItems").forbidden(
                "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
            ));
        }
        let inner = Self { root: false, ..self };
        inner.additional(schema, errors);
        self.properties(schema, errors);
        inner.judge(&schema.at("not"), errors);
        for junctor in ["allOf", "oneOf", "anyOf"] {
            schema.at(junctor).items().for_each(|schema| inner.judge(&schema, errors));
        }
        let items = schema.at("items");
        match items.value.is_array() {
            true => items.items().for_each(|schema| inner.judge(&schema, errors)),
            false => inner.judge(&items, errors),
        }
        extensions(schema, errors);
        lists(schema, errors);
        expressions(&schema.at(VALIDATIONS), errors);
    }

    /// Elements that are not there, or not here.
    fn elements(self, schema: &Node<'_, '_>, errors: &mut Errors) {
        const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
        let kind = schema.at("type");
        if !kind.is_zero() && !TYPES.contains(&kind.text()) {
            errors.push(kind.unsupported(&TYPES));
        }
        if let (true, Some(why)) = (schema.at("default").is_set(), self.no_default) {
            errors.push(schema.at("default").forbidden(format!("must not be set {why}")));
        }
        for field in UNSUPPORTED.iter().filter(|field| is_unsupported(schema.value, field)) {
            errors.push(schema.at(field).forbidden(format!("{field} is not supported")));
        }
        if kind.text() == "null" {
            errors.push(kind.forbidden("type cannot be set to null, use nullable as an alternative"));
        }
        if !schema.at("items").list().is_empty() {
            errors.push(schema.at("items").forbidden("items must be a schema object and not an array"));
        }
        let embedded = schema.at("x-kubernetes-embedded-resource");
        if self.metadata && embedded.flag() {
            errors.push(embedded.forbidden("must not be used inside of resource meta"));
        }
    }

    fn additional(self, schema: &Node<'_, '_>, errors: &mut Errors) {
        let additional = schema.at("additionalProperties");
        if !additional.is_set() {
            return;
        }
        if !schema.at("properties").is_zero() && *additional.value != Value::Bool(true) {
            errors.push(additional.forbidden("additionalProperties and properties are mutual exclusive"));
        }
        let why = "inside additionalProperties applying to object metadata";
        let no_default = if self.metadata { Some(why) } else { self.no_default };
        if additional.value.is_object() {
            Level { no_default, ..self }.judge(&additional, errors);
        }
    }

    fn properties(self, schema: &Node<'_, '_>, errors: &mut Errors) {
        for (name, property) in schema.at("properties").entries() {
            let describes = matches!(name.as_str(), "metadata" | "kind" | "apiVersion")
                && (self.root || flag(schema.value, "x-kubernetes-embedded-resource"));
            let why = format!("in top-level {name}");
            Level {
                root: false,
                metadata: self.metadata || describes,
                no_default: if describes && self.root { Some(&why) } else { self.no_default },
            }
            .judge(&property, errors);
        }
    }
}

/// A type asked for by one of the extensions.
fn must_have_type(schema: &Node<'_, '_>, expected: &str, extension: &str, errors: &mut Errors) {
    let kind = schema.at("type");
    let detail = format!("must be {expected} if {extension} is specified");
    match kind.text() {
        "" => errors.push(kind.required(detail)),
        text if text == expected => {}
        _ => errors.push(kind.invalid(detail)),
    }
}

fn extensions(schema: &Node<'_, '_>, errors: &mut Errors) {
    let (unknown, map) = (schema.at(UNKNOWN), schema.at(MAP_TYPE));
    if *unknown.value == Value::Bool(false) {
        errors.push(unknown.invalid("must be true or undefined"));
    }
    if map.is_set() {
        must_have_type(schema, "object", MAP_TYPE, errors);
        map.may_be_among(&["atomic", "granular"], errors);
    }
}

fn lists(schema: &Node<'_, '_>, errors: &mut Errors) {
    let (kind, keys) = (schema.at(LIST_TYPE), schema.at(LIST_KEYS));
    if kind.is_set() {
        match text(schema.value, "type") {
            "array" if kind.text() == "set" => set(&schema.at("items"), errors),
            "array" => {}
            _ => must_have_type(schema, "array", LIST_TYPE, errors),
        }
        kind.may_be_among(&["atomic", "set", "map"], errors);
    }
    if !keys.list().is_empty() && kind.text() != "map" {
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.push(if kind.is_set() { kind.invalid(detail) } else { kind.required(detail) });
    }
    if kind.text() == "map" {
        map(schema, errors);
    }
    if matches!(kind.text(), "set" | "map") && schema.at("items").value.is_object() {
        items(schema, kind.text(), errors);
    }
}

/// The items of a set are compared as a whole.
fn set(item: &Node<'_, '_>, errors: &mut Errors) {
    let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let (list, map) = (item.at(LIST_TYPE), item.at(MAP_TYPE));
    match text(item.value, "type") {
        "array" if list.is_set() && list.text() != "atomic" => errors.push(list.invalid(detail)),
        "object" if map.text() != "atomic" => errors.push(map.invalid_as(list.value.clone(), detail)),
        _ => {}
    }
}

fn map(schema: &Node<'_, '_>, errors: &mut Errors) {
    let (keys, item) = (schema.at(LIST_KEYS), schema.at("items"));
    if keys.list().is_empty() {
        errors.push(keys.required("must not be empty if x-kubernetes-list-type is map"));
    }
    if !item.is_set() {
        return errors.push(item.required("must have a schema if x-kubernetes-list-type is map"));
    }
    if !item.value.is_object() {
        return errors.push(item.invalid("must only have a single schema if x-kubernetes-list-type is map"));
    }
    let kind = item.at("type");
    if kind.text() != "object" {
        return errors.push(
            kind.invalid_as(kind.text(), "must be object if parent array's x-kubernetes-list-type is map"),
        );
    }
    let mut seen = BTreeSet::new();
    for key in keys.items().map(|key| key.text()) {
        let properties = item.at("properties");
        match properties.value.get(key) {
            Some(property) if matches!(text(property, "type"), "array" | "object") => {
                let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                errors.push(properties.key(key).at("type").invalid_as(kind.text(), detail));
            }
            Some(_) => {}
            None => errors.push(keys.invalid("entries must all be names of item properties")),
        }
        if !seen.insert(key) {
            errors.push(keys.invalid("must not contain duplicate entries"));
        }
    }
}

/// What tells items apart is always there.
fn items(schema: &Node<'_, '_>, kind: &str, errors: &mut Errors) {
    let item = schema.at("items");
    if item.at("nullable").flag() {
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {kind}");
        errors.push(item.at("nullable").forbidden(detail));
    }
    if kind != "map" {
        return;
    }
    let properties = item.at("properties");
    for key in list(schema.value, LIST_KEYS).iter().filter_map(Value::as_str) {
        let property = properties.key(key);
        let always = list(item.value, "required").iter().any(|required| required == key);
        if !property.is_set() {
            continue;
        }
        if !always && !property.at("default").is_set() {
            errors.push(property.at("default").required(
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            ));
        }
        if property.at("nullable").flag() {
            errors.push(
                property
                    .at("nullable")
                    .forbidden("this property is in x-kubernetes-list-map-keys, so it cannot be nullable"),
            );
        }
    }
}

const REASONS: [&str; 4] =
    ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// What stands around the expressions; they are compiled where they are run.
fn expressions(rules: &Node<'_, '_>, errors: &mut Errors) {
    let broken = |text: &str| text.contains(['\n', '\r']);
    for rule in rules.items() {
        let (expression, message) = (rule.at("rule"), rule.at("message"));
        let said = message.text().trim();
        if expression.text().trim().is_empty() {
            errors.push(expression.required("rule is not specified"));
        } else if !message.text().is_empty() && said.is_empty() {
            errors.push(message.invalid("message must be non-empty if specified"));
        } else if broken(said) {
            errors.push(message.invalid("message must not contain line breaks"));
        } else if broken(expression.text().trim()) && said.is_empty() {
            errors.push(message.required("message must be specified if rule contains line breaks"));
        }
        let computed = rule.at("messageExpression");
        if !computed.text().is_empty() && computed.text().trim().is_empty() {
            errors.push(computed.required("messageExpression must be non-empty if specified"));
        }
        rule.at("reason").may_be_among(&REASONS, errors);
        let path = rule.at("fieldPath");
        if !path.text().is_empty() && path.text().trim().is_empty() {
            errors.push(path.invalid("fieldPath must be non-empty if specified"));
        }
        if broken(path.text()) {
            errors.push(path.invalid("fieldPath must not contain line breaks"));
        }
    }
}
