//! The parts of a pod that change while it runs, each by a subresource of its own: its containers' resources, and
//! containers that join it.

use serde_json::Value;

use super::super::super::PartRules;
use super::annotations::{self, MIRROR};
use super::containers::is_sidecar;
use super::qos;
use crate::field::{Errors, Node};
use crate::value::{at, is_zero, items_mut, list, members, remove, replace, text};

/// `pods/resize`
pub(in crate::kinds::core) static RESIZE: PartRules =
    PartRules { prepare: keep_all_but_resources, validate: resize };

/// `pods/ephemeralcontainers`
pub(in crate::kinds::core) static EPHEMERAL: PartRules =
    PartRules { prepare: keep_all_but_ephemeral, validate: ephemeral };

fn keep_all_but_resources(new: &mut Value, old: &Value) {
    let sent = std::mem::replace(new, old.clone());
    kept(new, &sent);
    for kind in ["containers", "initContainers"] {
        let (was, is) = (list(at(old, "spec"), kind), list(at(&sent, "spec"), kind));
        // Containers that are not the same are shown to the rules as they were sent.
        if !was.iter().map(|one| text(one, "name")).eq(is.iter().map(|one| text(one, "name"))) {
            replace(&mut new["spec"], kind, at(&sent, "spec").get(kind).cloned());
            continue;
        }
        for (container, sent) in items_mut(&mut new["spec"], kind).zip(is) {
            for field in ["resizePolicy", "resources"] {
                replace(container, field, sent.get(field).cloned());
            }
        }
    }
}

fn keep_all_but_ephemeral(new: &mut Value, old: &Value) {
    let sent = std::mem::replace(new, old.clone());
    kept(new, &sent);
    replace(&mut new["spec"], "ephemeralContainers", at(&sent, "spec").get("ephemeralContainers").cloned());
}

/// What every write may say: which revision it is about, and whose fields are whose.
fn kept(new: &mut Value, sent: &Value) {
    for field in ["managedFields", "resourceVersion"] {
        if let Some(said) = at(sent, "metadata").get(field) {
            new["metadata"][field] = said.clone();
        }
    }
}

/// Errors about the pod as a whole take the place of all others, as upstream has it.
fn alone(pod: &Node<'_, '_>, detail: &str, errors: &mut Errors) {
    errors.retain(|error| error.field.starts_with("metadata"));
    errors.push(pod.forbidden(detail));
}

fn is_mirror(pod: &Value) -> bool {
    at(pod, "metadata.annotations").get(MIRROR).is_some()
}

fn has_own_resources(pod: &Value) -> bool {
    ["requests", "limits"].iter().any(|kind| !is_zero(at(at(pod, "spec.resources"), kind)))
}

fn resize(pod: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    super::validate(pod, errors);
    if has_own_resources(old) || has_own_resources(pod.value) {
        return alone(pod, "pods with pod-level resources cannot be resized", errors);
    }
    if is_mirror(old) {
        return alone(pod, "static pods cannot be resized", errors);
    }
    if text(old, "spec.os.name") == "windows" {
        return alone(pod, "windows pods cannot be resized", errors);
    }
    let spec = pod.at("spec");
    if text(old, "status.qosClass") != qos::class(pod.value) {
        let class = at(pod.value, "status.qosClass").clone();
        errors.push(spec.invalid_as(class, "Pod QOS Class may not change as a result of resizing"));
    }
    if !is_resizable(old) {
        errors.push(spec.forbidden("Pod running on node without support for resize"));
    }
    for kind in ["initContainers", "containers"] {
        let containers = spec.at(kind);
        let was = list(at(old, "spec"), kind);
        if containers.list().len() != was.len() {
            errors.push(containers.forbidden("pod updates may not add or remove containers"));
            continue;
        }
        for (container, was) in containers.items().zip(was) {
            if kind == "containers" || is_sidecar(was) {
                nothing_is_removed(&container.at("resources"), at(was, "resources"), errors);
            }
        }
    }
    for (kind, sidecars) in [("containers", ""), ("initContainers", " for sidecar containers")] {
        for (container, was) in list(spec.value, kind).iter().zip(list(at(old, "spec"), kind)) {
            if kind == "initContainers" && !is_sidecar(was) {
                if container != was {
                    errors.push(spec.forbidden("resources for non-sidecar init containers are immutable"));
                }
            } else if fixed(container) != fixed(was) {
                errors.push(spec.forbidden(format!("only cpu and memory resources{sidecars} are mutable")));
            }
        }
    }
}

/// A node that does not tell what its containers have does not change it either.
fn is_resizable(pod: &Value) -> bool {
    let runs = |status: &&Value| !at(status, "state.running").is_null();
    let first = list(pod, "status.containerStatuses").iter().find(runs);
    first.is_none_or(|status| !at(status, "resources").is_null())
}

fn nothing_is_removed(resources: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    for (kind, words) in
        [("requests", "resource requests cannot be removed"), ("limits", "resource limits cannot be removed")]
    {
        let list = resources.at(kind);
        if members(old, kind).any(|(name, _)| list.value.get(name).is_none()) {
            errors.push(list.forbidden(words));
        }
    }
}

/// A container without what may change about it.
fn fixed(container: &Value) -> Value {
    let mut fixed = container.clone();
    remove(&mut fixed, "resizePolicy");
    if let Some(resources) = fixed.get_mut("resources") {
        for kind in ["limits", "requests"] {
            if let Some(list) = resources.get_mut(kind).and_then(Value::as_object_mut) {
                list.retain(|name, _| !matches!(name.as_str(), "cpu" | "memory"));
            }
            if at(resources, kind).as_object().is_some_and(serde_json::Map::is_empty) {
                replace(resources, kind, None);
            }
        }
    }
    if fixed.get("resources").is_some_and(crate::value::is_zero) {
        replace(&mut fixed, "resources", None);
    }
    fixed
}

fn ephemeral(pod: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    super::validate(pod, errors);
    annotations::update(&pod.at("metadata.annotations"), at(old, "metadata.annotations"), errors);
    if is_mirror(old) {
        return alone(pod, "static pods do not support ephemeral containers", errors);
    }
    let containers = pod.at("spec");
    let containers = containers.at("ephemeralContainers");
    for was in list(old, "spec.ephemeralContainers") {
        let name = text(was, "name");
        match containers.list().iter().find(|container| text(container, "name") == name) {
            None => errors.push(
                containers.forbidden(format!("existing ephemeral containers {name:?} may not be removed\n")),
            ),
            Some(is) if is != was => errors.push(
                containers.forbidden(format!("existing ephemeral containers {name:?} may not be changed\n")),
            ),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(rules: &PartRules, mut new: Value, old: &Value) -> (Value, Vec<String>) {
        (rules.prepare)(&mut new, old);
        let mut errors = Errors::new();
        (rules.validate)(&Node::root(&new), old, &mut errors);
        (new, errors.iter().map(ToString::to_string).collect())
    }

    #[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
    fn pod(resources: Value) -> Value {
        let mut pod = json!({"metadata": {"name": "p"}, "status": {"qosClass": "Burstable"}, "spec": {"containers": [
            {"name": "a", "image": "i", "terminationMessagePolicy": "File", "imagePullPolicy": "Always", "resources": resources}]}});
        super::super::defaults::pod(&mut pod);
        pod
    }

    #[test]
    fn resources_change_and_nothing_else() {
        let old = pod(json!({"requests": {"cpu": "1", "memory": "1Gi"}}));
        let mut new = pod(json!({"requests": {"cpu": "2", "memory": "1Gi"}}));
        new["spec"]["containers"][0]["image"] = "other".into();
        new["metadata"]["labels"] = json!({"a": "b"});
        let (new, errors) = written(&RESIZE, new, &old);
        assert_eq!(errors, [""; 0]);
        assert_eq!(new, pod(json!({"requests": {"cpu": "2", "memory": "1Gi"}})));
        let (_, errors) = written(&RESIZE, pod(json!({"requests": {"memory": "1Gi"}})), &old);
        assert_eq!(
            errors,
            ["spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"]
        );
        let (_, errors) = written(&RESIZE, pod(json!({})), &old);
        assert!(
            errors[0].starts_with("spec: Invalid value: \"Burstable\": Pod QOS Class may not change"),
            "{errors:?}"
        );
        let more = json!({"requests": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}});
        let (_, errors) = written(&RESIZE, pod(more), &old);
        assert_eq!(errors, ["spec: Forbidden: only cpu and memory resources are mutable"]);
    }

    #[test]
    fn containers_join_and_stay() {
        let joined = |name: &str| json!({"name": name, "image": "i", "terminationMessagePolicy": "File", "imagePullPolicy": "Always"});
        let with = |containers: Value| {
            let mut pod = pod(json!({}));
            pod["spec"]["ephemeralContainers"] = containers;
            pod
        };
        let (_, errors) = written(&EPHEMERAL, with(json!([joined("d")])), &pod(json!({})));
        assert_eq!(errors, [""; 0]);
        let (_, errors) = written(&EPHEMERAL, with(json!([joined("e")])), &with(json!([joined("d")])));
        assert_eq!(
            errors,
            ["spec.ephemeralContainers: Forbidden: existing ephemeral containers \"d\" may not be removed\n"]
        );
        let mut wrong = joined("a");
        wrong["ports"] = json!([{"containerPort": 1, "protocol": "TCP"}]);
        wrong["targetContainerName"] = "none".into();
        let (_, errors) = written(&EPHEMERAL, with(json!([wrong])), &pod(json!({})));
        assert_eq!(
            errors,
            [
                "spec.ephemeralContainers[0].name: Duplicate value: \"a\"",
                "spec.ephemeralContainers[0].targetContainerName: Not found: \"none\"",
                "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
            ]
        );
    }
}
