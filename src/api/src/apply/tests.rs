//! Who owns which field after each kind of write, and what is a conflict: cases, and properties of any objects.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::set::Element;
use super::*;
use crate::schema::by_name;
use crate::schema::tests::any_json;

fn node(name: &str) -> Node<'static> {
    by_name(&format!("io.k8s.api.{name}")).expect("a built-in type")
}

/// A kind, the version it is written in, and a clock that stands still.
struct Api {
    node: Node<'static>,
    version: &'static str,
    reset: Set,
}

impl Api {
    fn deployments() -> Self {
        Self { node: node("apps.v1.Deployment"), version: "apps/v1", reset: Set::of_fields(&[&["status"]]) }
    }

    fn config_maps() -> Self {
        Self { node: node("core.v1.ConfigMap"), version: "v1", reset: Set::default() }
    }

    fn write<'a>(&'a self, manager: &'a str) -> Write<'a> {
        let (version, node, reset) = (self.version, self.node, &self.reset);
        Write { manager, version, subresource: "", now: "2024-01-01T00:00:00Z", node, reset }
    }

    fn stored(&self, object: Value) -> Value {
        conform(object, self.node, &mut Strict::default()).expect("a good object")
    }

    fn update(&self, live: Option<&Value>, manager: &str, object: Value) -> Value {
        let mut object = self.stored(object);
        update(live, &mut object, &self.write(manager));
        object
    }

    fn try_apply(
        &self,
        live: Option<&Value>,
        manager: &str,
        config: &Value,
        force: bool,
    ) -> Result<Value, Error> {
        apply(live, config, &self.write(manager), force).map(|object| self.stored(object))
    }

    fn apply(&self, live: Option<&Value>, manager: &str, config: &Value) -> Value {
        self.try_apply(live, manager, config, false).expect("no conflict")
    }
}

fn fields(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let entry = entries.iter().find(|entry| entry["manager"] == manager);
    entry.map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

fn deployment(spec: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "ns"}, "spec": spec})
}

fn config_map(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "ns"}, "data": data})
}

#[test]
fn creating_records_every_field_but_those_that_name_the_object() {
    let api = Api::deployments();
    let container = json!({"name": "c", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "args": ["x"]});
    let spec = json!({"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {
        "a": "b"}}, "spec": {"containers": [container], "nodeSelector": {"x": "y"}}}});
    let object = api.update(None, "kubectl-create", deployment(&spec));
    let container = json!({".": {}, "f:args": {}, "f:image": {}, "f:name": {}, "f:resources": {}, "f:ports": {
        ".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}, "f:protocol": {}}}});
    let want = json!({"f:spec": {"f:replicas": {}, "f:selector": {}, "f:template": {
        "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
        "f:spec": {"f:containers": {".": {}, "k:{\"name\":\"c\"}": container}, "f:nodeSelector": {}}}}});
    assert_eq!(fields(&object, "kubectl-create"), want);
    let entry = &object["metadata"]["managedFields"][0];
    assert_eq!(entry["operation"], "Update");
    assert_eq!(entry["apiVersion"], "apps/v1");
    assert_eq!(entry["time"], "2024-01-01T00:00:00Z");
    assert_eq!(entry["fieldsType"], "FieldsV1");
}

#[test]
fn applying_owns_what_the_configuration_states() {
    let api = Api::config_maps();
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {"l": "1"},
        "finalizers": ["f/x"]}, "data": {"a": "1"}});
    let object = api.apply(None, "m", &config);
    let want = json!({"f:metadata": {"f:labels": {"f:l": {}}, "f:finalizers": {"v:\"f/x\"": {}}}, "f:data": {"f:a": {}}});
    assert_eq!(fields(&object, "m"), want);
    assert_eq!(object["data"], json!({"a": "1"}));
}

#[test]
fn a_conflict_names_owner_and_field() {
    let api = Api::deployments();
    let live = api.update(None, "kubectl-client-side-apply", deployment(&json!({"replicas": 1})));
    let config = deployment(&json!({"replicas": 2}));
    let error = api.try_apply(Some(&live), "m", &config, false).expect_err("a conflict");
    let message = "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using apps/v1: .spec.replicas";
    assert_eq!(error.to_string(), message);
    let Error::Conflict(conflicts) = error else { panic!("{error:?}") };
    let cause = Cause {
        field: ".spec.replicas".to_owned(),
        message: "conflict with \"kubectl-client-side-apply\" using apps/v1".to_owned(),
    };
    assert_eq!(conflicts.causes(), [cause]);
    let forced = api.try_apply(Some(&live), "m", &config, true).expect("forced");
    assert_eq!(forced["spec"]["replicas"], 2);
    assert_eq!(fields(&forced, "m"), json!({"f:spec": {"f:replicas": {}}}));
    assert!(!fields(&forced, "kubectl-client-side-apply").to_string().contains("replicas"));
}

#[test]
fn many_conflicts_are_listed_by_owner() {
    let api = Api::config_maps();
    let live = api.apply(None, "a", &config_map(&json!({"x": "1", "y": "1"})));
    let live = api.apply(Some(&live), "b", &config_map(&json!({"x": "1"})));
    let config = config_map(&json!({"x": "2", "y": "2"}));
    let error = api.try_apply(Some(&live), "c", &config, false).expect_err("conflicts");
    let message = "Apply failed with 3 conflicts: conflicts with \"a\":\n- .data.x\n- .data.y\nconflicts with \"b\":\n- .data.x";
    assert_eq!(error.to_string(), message);
}

#[test]
fn what_is_stated_no_longer_goes_unless_another_owns_it() {
    let api = Api::config_maps();
    let live = api.apply(None, "a", &config_map(&json!({"mine": "1", "ours": "1"})));
    let live = api.apply(Some(&live), "b", &config_map(&json!({"ours": "1", "theirs": "1"})));
    let live = api.apply(Some(&live), "a", &config_map(&json!({})));
    assert_eq!(live["data"], json!({"ours": "1", "theirs": "1"}));
    assert_eq!(fields(&live, "b"), json!({"f:data": {"f:ours": {}, "f:theirs": {}}}));
    let live = api.apply(Some(&live), "b", &config_map(&json!({"theirs": "1"})));
    assert_eq!(live["data"], json!({"theirs": "1"}));
}

#[test]
fn elements_of_keyed_lists_are_owned_one_by_one() {
    let api = Api::deployments();
    let spec = |containers: Value| deployment(&json!({"template": {"spec": {"containers": containers}}}));
    let live = api.apply(None, "a", &spec(json!([{"name": "one", "image": "i"}])));
    let live = api.apply(Some(&live), "b", &spec(json!([{"name": "two", "image": "i"}])));
    let names = |object: &Value| {
        let containers = object["spec"]["template"]["spec"]["containers"].as_array().expect("a list").clone();
        containers
            .iter()
            .map(|container| container["name"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&live), ["one", "two"]);
    let live = api.apply(
        Some(&live),
        "b",
        &spec(json!([{"name": "zero", "image": "i"}, {"name": "two", "image": "i"}])),
    );
    assert_eq!(names(&live), ["one", "zero", "two"]);
    // "a" gives its element up, and it goes with it.
    let live = api.apply(Some(&live), "a", &deployment(&json!({})));
    assert_eq!(names(&live), ["zero", "two"]);
}

#[test]
fn a_key_with_a_default_may_be_left_out() {
    let api = Api::deployments();
    let ports = |ports: Value| {
        deployment(&json!({"template": {"spec": {"containers": [{"name": "c", "ports": ports}]}}}))
    };
    let live = api.update(None, "u", ports(json!([{"containerPort": 80, "protocol": "TCP"}])));
    let live = api.apply(Some(&live), "a", &ports(json!([{"containerPort": 80, "name": "http"}])));
    let port = &live["spec"]["template"]["spec"]["containers"][0]["ports"];
    assert_eq!(port, &json!([{"containerPort": 80, "name": "http", "protocol": "TCP"}]));
}

#[test]
fn configurations_that_do_not_fit_are_refused_in_upstreams_words() {
    let api = Api::deployments();
    let refused = |spec: Value| {
        let error = api.try_apply(None, "m", &deployment(&spec), false).expect_err("a misfit");
        let message = error.to_string();
        message
            .strip_prefix("failed to create typed patch object (ns/web; apps/v1, Kind=Deployment): ")
            .map(str::to_owned)
    };
    assert_eq!(refused(json!({"foo": 1})).as_deref(), Some(".spec.foo: field not declared in schema"));
    let twice = json!({"template": {"spec": {"containers": [{"name": "c"}, {"name": "c"}]}}});
    let message = ".spec.template.spec.containers: duplicate entries for key [name=\"c\"]";
    assert_eq!(refused(twice).as_deref(), Some(message));
    let nameless = json!({"template": {"spec": {"containers": [{"image": "c"}]}}});
    let message = ".spec.template.spec.containers: element 0: associative list with keys has an element that omits key \
                   field \"name\" (and doesn't have default value)";
    assert_eq!(refused(nameless).as_deref(), Some(message));
    let config = json!({"metadata": {"managedFields": [{}]}});
    assert_eq!(api.try_apply(None, "m", &config, false), Err(Error::ManagedFieldsApplied));
}

#[test]
fn an_update_takes_what_it_changes() {
    let api = Api::config_maps();
    let live = api.apply(None, "a", &config_map(&json!({"x": "1", "y": "1"})));
    let mut edited = live.clone();
    edited["data"] = json!({"x": "2", "z": "3"});
    let object = api.update(Some(&live), "edit", edited);
    assert_eq!(fields(&object, "edit"), json!({"f:data": {"f:x": {}, "f:z": {}}}));
    assert_eq!(fields(&object, "a"), Value::Null);
    // And nothing changes hands when nothing changes.
    assert_eq!(api.update(Some(&object), "idle", object.clone()), object);
}

#[test]
fn the_same_manager_of_a_subresource_is_another_owner() {
    let api = Api::deployments();
    let live = api.update(None, "m", deployment(&json!({"replicas": 1})));
    let mut object = live.clone();
    object["status"] = json!({"replicas": 1});
    let reset = Set::of_fields(&[&["spec"]]);
    let write = Write { subresource: "status", reset: &reset, ..api.write("m") };
    update(Some(&live), &mut object, &write);
    let entries = object["metadata"]["managedFields"].as_array().expect("entries");
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[1]["subresource"], "status");
    assert_eq!(entries[1]["fieldsV1"], json!({"f:status": {"f:replicas": {}}}));
    // What an endpoint resets, its writers cannot own.
    let config = json!({"apiVersion": "apps/v1", "kind": "Deployment", "status": {"replicas": 3}});
    let applied = api.apply(Some(&object), "n", &config);
    assert_eq!(fields(&applied, "n"), Value::Null);
}

#[test]
fn updaters_are_capped_oldest_first() {
    let api = Api::config_maps();
    let mut live = api.update(None, "m00", config_map(&json!({"k00": ""})));
    for at in 1..=14 {
        let mut next = live.clone();
        next["data"][format!("k{at:02}")] = "".into();
        let now = format!("2024-01-01T00:00:{at:02}Z");
        let manager = format!("m{at:02}");
        update(Some(&live), &mut next, &Write { now: &now, ..api.write(&manager) });
        live = next;
    }
    let entries = live["metadata"]["managedFields"].as_array().expect("entries");
    assert_eq!(entries.len(), 10);
    assert_eq!(entries[0]["manager"], "ancient-changes");
    assert_eq!(entries[0]["time"], "2024-01-01T00:00:05Z");
    let folded = entries[0]["fieldsV1"]["f:data"].as_object().expect("fields");
    assert!((0..=5).all(|at| folded.contains_key(&format!("f:k{at:02}"))), "{folded:?}");
    assert_eq!(entries[9]["manager"], "m14");
}

#[test]
fn clients_may_reset_managed_fields_and_do_not_lose_them_by_accident() {
    let api = Api::config_maps();
    let live = api.update(None, "m", config_map(&json!({"x": "1"})));
    let unaware = api.update(Some(&live), "m", config_map(&json!({"x": "1"})));
    assert_eq!(unaware["metadata"]["managedFields"], live["metadata"]["managedFields"]);
    for reset in [json!([]), json!([{}])] {
        let mut object = config_map(&json!({"x": "1"}));
        object["metadata"]["managedFields"] = reset;
        let object = api.update(Some(&live), "m", object);
        assert_eq!(object["metadata"].get("managedFields"), None);
        // From then on nobody is tracked until somebody applies.
        let object = api.update(Some(&object), "m", config_map(&json!({"x": "2"})));
        assert_eq!(object["metadata"].get("managedFields"), None);
        let object = api.apply(Some(&object), "a", &config_map(&json!({"y": "1"})));
        assert_eq!(fields(&object, "before-first-apply"), json!({"f:data": {".": {}, "f:x": {}}}));
        assert_eq!(fields(&object, "a"), json!({"f:data": {"f:y": {}}}));
    }
}

#[test]
fn kubectl_takes_over_from_client_side_apply() {
    let api = Api::config_maps();
    let annotated = |data: &Value, applied: &Value| {
        let mut object = config_map(data);
        let annotation =
            json!({"kubectl.kubernetes.io/last-applied-configuration": config_map(applied).to_string()});
        object["metadata"]["annotations"] = annotation;
        object
    };
    let live =
        api.update(None, "kubectl-client-side-apply", annotated(&json!({"x": "1"}), &json!({"x": "1"})));
    let config = config_map(&json!({"x": "2"}));
    let object = api.apply(Some(&live), "kubectl", &config);
    let annotation = &object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    assert_eq!(annotation, &format!("{config}\n"));
    // Not what somebody changed since, and not for other managers.
    let changed = api.update(None, "edit", annotated(&json!({"x": "3"}), &json!({"x": "1"})));
    assert!(api.try_apply(Some(&changed), "kubectl", &config, false).is_err());
    assert!(api.try_apply(Some(&live), "other", &config, false).is_err());
}

#[test]
fn foreign_encodings_are_read_and_damaged_ones_refused() {
    let wire = json!({"f:a": {".": {}, "k:{\"b\": 1, \"a\":2}": {}, "i:3": {}, "v:1.0": {}, "x:later": {}}});
    let set = Set::decode(&wire).expect("a set");
    assert_eq!(set.encode(), json!({"f:a": {".": {}, "k:{\"a\":2,\"b\":1}": {}, "i:3": {}, "v:1.0": {}}}));
    assert_eq!(set.paths(), [".a", ".a[3]", ".a[a=2,b=1]", ".a[=1.0]"]);
    for bad in [json!([]), json!({"plain": {}}), json!({"f:a": 1})] {
        assert_eq!(Set::decode(&bad), None);
    }
    let api = Api::config_maps();
    let mut live = config_map(&json!({}));
    live["metadata"]["managedFields"] = json!([{"manager": "m", "operation": "Frob", "apiVersion": "v1"}]);
    let error = api.try_apply(Some(&live), "m", &config_map(&json!({})), false).expect_err("damaged");
    assert_eq!(error.to_string(), "failed to decode managed fields: operation must be `Apply` or `Update`");
}

fn any_set() -> impl Strategy<Value = Set> {
    let element = prop_oneof![
        "[abc]".prop_map(|name| Element::field(&name)),
        (0..3).prop_map(|at: i32| Element::value(&at.into())),
    ];
    let path = prop::collection::vec(element, 1..4);
    prop::collection::vec(path, 0..8).prop_map(|paths| {
        let mut set = Set::default();
        paths.iter().for_each(|path| set.insert(path));
        set
    })
}

fn any_data() -> impl Strategy<Value = Value> {
    let data = prop::collection::btree_map("[a-d]", "[xy]", 0..4);
    data.prop_map(|data| data.into_iter().collect::<std::collections::BTreeMap<_, _>>())
        .prop_map(|data| json!(data))
}

/// What server-side apply is meant to do to a map of plain values.
#[derive(Debug, Default)]
struct Model {
    values: BTreeMap<String, Value>,
    owners: BTreeMap<String, BTreeSet<&'static str>>,
}

impl Model {
    fn others(&self, key: &str, manager: &str) -> bool {
        self.owners.get(key).is_some_and(|owners| owners.iter().any(|owner| *owner != manager))
    }

    /// False if it conflicts, and nothing happens.
    fn apply(&mut self, manager: &'static str, config: &Value, force: bool) -> bool {
        let config = config.as_object().expect("a map");
        let changes = |key: &str, value: &Value| self.values.get(key) != Some(value);
        let taken: Vec<_> =
            config.iter().filter(|(key, value)| changes(key, value) && self.others(key, manager)).collect();
        if !force && !taken.is_empty() {
            return false;
        }
        for (key, _) in taken {
            self.owners.remove(key);
        }
        for (key, value) in config {
            self.values.insert(key.clone(), value.clone());
            self.owners.entry(key.clone()).or_default().insert(manager);
        }
        for (key, owners) in &mut self.owners {
            if !config.contains_key(key) && owners.remove(manager) && owners.is_empty() {
                self.values.remove(key);
            }
        }
        true
    }
}

fn is_empty(config: &Value) -> bool {
    config.as_object().is_none_or(Map::is_empty)
}

proptest! {
    #[test]
    fn several_appliers_share_an_object_as_the_model_says(
        steps in prop::collection::vec((prop::sample::select(vec!["a", "b", "c"]), any_data(), any::<bool>()), 1..12)
    ) {
        let (api, mut model, mut live) = (Api::config_maps(), Model::default(), None);
        for (manager, config, force) in steps {
            let mut object = config_map(&config);
            if is_empty(&config) {
                // Nothing of it would be left in the store, and whoever says it again would conflict, as upstream.
                object.as_object_mut().expect("an object").remove("data");
            }
            match api.try_apply(live.as_ref(), manager, &object, force) {
                Ok(object) => {
                    prop_assert!(model.apply(manager, &config, force), "{manager} did not conflict");
                    live = Some(object);
                }
                Err(Error::Conflict(_)) => prop_assert!(!model.apply(manager, &config, force), "{manager} conflicted"),
                Err(error) => prop_assert!(false, "{error}"),
            }
            let data = live.as_ref().and_then(|live| live["data"].as_object()).cloned().unwrap_or_default();
            prop_assert_eq!(data.into_iter().collect::<BTreeMap<_, _>>(), model.values.clone());
        }
    }

    #[test]
    fn sets_obey_their_algebra(a in any_set(), b in any_set(), c in any_set()) {
        prop_assert_eq!(a.clone().union(&b), b.clone().union(&a));
        prop_assert_eq!(a.intersection(&b), b.intersection(&a));
        prop_assert_eq!(a.clone().union(&b).union(&c), a.clone().union(&b.clone().union(&c)));
        prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
        prop_assert!(a.difference(&b).intersection(&b).is_empty());
        prop_assert!(a.clone().recursive_difference(&b).difference(&a.difference(&b)).is_empty());
        prop_assert_eq!(Set::decode(&a.encode()), Some(a));
    }

    #[test]
    fn applying_twice_changes_nothing_more(first in any_data(), config in any_data(), other in any_data()) {
        let api = Api::config_maps();
        let live = api.update(None, "u", config_map(&first));
        let live = api.try_apply(Some(&live), "o", &config_map(&other), true).expect("forced");
        let once = api.try_apply(Some(&live), "a", &config_map(&config), true).expect("forced");
        let twice = api.try_apply(Some(&once), "a", &config_map(&config), true).expect("forced");
        prop_assert_eq!(&once, &twice);
        let unforced = api.try_apply(Some(&once), "a", &config_map(&config), false);
        prop_assert_eq!(unforced, Ok(twice));
    }

    #[test]
    fn what_is_applied_is_there(first in any_data(), config in any_data()) {
        let api = Api::config_maps();
        let live = api.update(None, "u", config_map(&first));
        let applied = api.try_apply(Some(&live), "a", &config_map(&config), true).expect("forced");
        for (key, value) in config.as_object().expect("a map") {
            prop_assert_eq!(&applied["data"][key], value);
        }
    }

    #[test]
    fn arbitrary_objects_never_panic(live in any_json(), config in any_json(), entries in any_json()) {
        let pod = node("core.v1.Pod");
        let reset = Set::default();
        let write = Write { manager: "kubectl", version: "v1", subresource: "", now: "", node: pod, reset: &reset };
        let mut live = live;
        if let Some(live) = live.as_object_mut() {
            live.insert("metadata".to_owned(), json!({ "managedFields": entries }));
        }
        let _ = apply(Some(&live), &config, &write, true);
        let mut object = config;
        update(Some(&live), &mut object, &write);
    }
}
