//! What a pod gets without asking.

use serde_json::{Map, Value, json};

use super::super::volume::plugin;
use super::resources::{is_for_pods, quantity_of, round_up, together};
use crate::value::{at, default_to, default_zero_to, flag, items_mut, list, object, replace, text};

/// `rw-r--r--`
const FILE_MODE: i64 = 0o644;

pub(super) fn pod(pod: &mut Value) {
    let Some(spec) = pod.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    spec_defaults(spec);
    default_to(spec, "enableServiceLinks", true);
    let host_network = flag(spec, "hostNetwork");
    for kind in ["containers", "initContainers"] {
        for container in items_mut(spec, kind) {
            requests_from_limits(container);
            if host_network {
                items_mut(container, "ports").for_each(host_port);
            }
        }
    }
    pod_level(spec);
}

/// The pod template of a workload, at `template` of `owner`.
pub(in crate::kinds) fn template(owner: &mut Value) {
    if let Some(spec) = owner
        .get_mut("template")
        .and_then(|template| template.get_mut("spec"))
        .filter(|spec| spec.is_object())
    {
        spec_defaults(spec);
    }
}

fn spec_defaults(spec: &mut Value) {
    default_zero_to(spec, "dnsPolicy", "ClusterFirst");
    default_zero_to(spec, "restartPolicy", "Always");
    default_to(spec, "securityContext", json!({}));
    default_to(spec, "terminationGracePeriodSeconds", 30);
    default_zero_to(spec, "schedulerName", "default-scheduler");
    service_account_alias(spec);
    for kind in ["containers", "initContainers", "ephemeralContainers"] {
        items_mut(spec, kind).for_each(container);
    }
    items_mut(spec, "volumes").for_each(volume);
    if let Some(resources) = spec.get_mut("resources") {
        round_lists(resources);
    }
    if let Some(overhead) = spec.get_mut("overhead") {
        round_up(overhead);
    }
}

/// `serviceAccount` is the old name of `serviceAccountName`: both always say the same, the new one wins.
fn service_account_alias(spec: &mut Value) {
    let name = match text(spec, "serviceAccountName") {
        "" => text(spec, "serviceAccount").to_owned(),
        name => name.to_owned(),
    };
    if !name.is_empty() {
        replace(spec, "serviceAccountName", Some(name.as_str().into()));
        replace(spec, "serviceAccount", Some(name.into()));
    }
}

fn container(container: &mut Value) {
    let policy = pull_policy(text(container, "image"));
    default_zero_to(container, "imagePullPolicy", policy);
    default_zero_to(container, "terminationMessagePath", "/dev/termination-log");
    default_zero_to(container, "terminationMessagePolicy", "File");
    default_to(container, "resources", json!({}));
    if let Some(resources) = container.get_mut("resources") {
        round_lists(resources);
    }
    items_mut(container, "ports").for_each(|port| default_zero_to(port, "protocol", "TCP"));
    for env in items_mut(container, "env") {
        if let Some(source) = env.get_mut("valueFrom") {
            field_reference(source);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(value) = container.get_mut(name) {
            probe(value);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(action) = container.get_mut("lifecycle").and_then(|lifecycle| lifecycle.get_mut(hook)) {
            http_get(action);
        }
    }
}

/// A moving tag is pulled every time, a fixed one once.
fn pull_policy(image: &str) -> &'static str {
    if image.is_empty() {
        return "IfNotPresent";
    }
    let (name, digest) = image.split_once('@').map_or((image, false), |(name, _)| (name, true));
    let tag = name.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
    match tag {
        Some("latest") => "Always",
        None if !digest => "Always",
        _ => "IfNotPresent",
    }
}

fn probe(probe: &mut Value) {
    default_zero_to(probe, "timeoutSeconds", 1);
    default_zero_to(probe, "periodSeconds", 10);
    default_zero_to(probe, "successThreshold", 1);
    default_zero_to(probe, "failureThreshold", 3);
    http_get(probe);
    if let Some(grpc) = probe.get_mut("grpc") {
        default_to(grpc, "service", "");
    }
}

fn http_get(handler: &mut Value) {
    if let Some(action) = handler.get_mut("httpGet") {
        default_zero_to(action, "path", "/");
        default_zero_to(action, "scheme", "HTTP");
    }
}

fn field_reference(source: &mut Value) {
    if let Some(reference) = source.get_mut("fieldRef") {
        default_zero_to(reference, "apiVersion", "v1");
    }
}

fn volume(volume: &mut Value) {
    if let Some(fields) = volume.as_object_mut()
        && fields.iter().all(|(name, source)| name == "name" || source.is_null())
    {
        fields.insert("emptyDir".into(), json!({}));
    }
    for (source, defaults) in SOURCES {
        if let Some(source) = volume.get_mut(*source) {
            defaults(source);
        }
    }
    plugin::defaults(volume);
}

/// Defaults of the sources that pods alone have.
type SourceDefaults = (&'static str, fn(&mut Value));
const SOURCES: &[SourceDefaults] = &[
    ("secret", |source| default_to(source, "defaultMode", FILE_MODE)),
    ("configMap", |source| default_to(source, "defaultMode", FILE_MODE)),
    ("downwardAPI", |source| {
        default_to(source, "defaultMode", FILE_MODE);
        items_mut(source, "items").for_each(field_reference);
    }),
    ("projected", projected),
    ("image", |source| {
        let policy = pull_policy(text(source, "reference"));
        default_zero_to(source, "pullPolicy", policy);
    }),
    ("ephemeral", |source| {
        if let Some(template) = source.get_mut("volumeClaimTemplate") {
            claim_spec(template);
        }
    }),
];

fn projected(source: &mut Value) {
    default_to(source, "defaultMode", FILE_MODE);
    for source in items_mut(source, "sources") {
        if let Some(token) = source.get_mut("serviceAccountToken") {
            default_to(token, "expirationSeconds", 3600);
        }
        if let Some(downward) = source.get_mut("downwardAPI") {
            items_mut(downward, "items").for_each(field_reference);
        }
    }
}

/// The spec of a claim or of a template for one.
pub(in crate::kinds) fn claim_spec(claim: &mut Value) {
    if let Some(spec) = claim.get_mut("spec") {
        default_to(spec, "volumeMode", "Filesystem");
        if let Some(resources) = spec.get_mut("resources") {
            round_lists(resources);
        }
    }
}

fn round_lists(resources: &mut Value) {
    for list in ["limits", "requests"] {
        if let Some(list) = resources.get_mut(list) {
            round_up(list);
        }
    }
}

/// Whoever names a limit only asks for as much.
fn requests_from_limits(container: &mut Value) {
    let limits = at(container, "resources.limits").clone();
    let Some(limits) = limits.as_object() else { return };
    let requests = container.get_mut("resources").and_then(|resources| object(resources, "requests"));
    if let Some(requests) = requests {
        fill(requests, limits);
    }
}

fn fill(requests: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (name, quantity) in from {
        requests.entry(name.clone()).or_insert_with(|| quantity.clone());
    }
}

/// Resources of the pod as a whole, where it says anything of them: huge pages are limited to what the containers may
/// take, and it asks for what they ask for together, else for its limits. Limits it has none are those of its containers,
/// if each has one.
fn pod_level(spec: &mut Value) {
    let says = |spec: &Value, kind: &str| {
        at(at(spec, "resources"), kind).as_object().is_some_and(|list| !list.is_empty())
    };
    if !says(spec, "limits") && !says(spec, "requests") {
        return;
    }
    let had_limits = says(spec, "limits");
    let mut huge = totals(spec, "limits", |name| name.starts_with("hugepages-"));
    huge.retain(|name, _| at(spec, "resources.requests").get(name).is_none());
    insert(spec, "limits", &huge);
    if says(spec, "limits") {
        insert(spec, "requests", &totals(spec, "requests", is_compute));
        let mut limits = at(spec, "resources.limits").as_object().cloned().unwrap_or_default();
        limits.retain(|name, _| is_for_pods(name));
        insert(spec, "requests", &limits);
    }
    if !had_limits && !says(spec, "limits") {
        let mut most = totals(spec, "limits", is_compute);
        most.retain(|name, _| all_limit(spec, name));
        insert(spec, "limits", &most);
    }
}

fn is_compute(name: &str) -> bool {
    matches!(name, "cpu" | "memory")
}

fn all_limit(spec: &Value, name: &str) -> bool {
    ["containers", "initContainers"]
        .into_iter()
        .flat_map(|kind| list(spec, kind))
        .all(|container| quantity_of(at(container, "resources.limits"), name).is_some())
}

/// What the containers say together of the resources picked.
fn totals(spec: &Value, kind: &str, pick: fn(&str) -> bool) -> Map<String, Value> {
    let all = together(spec, kind).into_iter().filter(|(name, _)| pick(name));
    all.map(|(name, amount)| (name.to_owned(), amount.to_string().into())).collect()
}

fn insert(spec: &mut Value, kind: &str, defaults: &Map<String, Value>) {
    if defaults.is_empty() {
        return;
    }
    if let Some(list) = spec.get_mut("resources").and_then(|resources| object(resources, kind)) {
        fill(list, defaults);
    }
}

fn host_port(port: &mut Value) {
    let number = at(port, "containerPort").clone();
    default_zero_to(port, "hostPort", number);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_pod_grows_as_upstream_grows_it() {
        let mut small = json!({"spec": {
            "containers": [{"name": "a", "image": "nginx", "ports": [{"containerPort": 80}],
                "resources": {"limits": {"cpu": "1", "memory": "0.1m"}},
                "livenessProbe": {"httpGet": {"port": 80}}}],
            "volumes": [{"name": "v"}, {"name": "c", "configMap": {"name": "x"}}]}});
        pod(&mut small);
        assert_eq!(
            small,
            json!({"spec": {
            "containers": [{"name": "a", "image": "nginx", "imagePullPolicy": "Always",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "1", "memory": "1m"}, "requests": {"cpu": "1", "memory": "1m"}},
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                "livenessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1,
                    "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}}],
            "volumes": [{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"name": "x", "defaultMode": 420}}],
            "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "securityContext": {}, "enableServiceLinks": true,
            "terminationGracePeriodSeconds": 30, "schedulerName": "default-scheduler"}})
        );
        let once = small.clone();
        pod(&mut small);
        assert_eq!(small, once, "defaulting twice changes nothing");
    }

    #[test]
    fn the_whole_of_a_pod_asks_for_what_its_parts_ask_for() {
        let grown = |whole: Value, parts: Value| {
            let mut object = json!({"spec": {"resources": whole, "containers": [{"resources": parts}, {"resources": parts}]}});
            pod(&mut object);
            object["spec"]["resources"].clone()
        };
        let limited = json!({"limits": {"cpu": "4", "memory": "1Gi"}});
        assert_eq!(
            grown(limited, json!({"requests": {"cpu": "1"}}))["requests"],
            json!({"cpu": "2", "memory": "1Gi"})
        );
        let asking = json!({"requests": {"cpu": "2"}});
        assert_eq!(grown(asking.clone(), json!({"limits": {"cpu": "1"}}))["limits"], json!({"cpu": "2"}));
        assert_eq!(grown(asking, json!({"requests": {"cpu": "1"}})).get("limits"), None);
    }

    #[test]
    fn moving_tags_are_pulled_always() {
        for (image, policy) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.2", "IfNotPresent"),
            ("host:5000/nginx", "Always"),
            ("host:5000/nginx:1", "IfNotPresent"),
            ("nginx@sha256:00", "IfNotPresent"),
            ("nginx:latest@sha256:00", "Always"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }

    #[test]
    fn templates_do_not_get_what_only_pods_get() {
        let mut owner = json!({"template": {"spec": {"serviceAccount": "x", "containers": [
            {"image": "a:1", "resources": {"limits": {"cpu": "1"}}}]}}});
        template(&mut owner);
        let spec = &owner["template"]["spec"];
        assert_eq!(spec["serviceAccountName"], "x");
        assert_eq!(spec.get("enableServiceLinks"), None);
        assert_eq!(spec["containers"][0]["resources"], json!({"limits": {"cpu": "1"}}));
    }
}
