//! The parts of a pod that change while it runs, each by a subresource of its own: its containers' resources, and
//! containers that join it.

use serde_json::Value;

use super::super::super::PartRules;
use super::{containers, qos, resources};
use crate::field::{Errors, Node};
use crate::value::{at, items_mut, list, replace, text};

const MIRROR: &str = "kubernetes.io/config.mirror";

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

fn is_mirror(pod: &Value) -> bool {
    at(pod, "metadata.annotations").get(MIRROR).is_some()
}

fn resize(pod: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let spec = pod.at("spec");
    if is_mirror(old) {
        return errors.push(pod.forbidden("static pods cannot be resized"));
    }
    if text(old, "spec.os.name") == "windows" {
        return errors.push(pod.forbidden("windows pods cannot be resized"));
    }
    if text(old, "status.qosClass") != qos::class(pod.value) {
        let class = at(old, "status.qosClass").clone();
        errors.push(spec.invalid_as(class, "Pod QOS Class may not change as a result of resizing"));
    }
    if runs_where_it_cannot(old) {
        errors.push(spec.forbidden("Pod running on node without support for resize"));
    }
    for kind in ["containers", "initContainers"] {
        let containers = spec.at(kind);
        let was = list(at(old, "spec"), kind);
        if containers.list().len() != was.len() {
            errors.push(containers.forbidden("pod updates may not add or remove containers"));
            continue;
        }
        for (container, was) in containers.items().zip(was) {
            container_resize(&container, was, kind == "initContainers", errors);
        }
    }
}

/// A node that does not tell what its containers have does not change it either.
fn runs_where_it_cannot(pod: &Value) -> bool {
    let silent = |status: &Value| {
        !at(status, "state.running").is_null() && status.get("resources").is_none_or(Value::is_null)
    };
    text(pod, "status.phase") == "Running" && list(pod, "status.containerStatuses").iter().any(silent)
}

fn container_resize(container: &Node<'_, '_>, was: &Value, init: bool, errors: &mut Errors) {
    let resources = container.at("resources");
    let old = at(was, "resources");
    let changed = resources.value != old && !(resources.is_zero() && crate::value::is_zero(old));
    if !changed
        && container.at("resizePolicy").value == at(was, "resizePolicy")
        && text(was, "name") == container.at("name").text()
    {
        return;
    }
    if init && text(was, "restartPolicy") != "Always" {
        return errors.push(resources.forbidden("resources for non-sidecar init containers are immutable"));
    }
    if !list(old, "claims").is_empty() {
        return errors.push(resources.forbidden("containers with resource claims cannot be resized"));
    }
    resources::requirements(&resources, errors);
    for (kind, words) in
        [("limits", "resource limits cannot be removed"), ("requests", "resource requests cannot be removed")]
    {
        let had = at(old, kind).as_object().into_iter().flatten();
        if had.map(|(name, _)| name).any(|name| at(resources.value, kind).get(name).is_none()) {
            errors.push(resources.at(kind).forbidden(words));
        }
    }
    if fixed(container.value) != fixed(was) {
        let whole = Node::root(container.value);
        errors.push(crate::field::FieldError {
            field: "spec".into(),
            ..whole.forbidden("only cpu and memory resources are mutable")
        });
    }
}

/// A container without what may change about it.
fn fixed(container: &Value) -> Value {
    let mut fixed = container.clone();
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
    let spec = pod.at("spec");
    if is_mirror(old) {
        return errors.push(pod.forbidden("static pods do not support ephemeral containers"));
    }
    containers::ephemeral(&spec, errors);
    let containers = spec.at("ephemeralContainers");
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
        json!({"metadata": {"name": "p"}, "status": {"qosClass": "Burstable"}, "spec": {"containers": [
            {"name": "a", "image": "i", "terminationMessagePolicy": "File", "imagePullPolicy": "Always", "resources": resources}]}})
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
                "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
                "spec.ephemeralContainers[0].targetContainerName: Not found: \"none\"",
            ]
        );
    }
}
