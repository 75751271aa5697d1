//! Messages as Go's libraries write them, and any object there and back.

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::*;
use crate::kinds;
use crate::schema::any::any_object;
use crate::schema::{Strict, by_name, conform};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// What becomes of an object on the way from a client's JSON to the store.
fn stored(object: Value) -> Value {
    let name = kinds::by_kind(
        object["apiVersion"].as_str().unwrap().rsplit_once('/').map_or("", |(group, _)| group),
        object["apiVersion"].as_str().unwrap().rsplit('/').next().unwrap(),
        object["kind"].as_str().unwrap(),
    );
    conform(object, by_name(name.unwrap().schema).unwrap(), &mut Strict::default()).unwrap()
}

fn there_and_back(object: &Value) -> Value {
    stored(decode(&encode(object.to_string().as_bytes()).unwrap()).unwrap())
}

/// What `kubectl create` of 1.36 sends, byte for byte.
const PAGE: &str = "6b3873000a0f0a0276311209436f6e6669674d6170121e0a140a047061676512001a0022002a0032003800420012060a01611201\
        621a002200";
const WEB: &str = "6b3873000a150a07617070732f7631120a4465706c6f796d656e7412ab010a1f0a0377656212001a0022002a003200380042005a\
        0a0a036170701203776562127a0801120c0a0a0a0361707012037765621a600a1c0a0012001a0022002a003200380042005a0a0a\
        036170701203776562124012220a056e67696e7812056e67696e782a0042006a007200800100880100900100a201001a00320042\
        004a0052005800600068008201008a01009a0100c2010022020a00280038001a0c0800100018002000280038001a002200";
const SERVICE: &str = "6b3873000a0d0a02763112075365727669636512630a1b0a017312001a0022002a003200380042005a080a036170701201731240\
        0a1b0a0738302d38303830120354435018502207080010903f1a00280012080a036170701201731a002209436c75737465724950\
        3a00420052005a00600068001a020a001a002200";

#[test]
fn messages_from_go_are_read_as_their_json_would_be() {
    let page =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "page"}, "data": {"a": "b"}});
    let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "strategy": {}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
                {"name": "nginx", "image": "nginx", "resources": {}}]}}}, "status": {}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "labels": {"app": "s"}},
        "spec": {"ports": [{"name": "80-8080", "protocol": "TCP", "port": 80, "targetPort": 8080}],
            "selector": {"app": "s"}, "type": "ClusterIP"}, "status": {"loadBalancer": {}}});
    for (sent, expected) in [(PAGE, page), (WEB, web), (SERVICE, service)] {
        assert_eq!(stored(decode(&hex(sent)).unwrap()), expected);
    }
}

#[test]
fn every_shape_survives() {
    for object in [
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "creationTimestamp": "2026-01-02T03:04:05Z",
            "managedFields": [{"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:data": {".": {}}}}]}, "data": {"k": "AAH/", "empty": ""}, "type": "Opaque"}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"replicas": 0,
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}}, "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"volumes": [{"name": "v", "emptyDir": {}},
                {"name": "c", "configMap": {"name": "x", "items": [{"key": "k", "path": "p", "mode": 420}]}}],
                "containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1500m"}},
                    "readinessProbe": {"httpGet": {"path": "/", "port": "web"}, "initialDelaySeconds": 3},
                    "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}]}}}, "status": {}}),
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a"},
            "spec": {"renewTime": "1960-01-02T03:04:05.678901Z", "leaseDurationSeconds": -5}}),
        json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "a"},
            "spec": {"request": "AA==", "signerName": "s", "extra": {"k": ["a", "b"]}}, "status": {}}),
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "a"},
            "spec": {"group": "g", "scope": "Namespaced", "names": {"plural": "p", "kind": "K"}, "versions": [{"name": "v1",
                "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "minimum": 1.5, "maximum": 7,
                    "default": {"a": [1, null]}, "items": {"type": "string"}, "additionalProperties": false,
                    "x-kubernetes-preserve-unknown-fields": true, "$ref": "r"}}}]}}),
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "a"}, "webhooks": [{"name": "w", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "clientConfig": {"caBundle": "AA=="}, "rules": [{"operations": ["*"], "apiGroups": [""],
                "apiVersions": ["v1"], "resources": ["pods"]}]}]}),
    ] {
        let object = stored(object);
        assert_eq!(there_and_back(&object), object);
    }
}

#[test]
fn a_list_has_its_items_and_an_event_its_object() {
    let list = json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"},
        "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]});
    let bytes = encode(list.to_string().as_bytes()).unwrap();
    let envelope = Envelope::open(&bytes).unwrap();
    assert_eq!((envelope.api_version, envelope.kind), ("v1", "ConfigMapList"));
    assert_eq!(envelope.raw, hex("1205 0a03 0a0161  1205 0a03 0a0162  0a03 1201 37"));
    let event = event("ADDED", br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#).unwrap();
    assert_eq!(event[..4], u32::try_from(event.len() - 4).unwrap().to_be_bytes());
    assert_eq!(event[4..11], *b"\x0a\x05ADDED");
    let object = event.windows(4).position(|window| window == b"k8s\0").unwrap();
    assert_eq!(decode(&event[object..]).unwrap()["metadata"]["name"], "a");
}

#[test]
fn what_is_no_message_is_refused() {
    assert!(matches!(decode(b"{}"), Err(Error::Prefix)));
    assert!(matches!(decode(b"k8s\0\x0a\xff"), Err(Error::Truncated)));
    assert!(matches!(decode(b"k8s\0"), Err(Error::Kind { .. })));
    assert!(matches!(encode(br#"{"kind":"APIGroup","apiVersion":"v9"}"#), Err(Error::Kind { .. })));
}

#[test]
fn any_object_of_any_kind_survives() {
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    for kind in kinds::all() {
        let Some(node) = kind.own_schema() else { continue };
        let round_trip = runner.run(&any_object(node, 6), |mut object| {
            object["apiVersion"] = kind.api_version().into();
            object["kind"] = kind.kind.into();
            let object = stored(object);
            prop_assert_eq!(there_and_back(&object), object);
            Ok(())
        });
        round_trip.unwrap_or_else(|error| panic!("{}: {error}", kind.kind));
    }
}

#[test]
fn a_message_may_nest_only_so_deep() {
    let wrapped = |tag: &[u8], message: Vec<u8>| {
        let mut outer = tag.to_vec();
        varint(&mut outer, message.len() as u64);
        outer.extend(message);
        outer
    };
    let definition = |depth: usize| {
        // spec.versions[].schema.openAPIV3Schema, and so many `not`s in it.
        let not = |inner, _| wrapped(&[0xe2, 0x01], inner);
        let schema = (0..depth).fold(Vec::new(), not);
        let spec = [0x0a, 0x22, 0x3a].into_iter().fold(schema, |inner, tag| wrapped(&[tag], inner));
        let raw = wrapped(&[0x12], spec);
        let kind = wrapped(&[0x12], b"CustomResourceDefinition".to_vec());
        let types = [wrapped(&[0x0a], b"apiextensions.k8s.io/v1".to_vec()), kind].concat();
        [b"k8s\0".to_vec(), wrapped(&[0x0a], types), wrapped(&[0x12], raw)].concat()
    };
    let shallow = decode(&definition(3)).unwrap();
    let schema = &shallow["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert!(schema["not"]["not"]["not"].is_object(), "{shallow}");
    assert!(matches!(decode(&definition(1000)), Err(Error::Depth)));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        at in 0_usize..200, byte: u8, cut in 0_usize..200, rest in prop::collection::vec(proptest::arbitrary::any::<u8>(), 0..64),
    ) {
        let mut bytes = hex(WEB);
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len() - cut.min(bytes.len() - 4));
        bytes.extend(rest);
        let _ = decode(&bytes);
    }
}
