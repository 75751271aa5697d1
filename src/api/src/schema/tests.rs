//! The schemas against the published ones, and what decoding by them finds.

use std::fs;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn node(name: &str) -> Node<'static> {
    by_name(&format!("io.k8s.api.{name}")).expect("a built-in type")
}

fn decoded(name: &str, object: &Value) -> Value {
    decode(object.to_string().as_bytes(), node(name), &mut Strict::default()).expect("a good object")
}

fn refusal(name: &str, object: &Value) -> String {
    let result = decode(object.to_string().as_bytes(), node(name), &mut Strict::default());
    result.expect_err("a bad object").to_string()
}

fn findings(name: &str, json: &str) -> Vec<String> {
    let mut strict = Strict::default();
    decode(json.as_bytes(), node(name), &mut strict).expect("a good object");
    strict.into_findings()
}

#[test]
fn fields_carry_types_facts_and_descriptions() {
    let spec = node("core.v1.PodSpec");
    let containers = spec.field("containers").expect("a field");
    assert!(containers.required());
    assert_eq!(containers.node().patch().key, Some("name"));
    let Shape::List { items, list: ListKind::Keyed(keys) } = containers.node().shape() else { panic!() };
    assert_eq!(keys.iter().collect::<Vec<_>>(), ["name"]);
    assert_eq!(items.type_name(), Some("io.k8s.api.core.v1.Container"));
    let description = items.field("image").and_then(Field::description).expect("a description");
    assert!(description.starts_with("Container image name."), "{description}");
    let port = node("core.v1.ContainerPort");
    assert_eq!(port.field("protocol").and_then(Field::default), Some(json!("TCP")));
}

#[test]
fn every_description_unpacks() {
    let schema = builtin();
    for (name, node) in schema.definitions() {
        schema.description(name);
        // The field's own lookup unpacks a chunk each time: the first one of each type is enough.
        node.fields().next().map(Field::description);
    }
}

#[test]
fn unknown_and_duplicate_fields_are_found_where_upstream_finds_them() {
    let json = r#"{"metadata":{"labels":{"a":"1","a":"2"},"x":{"y":1,"y":2}},"spec":{"containers":[{"name":"c"},
        {"name":"d","imagee":"i","name":"e"}],"foo":1,"foo":2},"bar":null}"#;
    let found = findings("core.v1.Pod", json);
    let want = [
        "duplicate field \"metadata.labels.a\"",
        "unknown field \"metadata.x\"",
        "unknown field \"spec.containers[1].imagee\"",
        "duplicate field \"spec.containers[1].name\"",
        "unknown field \"spec.foo\"",
        "unknown field \"bar\"",
    ];
    assert_eq!(found, want);
}

#[test]
fn untyped_json_reports_duplicates_at_any_depth() {
    let mut strict = Strict::default();
    parse(br#"[{"op":"add","value":{"a":1,"a":2}}]"#, &mut strict).expect("JSON");
    assert_eq!(strict.findings(), ["duplicate field \"[0].value.a\""]);
}

#[test]
fn wrong_types_are_refused_in_upstreams_words() {
    let cases = [
        (
            json!({"spec": {"replicas": "3"}}),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            json!({"spec": {"template": {"spec": {"containers": {"name": "c"}}}}}),
            "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
        ),
        (
            json!({"metadata": {"labels": {"a": 1}}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            json!({"spec": {"replicas": 1.5}}),
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            json!({"spec": {"replicas": 3_000_000_000_u64}}),
            "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            json!({"spec": {"paused": "true"}}),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool",
        ),
        (json!([]), "json: cannot unmarshal array into Go value of type v1.Deployment"),
    ];
    for (object, message) in cases {
        assert_eq!(refusal("apps.v1.Deployment", &object), message);
    }
    assert_eq!(
        refusal("core.v1.Secret", &json!({"data": {"a": "aa!="}})),
        "illegal base64 data at input byte 2"
    );
}

#[test]
fn empty_values_come_back_as_from_a_go_struct() {
    let container = json!({"name": "c", "stdin": false, "image": "", "command": [], "ports": null,
        "livenessProbe": {}, "securityContext": {"privileged": false}, "env": [{"name": "A", "value": ""}]});
    let want = json!({"name": "c", "resources": {}, "livenessProbe": {}, "env": [{"name": "A"}],
        "securityContext": {"privileged": false}});
    assert_eq!(decoded("core.v1.Container", &container), want);
    let claim =
        decoded("core.v1.PersistentVolumeClaimSpec", &json!({"storageClassName": "", "volumeName": ""}));
    assert_eq!(claim, json!({"storageClassName": "", "resources": {}}));
    let labels = json!({"matchLabels": {"a": "", "b": null}});
    assert_eq!(
        decoded("apps.v1.DeploymentSpec", &json!({"selector": labels}))["selector"]["matchLabels"],
        json!({"a": "", "b": ""})
    );
}

#[test]
fn times_are_stored_in_one_form() {
    let meta = |time: &str| json!({"metadata": {"creationTimestamp": time}});
    let object = decoded("core.v1.ConfigMap", &meta("2024-02-03T04:05:06.9+02:00"));
    assert_eq!(object["metadata"]["creationTimestamp"], "2024-02-03T02:05:06Z");
    let lease = decoded("coordination.v1.LeaseSpec", &json!({"renewTime": "2024-02-03T04:05:06Z"}));
    assert_eq!(lease["renewTime"], "2024-02-03T04:05:06.000000Z");
    for bad in ["", "yesterday", "2024-02-03", "2024-02-03 04:05:06Z", "2024-02-03T04:05:06"] {
        assert!(refusal("core.v1.ConfigMap", &meta(bad)).starts_with("parsing time"), "{bad}");
    }
}

#[test]
fn quantities_are_stored_in_one_form() {
    let limits = json!({"limits": {"cpu": "1000m", "memory": "1024Mi", "pods": 2, "x": "0.5"}});
    let want = json!({"limits": {"cpu": "1", "memory": "1Gi", "pods": "2", "x": "500m"}});
    assert_eq!(decoded("core.v1.ResourceRequirements", &limits), want);
    let bad = refusal("core.v1.ResourceRequirements", &json!({"limits": {"cpu": "lots"}}));
    assert!(bad.starts_with("quantities must match the regular expression"), "{bad}");
}

#[test]
fn either_takes_both() {
    let props = "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
    let node = by_name(&format!("io.k8s.{props}")).expect("a built-in type");
    let value =
        json!({"additionalProperties": false, "items": {"type": "string"}, "default": {"any": [null]}});
    assert_eq!(conform(value.clone(), node, &mut Strict::default()), Ok(value));
    let value = json!({"additionalProperties": {"items": [{"type": "string"}]}});
    assert_eq!(conform(value.clone(), node, &mut Strict::default()), Ok(value));
}

#[test]
fn deep_nesting_is_refused_from_bytes_and_from_trees() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse(deep.as_bytes(), &mut Strict::default()).is_err());
    let mut value = json!({});
    for _ in 0..MAX_DEPTH {
        value = json!({ "not": value });
    }
    let props = by_name("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");
    assert_eq!(
        conform(value, props.expect("a built-in type"), &mut Strict::default()),
        Err(DecodeError::Depth)
    );
}

/// The facts are our own; where the published ones are at hand, they must agree.
#[test]
fn facts_agree_with_the_published_document() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/facts/merge.tsv");
    let Ok(facts) = fs::read_to_string(path) else { return };
    for line in facts.lines().skip(1) {
        let mut columns = line.split('\t').map(str::to_owned);
        let mut next = || columns.next().unwrap_or_default();
        let (name, field, kind, keys, strategy, merge_key) = (next(), next(), next(), next(), next(), next());
        let Some(owner) = by_name(&name) else { continue };
        let node = if field.is_empty() { Some(owner) } else { owner.field(&field).map(Field::node) };
        // Fields that came and went between the two releases.
        let Some(node) = node else { continue };
        let (ours, ours_keys) = published(node);
        // The document says of a type what it says, of a field only where it differs.
        let ours = if kind.is_empty() && node.type_name().is_some() { String::new() } else { ours };
        // A `[]byte` is a list to Go only.
        let is_bytes = matches!(node.shape(), Shape::Scalar(_));
        let kind = if kind == "map-type=granular" || is_bytes { String::new() } else { kind };
        let kind = if matches!(node.shape(), Shape::List { .. }) && kind.is_empty() {
            "atomic".into()
        } else {
            kind
        };
        // Later releases made this list a map.
        if (name.as_str(), field.as_str())
            != ("io.k8s.api.core.v1.PodStatus", "nodeAllocatableResourceClaimStatuses")
        {
            assert_eq!((ours, ours_keys), (kind, keys), "{name} {field}");
        }
        assert_eq!(published_patch(node), (strategy, merge_key), "{name} {field}");
    }
}

fn published(node: Node<'_>) -> (String, String) {
    let (kind, keys) = match node.shape() {
        Shape::List { list: ListKind::Atomic, .. } => ("atomic", String::new()),
        Shape::List { list: ListKind::Set, .. } => ("set", String::new()),
        Shape::List { list: ListKind::Keyed(keys), .. } => ("map", keys.iter().collect::<Vec<_>>().join(",")),
        Shape::Map { atomic: true, .. } | Shape::Object { atomic: true, .. } => {
            ("map-type=atomic", String::new())
        }
        _ => ("", String::new()),
    };
    (kind.to_owned(), keys)
}

fn published_patch(node: Node<'_>) -> (String, String) {
    let patch = node.patch();
    let flags = [(patch.merge, "merge"), (patch.replace, "replace"), (patch.retain_keys, "retainKeys")];
    let flags: Vec<&str> = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    (flags.join(","), patch.key.unwrap_or_default().to_owned())
}

/// Objects near enough to Pods to exercise the schema.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof!["[a-z]{0,4}", "[0-9]{1,3}m?", Just("2024-01-02T03:04:05Z".to_owned())]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any_key(), inner, 0..6)
                .prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

pub(crate) fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "metadata",
            "labels",
            "finalizers",
            "spec",
            "containers",
            "name",
            "image",
            "ports",
            "containerPort",
            "protocol",
            "env",
            "value",
            "volumes",
            "emptyDir",
            "status",
            "conditions",
            "type",
            "nodeSelector",
            "$patch",
            "$retainKeys",
            "$setElementOrder/containers",
            "$deleteFromPrimitiveList/finalizers",
            "resources",
            "limits",
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,3}",
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes, node("core.v1.Pod"), &mut Strict::default());
        let _ = parse(&bytes, &mut Strict::default());
    }

    #[test]
    fn bytes_and_trees_decode_alike(value in any_json()) {
        let pod = node("core.v1.Pod");
        let (mut bytes, mut tree) = (Strict::default(), Strict::default());
        let from_bytes = decode(value.to_string().as_bytes(), pod, &mut bytes);
        prop_assert_eq!(&from_bytes, &conform(value, pod, &mut tree));
        prop_assert_eq!(bytes.findings(), tree.findings());
    }

    #[test]
    fn decoding_twice_changes_nothing_more(value in any_json()) {
        let pod = node("core.v1.Pod");
        if let Ok(once) = conform(value, pod, &mut Strict::default()) {
            let mut strict = Strict::default();
            prop_assert_eq!(conform(once.clone(), pod, &mut strict), Ok(once));
            prop_assert!(strict.findings().is_empty());
        }
    }
}
