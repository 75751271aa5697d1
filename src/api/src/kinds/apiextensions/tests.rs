//! Each line: what is changed in a valid definition, and what is said of it then.

use serde_json::{Value, json};

use super::rules;
use crate::field::{Errors, Node};
use crate::value::at;

fn valid() -> Value {
    json!({
        "metadata": {"name": "tools.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "tools", "singular": "tool", "kind": "Tool", "listKind": "ToolList"},
            "conversion": {"strategy": "None"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {
                    "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}}},
                    "spec": {"type": "object", "properties": {
                        "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                        "any": {"x-kubernetes-preserve-unknown-fields": true},
                        "labels": {"type": "object", "additionalProperties": {"type": "string", "default": "x"}},
                    }},
                },
            }}}],
        },
        "status": {"storedVersions": ["v1"]},
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut definition = valid();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    definition.pointer_mut(parent).unwrap()[field] = value;
    definition
}

fn found(definition: &Value) -> Vec<String> {
    let mut errors = Errors::new();
    rules::validate(&Node::root(definition), &mut errors);
    errors.iter().map(ToString::to_string).collect()
}

/// Held against the end of a message where it begins with `…`.
fn same(found: &str, expected: &str) -> bool {
    expected.strip_prefix('…').map_or(found == expected, |end| found.ends_with(end))
}

fn check(definition: &Value, expected: &[&str]) {
    let found = found(definition);
    let agree = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| same(found, expected));
    assert!(agree, "{found:#?}\nexpected {expected:#?}");
}

#[test]
fn beside_the_schema() {
    check(&valid(), &[]);
    let name =
        "metadata.name: Invalid value: \"tools.example.com\": must be spec.names.plural+\".\"+spec.group";
    let label = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    for (pointer, value, expected) in [
        (
            "/spec/group",
            json!("example"),
            &[name, "spec.group: Invalid value: \"example\": should be a domain with at least one dot"][..],
        ),
        ("/spec/group", json!(""), &[name, "spec.group: Required value"]),
        (
            "/spec/scope",
            json!("X"),
            &["spec.scope: Unsupported value: \"X\": supported values: \"Cluster\", \"Namespaced\""],
        ),
        (
            "/spec/names/singular",
            json!("T"),
            &[&*format!("spec.names.singular: Invalid value: \"T\": {label}")],
        ),
        (
            "/spec/names/kind",
            json!("T_"),
            &[&*format!(
                "spec.names.kind: Invalid value: \"T_\": may have mixed case, but should otherwise match: {label}"
            )],
        ),
        (
            "/spec/names/listKind",
            json!("Tool"),
            &["spec.names.listKind: Invalid value: \"Tool\": kind and listKind may not be the same"],
        ),
        ("/spec/names/listKind", json!(""), &["spec.names.listKind: Required value"]),
        (
            "/spec/names/shortNames",
            json!(["a", "B"]),
            &[&*format!("spec.names.shortNames[1]: Invalid value: \"B\": {label}")],
        ),
        (
            "/spec/names/categories",
            json!(["B"]),
            &[&*format!("spec.names.categories[0]: Invalid value: \"B\": {label}")],
        ),
        (
            "/spec/preserveUnknownFields",
            json!(true),
            &[
                "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
            ],
        ),
        (
            "/status/storedVersions",
            json!([]),
            &["status.storedVersions: Invalid value: []: must have at least one stored version"],
        ),
        (
            "/status/storedVersions",
            json!(["v0"]),
            &[
                "status.storedVersions: Invalid value: [\"v0\"]: must have the storage version v1",
                "status.storedVersions[0]: Invalid value: \"v0\": missing from spec.versions; v0 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v0 and removes v0 from status.storedVersions",
            ],
        ),
        (
            "/spec/versions/0/storage",
            json!(false),
            &["…: must have exactly one version marked as storage version"],
        ),
        (
            "/spec/versions/0/schema",
            json!(null),
            &["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"],
        ),
        (
            "/spec/versions/0/deprecationWarning",
            json!("x"),
            &[
                "spec.versions[0].deprecationWarning: Invalid value: \"x\": can only be set for deprecated versions",
            ],
        ),
        (
            "/spec/versions/0/additionalPrinterColumns",
            json!([{"type": "text", "format": "f", "jsonPath": "a"}]),
            &[
                "spec.additionalPrinterColumns[0].name: Required value",
                "spec.additionalPrinterColumns[0].type: Invalid value: \"text\": must be one of boolean,date,integer,number,string",
                "spec.additionalPrinterColumns[0].format: Invalid value: \"f\": must be one of byte,date,date-time,double,float,int32,int64,password",
                "spec.additionalPrinterColumns[0].JSONPath: Invalid value: \"a\": must be a simple json path starting with .",
            ],
        ),
        (
            "/spec/versions/0/subresources",
            json!({"scale": {"specReplicasPath": ".x", "labelSelectorPath": ".x"}}),
            &[
                "spec.subresources.scale.specReplicasPath: Invalid value: \".x\": should be a json path under .spec",
                "spec.subresources.scale.statusReplicasPath: Required value",
                "spec.subresources.scale.labelSelectorPath: Invalid value: \".x\": should be a json path under either .spec or .status",
            ],
        ),
        (
            "/spec/versions/0/selectableFields",
            json!([{"jsonPath": ".spec.labels"}, {"jsonPath": ""}]),
            &[
                "spec.selectableFields[0].jsonPath: Invalid value: \".spec.labels\": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
                "spec.selectableFields[1].jsonPath: Required value",
            ],
        ),
        (
            "/spec/conversion",
            json!({"strategy": "Webhook"}),
            &[
                "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
                "spec.conversion.conversionReviewVersions: Required value",
            ],
        ),
        (
            "/spec/conversion",
            json!({"strategy": "Webhook", "webhook": {"clientConfig": {}, "conversionReviewVersions": ["v2"]}}),
            &[
                "spec.conversion.webhookClientConfig: Required value: exactly one of url or service is required",
                "spec.conversion.conversionReviewVersions: Invalid value: [\"v2\"]: must include at least one of v1, v1beta1",
            ],
        ),
        (
            "/spec/conversion",
            json!({"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}}),
            &[
                "spec.conversion.conversionReviewVersions: Forbidden: should not be set when strategy is not set to Webhook",
            ],
        ),
    ] {
        check(&with(pointer, value), expected);
    }
}

#[test]
fn whoever_converts_listens_on_443() {
    let service = json!({"namespace": "n", "name": "s"});
    let webhook = json!({"clientConfig": {"service": service}, "conversionReviewVersions": ["v1"]});
    let mut definition = with("/spec/conversion", json!({"strategy": "Webhook", "webhook": webhook}));
    super::defaults(&mut definition);
    assert_eq!(at(&definition, "spec.conversion.webhook.clientConfig.service.port"), 443);
    check(&definition, &[]);
}

#[test]
fn versions_that_differ_are_spoken_of_one_by_one() {
    let mut definition = valid();
    let mut second = at(&definition, "spec.versions")[0].clone();
    second["storage"] = json!(false);
    second["schema"]["openAPIV3Schema"]["type"] = json!("array");
    definition["spec"]["versions"].as_array_mut().unwrap().push(second);
    check(
        &definition,
        &[
            "spec.versions[1].schema.openAPIV3Schema.items: Required value: must be specified",
            "spec.versions[1].schema.openAPIV3Schema.type: Invalid value: \"array\": must be object at the root",
            "…: must contain unique version names",
        ],
    );
}

#[test]
fn schemas() {
    const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    const ROOT: &str = "/spec/versions/0/schema/openAPIV3Schema";
    for (parent, field, value, expected) in [
        (ROOT, "nullable", json!(true), &[".nullable: Forbidden: nullable cannot be true at the root"][..]),
        (ROOT, "type", json!(""), &[".type: Required value: must not be empty at the root"]),
        (
            ROOT,
            "additionalProperties",
            json!({"type": "string"}),
            &[
                ".additionalProperties: Forbidden: must not be used at the root",
                ".additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
            ],
        ),
        (
            SPEC,
            "type",
            json!("text"),
            &[
                ".properties[spec].type: Unsupported value: \"text\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"",
            ],
        ),
        (
            SPEC,
            "uniqueItems",
            json!(true),
            &[
                ".properties[spec].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
            ],
        ),
        (SPEC, "$ref", json!("x"), &[".properties[spec].$ref: Forbidden: $ref is not supported"]),
        (
            SPEC,
            "properties",
            json!({"a": {}}),
            &[
                ".properties[spec].properties[a].type: Required value: must not be empty for specified object fields",
            ],
        ),
        (
            SPEC,
            "properties",
            json!({"a": {"type": "array"}}),
            &[".properties[spec].properties[a].items: Required value: must be specified"],
        ),
        (
            SPEC,
            "properties",
            json!({"a": {"type": "array", "items": {}}}),
            &[
                ".properties[spec].properties[a].items.type: Required value: must not be empty for specified array items",
            ],
        ),
        (
            SPEC,
            "properties",
            json!({"a": {"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object", "properties": {"k": {"type": "string"}}}, "x-kubernetes-list-map-keys": ["k", "l"]}}),
            &[
                ".properties[spec].properties[a].x-kubernetes-list-map-keys: Invalid value: [\"k\",\"l\"]: entries must all be names of item properties",
                ".properties[spec].properties[a].items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            ],
        ),
        (
            SPEC,
            "properties",
            json!({"a": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object", "nullable": true}}}),
            &[
                ".properties[spec].properties[a].items.x-kubernetes-map-type: Invalid value: \"null\": must be atomic as item of a list with x-kubernetes-list-type=set",
                ".properties[spec].properties[a].items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is set",
            ],
        ),
        (
            SPEC,
            "x-kubernetes-list-type",
            json!("bag"),
            &[
                ".properties[spec].type: Invalid value: \"object\": must be array if x-kubernetes-list-type is specified",
                ".properties[spec].x-kubernetes-list-type: Unsupported value: \"bag\": supported values: \"atomic\", \"set\", \"map\"",
            ],
        ),
        (
            SPEC,
            "x-kubernetes-map-type",
            json!("loose"),
            &[
                ".properties[spec].x-kubernetes-map-type: Unsupported value: \"loose\": supported values: \"atomic\", \"granular\"",
            ],
        ),
        (
            SPEC,
            "x-kubernetes-preserve-unknown-fields",
            json!(false),
            &[
                ".properties[spec].x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined",
            ],
        ),
        (
            SPEC,
            "x-kubernetes-validations",
            json!([{"rule": " "}, {"rule": "a\nb"}, {"rule": "a", "message": " ", "reason": "X"}]),
            &[
                ".properties[spec].x-kubernetes-validations[0].rule: Required value: rule is not specified",
                ".properties[spec].x-kubernetes-validations[1].message: Required value: message must be specified if rule contains line breaks",
                ".properties[spec].x-kubernetes-validations[2].message: Invalid value: \" \": message must be non-empty if specified",
                ".properties[spec].x-kubernetes-validations[2].reason: Unsupported value: \"X\": supported values: \"FieldValueDuplicate\", \"FieldValueForbidden\", \"FieldValueInvalid\", \"FieldValueRequired\"",
            ],
        ),
        (
            SPEC,
            "anyOf",
            json!([{"properties": {"b": {"type": "string", "minLength": 1}}}, {"description": "x"}]),
            &[
                ".properties[spec].anyOf[0].properties[b].type: Forbidden: must be empty to be structural",
                ".properties[spec].anyOf[1].description: Forbidden: must be empty to be structural",
            ],
        ),
        (
            ROOT,
            "anyOf",
            json!([{"properties": {"b": {"minLength": 1}}}, {"properties": {"spec": {"minProperties": 1}}}]),
            &[
                ".properties[b]: Required value: because it is defined in spec.validation.openAPIV3Schema.anyOf[0].properties[b]",
            ],
        ),
        (SPEC, "x-kubernetes-embedded-resource", json!(true), &[]),
        (
            "/spec/versions/0/schema/openAPIV3Schema/properties/metadata",
            "description",
            json!("x"),
            &[
                ".properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
            ],
        ),
        (
            "/spec/versions/0/schema/openAPIV3Schema/properties/metadata",
            "default",
            json!({}),
            &[".properties[metadata].default: Forbidden: must not be set in top-level metadata"],
        ),
    ] {
        let expected: Vec<String> =
            expected.iter().map(|text| format!("spec.validation.openAPIV3Schema{text}")).collect();
        check(
            &with(&format!("{parent}/{field}"), value),
            &expected.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
}

#[test]
fn with_a_status_of_its_own_the_root_says_little() {
    let mut definition = valid();
    definition["spec"]["versions"][0]["subresources"] = json!({"status": {}});
    check(&definition, &[]);
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["anyOf"] = json!([{"required": ["spec"]}]);
    check(
        &definition,
        &["…fields are allowed at the root of the schema if the status subresource is enabled"],
    );
}

#[test]
fn what_an_established_definition_keeps() {
    let changed = json!({"spec": {"group": "b", "scope": "Cluster", "names": {"plural": "b", "kind": "B"}}});
    for (established, expected) in [
        ("False", &["spec.group", "spec.names.plural"][..]),
        ("True", &["spec.scope", "spec.names.kind", "spec.group", "spec.names.plural"]),
    ] {
        let mut old = valid();
        old["status"]["conditions"] = json!([{"type": "Established", "status": established}]);
        let mut errors = Errors::new();
        rules::update(&Node::root(&changed), &old, &mut errors);
        assert_eq!(errors.iter().map(|error| &*error.field).collect::<Vec<_>>(), expected);
    }
}
