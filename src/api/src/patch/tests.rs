//! The three patches by example, and by properties of any objects.

#![expect(clippy::needless_pass_by_value, reason = "cases read better as literals")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::schema::by_name;
use crate::schema::tests::any_json;

fn smp(name: &str, original: Value, patch: &Value) -> Result<Value, Error> {
    strategic(original, patch, by_name(&format!("io.k8s.api.{name}")).expect("a built-in type"))
}

fn pod_spec(original: Value, patch: Value) -> Value {
    smp("core.v1.PodSpec", original, &patch).expect("a good patch")
}

fn refused(original: Value, patch: Value) -> String {
    smp("core.v1.PodSpec", original, &patch).expect_err("a bad patch").to_string()
}

fn containers(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"name": name, "image": "i"})).collect()
}

fn names(spec: &Value) -> Vec<&str> {
    let containers = spec["containers"].as_array().expect("a list");
    containers.iter().filter_map(|container| container["name"].as_str()).collect()
}

#[test]
fn merge_patch_removes_merges_and_replaces() {
    let cases = [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b", "b": 1}), json!({"a": null}), json!({"b": 1})),
        (json!({"a": [1]}), json!({"a": [2, null]}), json!({"a": [2, null]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": null, "d": {"e": null}}}), json!({"a": {"d": {}}})),
        (json!({"a": [1]}), json!({"a": {"b": 1}}), json!({"a": {"b": 1}})),
    ];
    for (original, patch, want) in cases {
        assert_eq!(merge(original, &patch), Ok(want));
    }
    assert_eq!(merge(json!({}), &json!([])).expect_err("no object").class(), Class::BadRequest);
}

#[test]
fn json_patch_does_what_the_rfc_says() {
    let cases = [
        (json!([{"op": "add", "path": "/b", "value": 1}]), json!({"a": [1, 2], "b": 1})),
        (json!([{"op": "add", "path": "/a/1", "value": 9}]), json!({"a": [1, 9, 2]})),
        (json!([{"op": "add", "path": "/a/-", "value": 9}]), json!({"a": [1, 2, 9]})),
        (json!([{"op": "add", "path": "/x~1y~0", "value": 0}]), json!({"a": [1, 2], "x/y~": 0})),
        (json!([{"op": "remove", "path": "/a/0"}]), json!({"a": [2]})),
        (json!([{"op": "replace", "path": "/a", "value": null}]), json!({"a": null})),
        (json!([{"op": "move", "from": "/a", "path": "/b"}]), json!({"b": [1, 2]})),
        (json!([{"op": "copy", "from": "/a/0", "path": "/b"}]), json!({"a": [1, 2], "b": 1})),
        (json!([{"op": "test", "path": "/a/0", "value": 1.0}]), json!({"a": [1, 2]})),
        (json!([{"op": "test", "path": "/none", "value": null}]), json!({"a": [1, 2]})),
        (json!([{"op": "replace", "path": "", "value": {}}]), json!({})),
    ];
    for (patch, want) in cases {
        assert_eq!(json(json!({"a": [1, 2]}), &patch), Ok(want), "{patch}");
    }
}

#[test]
fn json_patch_refuses_what_does_not_apply() {
    let cases = [
        (
            json!([{"op": "add", "path": "/x/y", "value": 1}]),
            "add operation does not apply: doc is missing path",
        ),
        (json!([{"op": "add", "path": "/a/3", "value": 1}]), "add operation does not apply: invalid index 3"),
        (
            json!([{"op": "add", "path": "/a/01", "value": 1}]),
            "add operation does not apply: invalid index 01",
        ),
        (json!([{"op": "add", "path": "/b"}]), "add operation has no valid value"),
        (json!([{"op": "remove", "path": "/b"}]), "remove operation does not apply: doc is missing key: /b"),
        (json!([{"op": "remove", "path": ""}]), "remove operation does not apply"),
        (
            json!([{"op": "replace", "path": "/b", "value": 1}]),
            "replace operation does not apply: doc is missing key",
        ),
        (json!([{"op": "test", "path": "/a/0", "value": 2}]), "testing value /a/0 failed: test failed"),
        (json!([{"op": "test", "path": "a", "value": 2}]), "test operation has no valid path"),
        (json!([{"op": "shout", "path": "/a"}]), "Unexpected kind: shout"),
        (json!(["add"]), "Unexpected kind: unknown"),
    ];
    for (patch, message) in cases {
        let error = json(json!({"a": [1, 2]}), &patch).expect_err("refused");
        assert!(error.to_string().starts_with(message), "{error}");
        assert_eq!(error.class(), Class::Unprocessable);
    }
}

#[test]
fn json_patch_is_bounded() {
    let many = vec![json!({"op": "test", "path": "/x", "value": null}); MAX_OPERATIONS + 1];
    let error = json(json!({}), &Value::Array(many)).expect_err("too many");
    assert_eq!(error.to_string(), "The allowed maximum operations in a JSON patch is 10000, got 10001");
    let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
    let bomb = Value::Array(vec![double; 100]);
    let error = json(json!({"a": ["x".repeat(1000)]}), &bomb).expect_err("too large or too deep");
    assert_eq!(error.class(), Class::TooLarge);
    let deeper = json!({"op": "move", "from": "/a", "path": "/b/a"});
    let wrap = json!({"op": "add", "path": "/b", "value": {}});
    let back = json!({"op": "move", "from": "/b", "path": "/a"});
    let tower: Vec<Value> =
        (0..MAX_DEPTH).flat_map(|_| [wrap.clone(), deeper.clone(), back.clone()]).collect();
    assert_eq!(json(json!({"a": {}}), &Value::Array(tower)), Err(Error::TooDeep));
}

#[test]
fn lists_merge_by_key_and_keep_their_order() {
    let spec = pod_spec(
        json!({"containers": containers(&["a", "b"])}),
        json!({"containers": [{"name": "b", "image": "j"}, {"name": "c", "tty": null}]}),
    );
    assert_eq!(
        spec,
        json!({"containers": [
        {"name": "a", "image": "i"}, {"name": "b", "image": "j"}, {"name": "c"}]})
    );
    // A list without a merge strategy is replaced.
    let spec = pod_spec(json!({"tolerations": [{"key": "a"}]}), json!({"tolerations": [{"key": "b"}]}));
    assert_eq!(spec, json!({"tolerations": [{"key": "b"}]}));
}

#[test]
fn set_element_order_orders_and_server_items_keep_their_neighbours() {
    let order = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Value>();
    let spec = pod_spec(
        json!({"containers": containers(&["a", "b", "c"])}),
        json!({"$setElementOrder/containers": order(&["c", "a"]), "containers": [{"name": "a", "image": "j"}]}),
    );
    assert_eq!(names(&spec), ["b", "c", "a"]);
    let spec = pod_spec(
        json!({"containers": containers(&["a", "b"])}),
        json!({
        "$setElementOrder/containers": order(&["b", "a"])}),
    );
    assert_eq!(names(&spec), ["b", "a"]);
    let message = refused(
        json!({"containers": containers(&["a"])}),
        json!({
        "$setElementOrder/containers": order(&["a"]), "containers": [{"name": "b"}]}),
    );
    assert!(message.contains("The order in patch list"), "{message}");
    let finalizers = smp(
        "core.v1.ConfigMap",
        json!({"metadata": {"finalizers": ["a", "b"]}}),
        &json!({"metadata": {
        "$setElementOrder/finalizers": ["c", "a"], "$deleteFromPrimitiveList/finalizers": ["b"], "finalizers": ["c"]}}),
    );
    assert_eq!(finalizers, Ok(json!({"metadata": {"finalizers": ["c", "a"]}})));
}

#[test]
fn patch_directives_delete_and_replace() {
    let original = json!({"containers": containers(&["a", "b"]), "nodeSelector": {"x": "1"}});
    let spec = pod_spec(original.clone(), json!({"containers": [{"name": "a", "$patch": "delete"}]}));
    assert_eq!(names(&spec), ["b"]);
    let spec = pod_spec(original.clone(), json!({"containers": [{"name": "z"}, {"$patch": "replace"}]}));
    assert_eq!(names(&spec), ["z"]);
    let spec = pod_spec(original.clone(), json!({"nodeSelector": {"$patch": "replace", "y": "2"}}));
    assert_eq!(spec["nodeSelector"], json!({"y": "2"}));
    let spec = pod_spec(original.clone(), json!({"nodeSelector": {"$patch": "delete"}}));
    assert_eq!(spec["nodeSelector"], json!({}));
    let message = refused(original, json!({"containers": [{"name": "a", "$patch": "frob"}]}));
    assert_eq!(message, "unknown patch type: frob in map: map[$patch:frob name:a]");
}

#[test]
fn retain_keys_clears_the_rest() {
    let strategy = |patch: Value| {
        let original = json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}});
        smp("apps.v1.DeploymentSpec", original, &json!({ "strategy": patch }))
    };
    let want = json!({"strategy": {"type": "Recreate"}});
    assert_eq!(strategy(json!({"$retainKeys": ["type"], "type": "Recreate"})), Ok(want));
    assert_eq!(strategy(json!({"$retainKeys": ["x"], "type": "Recreate"})), Err(Error::BadRetainKeys));
}

#[test]
fn patches_that_make_no_sense_are_refused() {
    let original = json!({"containers": containers(&["a"])});
    let cases = [
        (
            json!({"containers": [{"image": "x"}]}),
            "map: map[image:x] does not contain declared merge key: name",
        ),
        (json!({"containers": ["x"]}), "list element types are not identical: [[map[image:i name:a]] [x]]"),
        (json!({"$deleteFromPrimitiveList": ["x"]}), "invalid patch format of primitive list"),
        (
            json!({"$setElementOrder/foo": []}),
            "unable to find api field in struct PodSpec for the json field \"foo\"",
        ),
        (json!({"$retainKeys": 1}), "invalid patch format of retainKeys"),
    ];
    for (patch, message) in cases {
        assert_eq!(refused(original.clone(), patch), message);
    }
}

proptest! {
    #[test]
    fn patches_never_panic(original in any_json(), patch in any_json()) {
        let _ = json(original.clone(), &patch);
        let _ = merge(original.clone(), &patch);
        let _ = smp("core.v1.Pod", original, &patch);
    }

    #[test]
    fn a_merge_patch_applied_twice_is_applied_once(original in any_json(), patch in any_json()) {
        if let Ok(once) = merge(original, &patch) {
            prop_assert_eq!(merge(once.clone(), &patch), Ok(once));
        }
    }

    #[test]
    fn a_strategic_patch_leaves_no_directive(patch in any_json()) {
        if let Ok(patched) = smp("core.v1.Pod", json!({}), &patch) {
            prop_assert!(!patched.to_string().contains("\"$"), "{}", patched);
        }
    }

    #[test]
    fn the_empty_patch_changes_nothing(original in any_json()) {
        prop_assume!(original.is_object());
        prop_assert_eq!(smp("core.v1.Pod", original.clone(), &json!({})), Ok(original.clone()));
        prop_assert_eq!(merge(original.clone(), &json!({})), Ok(original));
    }
}
