//! The table as a whole: complete, consistent, and unshaken by whatever JSON comes along.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use super::{Kind, Part, all, by_kind, by_resource, group, groups};
use crate::metadata::Birth;
use crate::schema::any::any_object;
use crate::schema::{Strict, by_name, conform};

#[test]
fn every_entry_is_found_by_its_names() {
    for kind in all() {
        assert!(
            std::ptr::eq(by_resource(kind.group, kind.version, kind.plural).unwrap(), kind),
            "{}",
            kind.plural
        );
        assert!(std::ptr::eq(by_kind(kind.group, kind.version, kind.kind).unwrap(), kind), "{}", kind.kind);
    }
    assert_eq!(by_resource("", "v1", "nothings").map(|kind| kind.kind), None);
}

#[test]
fn names_are_derived() {
    let pod = by_resource("", "v1", "pods").unwrap();
    assert_eq!((pod.singular, pod.list_kind, pod.schema), ("pod", "PodList", "io.k8s.api.core.v1.Pod"));
    assert_eq!(pod.api_version(), "v1");
    let deployment = by_resource("apps", "v1", "deployments").unwrap();
    assert_eq!(deployment.qualified_resource(), "deployments.apps");
    assert_eq!(deployment.qualified_kind(), "Deployment.apps");
    assert_eq!(deployment.api_version(), "apps/v1");
}

#[test]
fn groups_prefer_their_newest_version() {
    assert_eq!(groups()[0].name, "");
    assert_eq!(group("autoscaling").unwrap().versions, ["v2", "v1", "v2beta2", "v2beta1"]);
    assert_eq!(group("autoscaling").unwrap().preferred(), "v2");
    assert_eq!(group("nothing"), None);
}

#[test]
fn short_names_are_unique_within_a_group() {
    let mut seen = BTreeSet::new();
    for kind in all() {
        for short in kind.short_names {
            assert!(seen.insert((kind.group, kind.version, short)), "{short}");
        }
    }
}

#[test]
fn views_have_a_stored_form() {
    for kind in all() {
        assert_eq!(kind.conversion.is_some(), !std::ptr::eq(kind.stored(), kind), "{}", kind.plural);
        assert!(kind.stored().conversion.is_none());
    }
}

#[test]
fn old_versions_say_what_to_use_instead() {
    let ingress = by_resource("extensions", "v1beta1", "ingresses").unwrap();
    assert_eq!(
        ingress.deprecation_warning().unwrap(),
        "extensions/v1beta1 Ingress is deprecated in v1.14+, unavailable in v1.22+; use networking.k8s.io/v1 Ingress"
    );
    for old in all().filter(|kind| kind.version.contains("beta")) {
        let (group, version, kind) = old.deprecation.as_ref().unwrap().replacement.unwrap();
        assert!(std::ptr::eq(by_kind(group, version, kind).unwrap(), old.stored()), "{}", old.plural);
    }
}

#[test]
fn rows_fill_their_columns() {
    for kind in all() {
        for object in [json!({}), json!(null), json!({"metadata": {"name": "x"}, "spec": {}, "status": {}})] {
            assert_eq!(
                (kind.table.cells)(&object, Timestamp::UNIX_EPOCH).len(),
                kind.table.columns.len(),
                "{}",
                kind.plural
            );
        }
    }
}

/// Holds the table against a list of `group, version, resource, kind, namespaced, verbs, subresources` taken from a
/// cluster's own discovery.
#[test]
#[ignore = "needs SKIFF_RESOURCES, the path of a list of resources"]
fn the_table_agrees_with_discovery() {
    let list = std::fs::read_to_string(std::env::var("SKIFF_RESOURCES").unwrap()).unwrap();
    let mut listed = 0;
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [group, version, plural, name, namespaced, verbs] = fields[..6] else { panic!("{line}") };
        if version.contains("alpha") || version.contains("beta") {
            continue;
        }
        listed += 1;
        let kind = by_resource(group, version, plural)
            .unwrap_or_else(|| panic!("{group}/{version} {plural} is missing"));
        assert_eq!((kind.kind, kind.namespaced.to_string().as_str()), (name, namespaced), "{plural}");
        // The list leaves out watch, which every listable resource has.
        let own: Vec<&str> =
            kind.verbs.iter().map(|verb| verb.as_str()).filter(|verb| *verb != "watch").collect();
        assert_eq!(own.join(","), verbs, "{plural}");
        let subresources = fields.get(6).copied().unwrap_or_default();
        let theirs: Vec<String> = subresources
            .split("; ")
            .filter(|entry| !entry.is_empty())
            .map(|entry| entry.split(':').next().unwrap_or_default().to_owned())
            .collect();
        let ours: Vec<String> =
            kind.subresources.iter().map(|sub| format!("{}({}", sub.name, sub.kind)).collect();
        assert_eq!(ours, theirs, "{plural}");
    }
    assert_eq!(listed, all().filter(|kind| !kind.version.contains("beta")).count());
}

/// Objects that reach most of the rules.
fn samples() -> Vec<(&'static Kind, Value)> {
    let container = json!({"name": "c", "image": "i", "restartPolicy": "Always", "ports": [{"name": "p", "containerPort": 80, "hostPort": 80}],
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}],
        "envFrom": [{"configMapRef": {"name": "x"}}], "livenessProbe": {"httpGet": {"port": 80, "httpHeaders": [{"name": "A"}]}},
        "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}, "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}, "resizePolicy": [{"resourceName": "cpu"}],
        "securityContext": {"seccompProfile": {"type": "Localhost"}, "capabilities": {"add": ["X"]}}});
    let pod = json!({"containers": [container], "initContainers": [container], "hostNetwork": true,
        "volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"downwardAPI": {"items": [{"path": "a"}]}}]}}],
        "tolerations": [{"key": "a", "operator": "Exists"}], "affinity": {"nodeAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]}}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "k", "whenUnsatisfiable": "x", "minDomains": 1}],
        "schedulingGates": [{"name": "g"}], "readinessGates": [{"conditionType": "c"}], "hostAliases": [{"ip": "1", "hostnames": ["a"]}],
        "resources": {"limits": {"cpu": "1"}}, "dnsConfig": {"nameservers": ["1"], "options": [{}]}});
    let pod_status = json!({"phase": "Running", "podIPs": [{"ip": "1"}], "conditions": [{"type": "Ready", "status": "True"}],
        "initContainerStatuses": [{"name": "c", "started": true, "restartCount": 1, "state": {"waiting": {"reason": "x"}}}],
        "containerStatuses": [{"restartCount": 1, "ready": true, "state": {"running": {}}, "lastState": {"terminated": {"finishedAt": "x"}}}]});
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": pod});
    let selector = json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]});
    let workload = json!({"replicas": 1, "selector": selector, "template": template, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "1%"}},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}, "volumeClaimTemplates": [{"spec": {}}]});
    let job = json!({"template": template, "selector": selector, "completions": 1, "podFailurePolicy": {"rules": [{"onPodConditions": [{}]}]}});
    let backend = json!({"service": {"name": "s", "port": {"number": 80}}});
    let peer = json!({"podSelector": selector, "ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}});
    let specs = [
        ("", "pods", json!({"spec": pod, "status": pod_status})),
        ("apps", "deployments", json!({"spec": workload})),
        ("apps", "statefulsets", json!({"spec": workload})),
        ("apps", "daemonsets", json!({"spec": workload})),
        (
            "batch",
            "jobs",
            json!({"spec": job, "status": {"startTime": "x", "conditions": [{"type": "Complete"}]}}),
        ),
        ("batch", "cronjobs", json!({"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job}}})),
        (
            "",
            "services",
            json!({"spec": {"type": "NodePort", "clusterIP": "1", "clusterIPs": ["1"], "ports": [{"port": 80, "nodePort": 1}],
            "sessionAffinity": "ClientIP", "externalIPs": ["::"]}, "status": {"loadBalancer": {"ingress": [{"ip": "1"}]}}}),
        ),
        (
            "",
            "nodes",
            json!({"spec": {"taints": [{"key": "a"}], "podCIDRs": ["x"]}, "status": {"capacity": {"cpu": "1"},
            "addresses": [{"type": "InternalIP"}], "conditions": [{"type": "Ready"}]}}),
        ),
        ("", "configmaps", json!({"data": {"a": "b"}, "binaryData": {"c": "ZA=="}, "immutable": true})),
        (
            "",
            "secrets",
            json!({"data": {"a": "ZA=="}, "stringData": {"b": "x"}, "type": "kubernetes.io/tls"}),
        ),
        (
            "",
            "events",
            json!({"involvedObject": {"kind": "Pod"}, "series": {"count": 1, "lastObservedTime": "x"}, "source": {"host": "h"}}),
        ),
        ("", "endpoints", json!({"subsets": [{"addresses": [{"ip": "1"}], "ports": [{"port": 1}]}]})),
        (
            "",
            "persistentvolumeclaims",
            json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
        ),
        (
            "",
            "persistentvolumes",
            json!({"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/"}}}),
        ),
        (
            "",
            "limitranges",
            json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "2"}}]}}),
        ),
        ("", "resourcequotas", json!({"spec": {"hard": {"cpu": "1"}}, "status": {"used": {"cpu": "1"}}})),
        (
            "networking.k8s.io",
            "ingresses",
            json!({"spec": {"defaultBackend": backend, "tls": [{"hosts": ["a"]}],
            "rules": [{"host": "a", "http": {"paths": [{"path": "/", "pathType": "Exact", "backend": backend}]}}]}}),
        ),
        (
            "networking.k8s.io",
            "networkpolicies",
            json!({"spec": {"podSelector": selector, "ingress": [{"from": [peer], "ports": [{"port": 1, "endPort": 2}]}]}}),
        ),
        (
            "discovery.k8s.io",
            "endpointslices",
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["1"]}], "ports": [{"port": 1}]}),
        ),
        (
            "rbac.authorization.k8s.io",
            "clusterroles",
            json!({"rules": [{"verbs": ["x"], "nonResourceURLs": ["/"]}], "aggregationRule": {"clusterRoleSelectors": [selector]}}),
        ),
        (
            "rbac.authorization.k8s.io",
            "rolebindings",
            json!({"roleRef": {"kind": "Role"}, "subjects": [{"kind": "User"}]}),
        ),
        (
            "admissionregistration.k8s.io",
            "mutatingwebhookconfigurations",
            json!({"webhooks": [{"name": "a", "rules": [{"operations": ["x"]}],
            "clientConfig": {"service": {}}}]}),
        ),
        (
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            json!({"spec": {"names": {"kind": "A"}, "versions": [{"name": "v1", "storage": true}]}}),
        ),
        ("storage.k8s.io", "csidrivers", json!({"spec": {"tokenRequests": [{"audience": "a"}]}})),
        (
            "resource.k8s.io",
            "resourceclaims",
            json!({"spec": {"devices": {"requests": [{"exactly": {}, "firstAvailable": [{}]}]}}}),
        ),
    ];
    let mut samples: Vec<(&Kind, Value)> = specs
        .into_iter()
        .map(|(group, plural, object)| (by_resource(group, "v1", plural).unwrap(), object))
        .collect();
    let scaler = json!({"spec": {"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 1}}}], "behavior": {}}});
    samples.push((by_resource("autoscaling", "v2", "horizontalpodautoscalers").unwrap(), scaler));
    for (_, object) in &mut samples {
        object["metadata"] = json!({"name": "a", "namespace": "b", "generation": 1, "resourceVersion": "1", "labels": {"a": "b"}, "annotations": {"a": "b"},
            "ownerReferences": [{"kind": "a", "controller": true}], "finalizers": ["orphan"], "creationTimestamp": "2026-01-01T00:00:00Z",
            "deletionTimestamp": null});
    }
    samples
}

/// Everything the crate does to an object between a request and the response.
fn handle(kind: &'static Kind, new: &Value, old: &Value) {
    let now = Timestamp::UNIX_EPOCH;
    let birth = Birth { namespace: Some("d"), uid: "u", now, suffix: "xxxxx" };
    let mut created = new.clone();
    kind.default_object(&mut created);
    kind.prepare_create(&mut created, &birth);
    kind.validate_create(&created);
    for part in [Part::Main, Part::Status] {
        let mut updated = new.clone();
        kind.default_object(&mut updated);
        kind.prepare_update(&mut updated, old, part);
        kind.validate_update(&updated, old, part);
    }
    kind.warnings(new, None);
    kind.warnings(new, Some(old));
    kind.grace(new, None);
    crate::metadata::begin_deletion(&mut created, i64::MAX, now);
    assert_eq!((kind.table.cells)(new, now).len(), kind.table.columns.len());
    for view in all().filter(|view| view.conversion.is_some()) {
        let conversion = view.conversion.as_ref().unwrap();
        let mut converted = new.clone();
        (conversion.from_hub)(&mut converted);
        (conversion.to_hub)(&mut converted);
    }
}

/// The first way there and back may fill in what the old version requires; after that, nothing changes any more.
#[test]
fn any_object_settles_when_shown_in_an_old_version_and_written_back() {
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    for view in all().filter(|view| view.conversion.is_some()) {
        let node = by_name(view.stored().schema).unwrap();
        let there_and_back = |mut object: Value| {
            view.from_stored(&mut object);
            view.to_stored(&mut object);
            conform(object, node, &mut Strict::default()).unwrap()
        };
        let settles = runner.run(&any_object(node, 8), |mut object| {
            object["apiVersion"] = view.stored().api_version().into();
            object["kind"] = view.kind.into();
            let once = there_and_back(conform(object, node, &mut Strict::default()).unwrap());
            let twice = there_and_back(once.clone());
            prop_assert_eq!(twice, once);
            Ok(())
        });
        settles.unwrap_or_else(|error| panic!("{} {}: {error}", view.api_version(), view.kind));
    }
}

/// What clients send fits the types; so must what is made of it, or nobody can read the list it is in.
#[test]
fn what_is_filled_in_has_the_type_of_its_field() {
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    for kind in all().filter(|kind| kind.conversion.is_none()) {
        let node = by_name(kind.schema).unwrap();
        let birth = Birth { namespace: Some("d"), uid: "u", now: Timestamp::UNIX_EPOCH, suffix: "xxxxx" };
        let typed = runner.run(&any_object(node, 8), |sent| {
            let sent = conform(sent, node, &mut Strict::default()).unwrap();
            let mut created = sent.clone();
            kind.default_object(&mut created);
            kind.prepare_create(&mut created, &birth);
            let mut written = vec![created.clone()];
            for part in [Part::Main, Part::Status] {
                let mut updated = sent.clone();
                kind.default_object(&mut updated);
                kind.prepare_update(&mut updated, &created, part);
                written.push(updated);
            }
            for object in written {
                let fits = conform(object, node, &mut Strict::default());
                prop_assert!(fits.is_ok(), "{fits:?}");
            }
            Ok(())
        });
        typed.unwrap_or_else(|error| panic!("{} {}: {error}", kind.api_version(), kind.kind));
    }
}

#[test]
fn defaulting_settles_at_once() {
    for (kind, mut object) in samples() {
        kind.default_object(&mut object);
        let once = object.clone();
        kind.default_object(&mut object);
        assert_eq!(object, once, "{}", kind.plural);
    }
}

#[test]
fn an_unchanged_object_may_be_written_again() {
    for (kind, mut object) in samples() {
        if !kind.namespaced {
            object["metadata"].as_object_mut().unwrap().remove("namespace");
        }
        kind.default_object(&mut object);
        let mut again = object.clone();
        kind.prepare_update(&mut again, &object, Part::Main);
        let known: Vec<_> = kind.validate_create(&object).iter().map(ToString::to_string).collect();
        for error in kind.validate_update(&again, &object, Part::Main) {
            assert!(known.contains(&error.to_string()), "{}: {error}", kind.plural);
        }
        assert_eq!(again["metadata"]["generation"], 1, "{}: nothing changed", kind.plural);
    }
}

#[test]
fn what_a_rule_came_too_late_for_may_be_changed_in_all_else() {
    for (group, plural, spec) in [
        ("", "pods", json!({"containers": [{"name": "A B", "image": "i"}]})),
        (
            "",
            "services",
            json!({"ports": [{"port": 80}], "externalIPs": ["::"], "loadBalancerSourceRanges": ["x"]}),
        ),
        ("networking.k8s.io", "ingresses", json!({"rules": [{"host": "10.0.0.1"}]})),
        ("apps", "deployments", json!({"selector": {"matchLabels": {"a": "b"}}, "replicas": -1})),
    ] {
        let kind = by_resource(group, "v1", plural).unwrap();
        let metadata = json!({"name": "a", "namespace": "b", "uid": "u", "resourceVersion": "1", "finalizers": ["a.io/b"]});
        let mut old = json!({"metadata": metadata, "spec": spec});
        kind.default_object(&mut old);
        let written = |mut new: Value| {
            kind.prepare_update(&mut new, &old, Part::Main);
            kind.validate_update(&new, &old, Part::Main)
        };
        assert_ne!(kind.validate_create(&old), [], "{plural}");
        let mut freed = old.clone();
        freed["metadata"]["finalizers"].take();
        assert_eq!(written(freed), [], "{plural}");
        let mut worse = old.clone();
        worse["metadata"]["annotations"] = json!({"service.kubernetes.io/topology-mode": "a", "service.kubernetes.io/topology-aware-hints": "b"});
        worse["spec"]["replicas"] = (-2).into();
        worse["spec"]["activeDeadlineSeconds"] = (-2).into();
        worse["spec"]["ingressClassName"] = "A B".into();
        assert_ne!(written(worse), [], "{plural}");
    }
}

#[test]
fn a_write_of_the_status_touches_nothing_else() {
    let kind = by_resource("apps", "v1", "deployments").unwrap();
    let old = json!({"metadata": {"name": "a", "generation": 3}, "spec": {"replicas": 1}, "status": {}});
    let mut new = json!({"metadata": {"name": "a"}, "spec": {"replicas": 2}, "status": {"replicas": 1}});
    kind.prepare_update(&mut new, &old, Part::Status);
    assert_eq!((&new["spec"], &new["status"]), (&json!({"replicas": 1}), &json!({"replicas": 1})));
    assert_eq!(new["metadata"]["generation"], 3);
    let mut new = json!({"metadata": {"name": "a"}, "spec": {"replicas": 2}, "status": {"replicas": 1}});
    kind.prepare_update(&mut new, &old, Part::Main);
    assert_eq!((&new["spec"], &new["status"]), (&json!({"replicas": 2}), &json!({})));
    assert_eq!(new["metadata"]["generation"], 4);
}

#[test]
fn a_new_object_has_the_status_that_go_writes_for_none() {
    let birth = Birth { namespace: Some("d"), uid: "u", now: Timestamp::UNIX_EPOCH, suffix: "xxxxx" };
    for (group, plural, status) in [
        ("apps", "replicasets", json!({"replicas": 0})),
        ("apps", "deployments", json!({})),
        ("batch", "jobs", json!({})),
        ("storage.k8s.io", "volumeattachments", json!({"attached": false})),
    ] {
        let kind = by_resource(group, "v1", plural).unwrap();
        let mut new = json!({"metadata": {"name": "a"}, "spec": {}, "status": {"replicas": 7}});
        kind.prepare_create(&mut new, &birth);
        assert_eq!(new["status"], status, "{plural}");
    }
}

#[test]
fn a_generation_is_not_the_clients_to_count() {
    let kind = by_resource("", "v1", "configmaps").unwrap();
    let mut new = json!({"metadata": {"name": "a", "generation": 7}});
    kind.prepare_update(&mut new, &json!({"metadata": {"name": "a"}}), Part::Main);
    assert_eq!(new, json!({"metadata": {"name": "a"}}));
}

#[test]
fn finalizers_without_a_domain_are_the_core_kinds_to_refuse() {
    let metadata = json!({"name": "as.b.example", "finalizers": ["mine"]});
    for (group, plural, refused) in [
        ("", "nodes", true),
        ("storage.k8s.io", "storageclasses", true),
        ("apiextensions.k8s.io", "customresourcedefinitions", false),
        ("apiregistration.k8s.io", "apiservices", false),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations", false),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", false),
    ] {
        let kind = by_resource(group, "v1", plural).unwrap();
        let errors = kind.validate_create(&json!({"metadata": metadata}));
        assert_eq!(errors.iter().any(|error| error.field == "metadata.finalizers[0]"), refused, "{plural}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}|[a-z0-9./%-]{0,8}|-?[0-9]{1,3}%?".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-z/]{0,5}", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Replaces the `index`th of all values in the tree.
fn replace_nth(value: &mut Value, index: &mut usize, new: &Value) {
    if *index == 0 {
        *value = new.clone();
        *index = usize::MAX;
        return;
    }
    *index -= 1;
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace_nth(item, index, new)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace_nth(field, index, new)),
        _ => {}
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

use proptest::strategy::Strategy;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_json_shakes_the_rules(pick in any::<prop::sample::Index>(), places in proptest::collection::vec((any::<prop::sample::Index>(), any_json()), 1..4)) {
        let samples = samples();
        let (kind, sample) = &samples[pick.index(samples.len())];
        let mut object = sample.clone();
        for (place, new) in places {
            let mut index = place.index(size(&object));
            replace_nth(&mut object, &mut index, &new);
        }
        handle(kind, &object, sample);
        handle(kind, sample, &object);
    }
}
