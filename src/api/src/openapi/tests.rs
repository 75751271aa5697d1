//! The documents, held to what kubectl and other clients look for in them.

use serde_json::Value;

use super::*;
use crate::kinds;

fn resources() -> Vec<Resource<'static>> {
    kinds::all()
        .filter(|kind| !kind.version.contains("beta"))
        .map(|kind| Resource::of(kind).unwrap_or_else(|| panic!("{} has no schema", kind.kind)))
        .collect()
}

fn of_root(root: &str) -> Vec<Resource<'static>> {
    resources().into_iter().filter(|resource| resource.root() == root).collect()
}

fn document(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// Every `$ref` in the document leads somewhere.
fn check_references(value: &Value, document: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').expect("within the document");
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            members.values().for_each(|member| check_references(member, document));
        }
        Value::Array(items) => items.iter().for_each(|item| check_references(item, document)),
        _ => {}
    }
}

#[test]
fn the_index_names_every_group_version_with_a_hash() {
    let index = index(&resources(), "7");
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().expect("a URL");
    assert!(url.starts_with("/openapi/v3/apis/apps/v1?hash="), "{url}");
    assert!(index["paths"]["api/v1"].is_object());
    assert_ne!(hash(&of_root("api/v1")), hash(&of_root("apis/apps/v1")));
}

#[test]
fn v3_says_what_kubectl_looks_for() {
    let document = document(&v3(&of_root("apis/apps/v1")));
    check_references(&document, &document);
    let schemas = &document["components"]["schemas"];
    let deployment = &schemas["io.k8s.api.apps.v1.Deployment"];
    let gvk = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
    assert_eq!(deployment["x-kubernetes-group-version-kind"], json!([gvk]));
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    assert!(containers["description"].as_str().is_some_and(|text| text.starts_with("List of containers")));
    let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"], gvk);
    let parameters = patch["parameters"].as_array().expect("a list");
    for name in ["dryRun", "fieldValidation"] {
        assert!(parameters.iter().any(|parameter| parameter["in"] == "query" && parameter["name"] == name));
    }
    assert_eq!(schemas["io.k8s.api.apps.v1.DeploymentList"]["required"], json!(["items"]));
    let scale = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["get"];
    assert_eq!(scale["x-kubernetes-group-version-kind"]["kind"], "Scale");
}

#[test]
fn v2_is_whole_and_operations_have_names_of_their_own() {
    let document = document(&v2(&resources()));
    check_references(&document, &document);
    let mut seen = std::collections::BTreeSet::new();
    for operation in
        document["paths"].as_object().expect("paths").values().filter_map(Value::as_object).flatten()
    {
        let id = operation.1["operationId"].as_str().expect("a name").to_owned();
        assert!(seen.insert(id.clone()), "{id}");
    }
    assert!(seen.contains("patchAppsV1NamespacedDeploymentScale"));
    assert!(seen.contains("listCoreV1PodForAllNamespaces"));
}

#[test]
fn protobuf_holds_every_path_and_definition() {
    let resources = of_root("api/v1");
    let json = document(&v2(&resources));
    let document = fields(&v2_protobuf(&resources));
    assert_eq!(document[0], (1, b"2.0".to_vec()));
    let names = |field: u32, inner: u32| {
        let (_, message) = document.iter().find(|(number, _)| *number == field).expect("the field");
        let entries = fields(message).into_iter().filter(|(number, _)| *number == inner);
        entries
            .map(|(_, entry)| String::from_utf8(fields(&entry)[0].1.clone()).expect("a name"))
            .collect::<Vec<_>>()
    };
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(8, 2), keys(&json["paths"]));
    assert_eq!(names(9, 1), keys(&json["definitions"]));
}

/// The fields of a message: all of ours are length-delimited or flags.
fn fields(mut message: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let varint = |message: &mut &[u8]| {
        let mut value = 0_u64;
        for shift in (0..).step_by(7) {
            let (byte, rest) = message.split_first().expect("a whole message");
            *message = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
        }
        value
    };
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let length = usize::try_from(varint(&mut message)).expect("a length");
        let number = u32::try_from(key >> 3).expect("a field number");
        if key & 7 == 2 {
            let (field, rest) = message.split_at(length);
            fields.push((number, field.to_vec()));
            message = rest;
        } else {
            fields.push((number, Vec::new()));
        }
    }
    fields
}
