//! Whether a schema is structural: every field is described once outside of `allOf`, `anyOf`, `oneOf` and `not`, and what
//! stands within these only narrows it.

use serde_json::{Value, json};

use crate::field::{Errors, Node};
use crate::value::{at, is_zero, list, members};

const EMBEDDED: &str = "x-kubernetes-embedded-resource";
const UNKNOWN: &str = "x-kubernetes-preserve-unknown-fields";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    Field,
}

pub(super) fn validate(schema: &Node<'_, '_>, errors: &mut Errors) {
    let mut found = Errors::new();
    described(schema, Place::Root, &mut found);
    covered(schema, schema, &mut found);
    found.sort_by_cached_key(ToString::to_string);
    errors.append(&mut found);
}

/// A schema that describes a value.
fn described(schema: &Node<'_, '_>, place: Place, errors: &mut Errors) {
    let (items, properties, additional) =
        (schema.at("items"), schema.at("properties"), schema.at("additionalProperties"));
    match items.is_set() {
        true => described(&items, Place::Item, errors),
        false if schema.at("type").text() == "array" => errors.push(items.required("must be specified")),
        false => {}
    }
    properties.entries().for_each(|(_, property)| described(&property, Place::Field, errors));
    if additional.is_set() {
        if place == Place::Root {
            errors.push(additional.forbidden("must not be used at the root"));
        }
        if additional.value.is_object() {
            described(&additional, Place::Field, errors);
        }
        if schema.at(EMBEDDED).flag() {
            errors.push(additional.forbidden("must not be used if x-kubernetes-embedded-resource is set"));
        }
    }
    if schema.at(INT_OR_STRING).flag() {
        for other in [UNKNOWN, EMBEDDED].map(|field| schema.at(field)).iter().filter(|other| other.flag()) {
            errors.push(other.invalid("must be false if x-kubernetes-int-or-string is true"));
        }
    }
    narrowed(schema, is_either(at(schema.value, "anyOf")), is_either(first_of_all(schema.value)), errors);
    typed(schema, place, errors);
    whole_object(schema, place, errors);
}

fn typed(schema: &Node<'_, '_>, place: Place, errors: &mut Errors) {
    let kind = schema.at("type");
    let free = schema.at(INT_OR_STRING).flag() || schema.at(UNKNOWN).flag();
    match kind.text() {
        "object" => {}
        text if schema.at(EMBEDDED).flag() => {
            let detail = "must be object if x-kubernetes-embedded-resource is true";
            errors.push(if text.is_empty() { kind.required(detail) } else { kind.invalid(detail) });
        }
        "" if !free => errors.push(kind.required(match place {
            Place::Root => "must not be empty at the root",
            Place::Item => "must not be empty for specified array items",
            Place::Field => "must not be empty for specified object fields",
        })),
        _ => {}
    }
    if place == Place::Root && !matches!(kind.text(), "" | "object") {
        errors.push(kind.invalid("must be object at the root"));
    }
}

/// What every object has is described by nobody else.
fn whole_object(schema: &Node<'_, '_>, place: Place, errors: &mut Errors) {
    let (properties, embedded) = (schema.at("properties"), schema.at(EMBEDDED).flag());
    let whole = place == Place::Root || embedded;
    for name in ["kind", "apiVersion"] {
        let kind = properties.key(name);
        let kind = kind.at("type");
        if whole && properties.value.get(name).is_some() && kind.text() != "string" {
            errors.push(kind.invalid_as(kind.text(), "must be string"));
        }
    }
    let metadata = properties.key("metadata");
    if metadata.is_set() {
        let kind = metadata.at("type");
        if whole && kind.text() != "object" {
            errors.push(kind.invalid_as(kind.text(), "must be object"));
        }
        if place == Place::Root && says_more_than_names(metadata.value) {
            errors.push(metadata.forbidden(
                "must not specify anything other than name and generateName, but metadata is implicitly specified",
            ));
        }
    }
    if embedded && !schema.at(UNKNOWN).flag() && properties.is_zero() {
        errors.push(properties.required(
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
        ));
    }
}

fn says_more_than_names(metadata: &Value) -> bool {
    let names = |name: &str| matches!(name, "name" | "generateName");
    members(metadata, "properties").any(|(name, _)| !names(name))
        || metadata.as_object().into_iter().flatten().any(|(field, value)| {
            !matches!(field.as_str(), "type" | "default" | "properties") && !is_zero(value)
        })
}

/// `anyOf` of an integer and a string: the one place where types may stand within a junctor.
fn is_either(junctor: &Value) -> bool {
    *junctor == json!([{"type": "integer"}, {"type": "string"}])
}

fn first_of_all(schema: &Value) -> &Value {
    list(schema, "allOf").first().map_or(&Value::Null, |first| at(first, "anyOf"))
}

/// The junctors of a schema.
fn narrowed(schema: &Node<'_, '_>, skip_any: bool, skip_in_first: bool, errors: &mut Errors) {
    if !skip_any {
        schema.at("anyOf").items().for_each(|inner| narrowing(&inner, false, errors));
    }
    for (index, inner) in schema.at("allOf").items().enumerate() {
        narrowing(&inner, skip_in_first && index == 0, errors);
    }
    schema.at("oneOf").items().for_each(|inner| narrowing(&inner, false, errors));
    if schema.at("not").is_set() {
        narrowing(&schema.at("not"), false, errors);
    }
}

/// What describes a value, and so must not stand where values are only narrowed; with how upstream calls its absence.
const DESCRIBING: [(&str, &str); 13] = [
    ("type", "empty"),
    ("additionalProperties", "undefined"),
    ("default", "undefined"),
    ("title", "empty"),
    ("description", "empty"),
    ("nullable", "false"),
    ("externalDocs", "undefined"),
    (UNKNOWN, "false"),
    (EMBEDDED, "false"),
    (INT_OR_STRING, "false"),
    ("x-kubernetes-list-map-keys", "empty"),
    ("x-kubernetes-list-type", "undefined"),
    ("x-kubernetes-map-type", "undefined"),
];

fn narrowing(schema: &Node<'_, '_>, skip_any: bool, errors: &mut Errors) {
    narrowed(schema, skip_any, false, errors);
    if schema.at("items").value.is_object() {
        narrowing(&schema.at("items"), false, errors);
    }
    schema.at("properties").entries().for_each(|(_, property)| narrowing(&property, false, errors));
    for (field, absent) in DESCRIBING {
        let here = schema.at(field);
        let stands = if absent == "undefined" { here.is_set() } else { !here.is_zero() };
        if stands {
            errors.push(here.forbidden(format!("must be {absent} to be structural")));
        }
    }
    let rules = schema.at("x-kubernetes-validations");
    if !rules.is_zero() {
        errors.push(rules.forbidden("must be empty to be structural"));
    }
    let metadata = schema.at("properties");
    let metadata = metadata.key("metadata");
    if metadata.is_set() {
        errors.push(metadata.forbidden("must not be specified in a nested context"));
    }
}

/// Each field that a junctor of `narrowing` speaks of is described in `schema`.
fn covered(narrowing: &Node<'_, '_>, schema: &Node<'_, '_>, errors: &mut Errors) {
    if narrowing.at("not").is_set() {
        within(&narrowing.at("not"), schema, errors);
    }
    for junctor in ["allOf", "anyOf", "oneOf"] {
        narrowing.at(junctor).items().for_each(|inner| within(&inner, schema, errors));
    }
}

fn within(narrowing: &Node<'_, '_>, schema: &Node<'_, '_>, errors: &mut Errors) {
    if !schema.is_set() {
        return errors.push(schema.required(format!("because it is defined in {}", narrowing.path)));
    }
    covered(narrowing, schema, errors);
    if narrowing.at("items").value.is_object() {
        within(&narrowing.at("items"), &schema.at("items"), errors);
    }
    let described = schema.at("properties");
    for (name, property) in narrowing.at("properties").entries() {
        within(&property, &described.key(name), errors);
    }
}
