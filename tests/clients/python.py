"""Kubernetes' own Python library: its typed, dynamic and watching clients."""

from kubernetes import client, config, dynamic, watch

WEB = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
    "spec": {
        "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    },
}


def equal(is_, should):
    assert is_ == should, f"{is_!r}, not {should!r}"


def refused(code, reason, call, *arguments):
    try:
        call(*arguments)
    except client.ApiException as error:
        equal(error.status, code)
        assert f'"reason":"{reason}"' in error.body, error.body
    else:
        raise AssertionError(f"not refused with {code}")


config.load_kube_config()
core, apps, auth = client.CoreV1Api(), client.AppsV1Api(), client.AuthorizationV1Api()
equal(client.VersionApi().get_code().minor, "37")

# Typed.
core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="py")))
made = core.create_namespaced_config_map(
    "py", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="a"), data={"k": "v"}))
core.patch_namespaced_config_map("a", "py", {"data": {"x": "y"}})
core.patch_namespaced_config_map("a", "py", [{"op": "add", "path": "/data/z", "value": "1"}])
equal(core.read_namespaced_config_map("a", "py").data, {"k": "v", "x": "y", "z": "1"})
made.data = {"k": "2"}
refused(409, "Conflict", core.replace_namespaced_config_map, "a", "py", made)
refused(404, "NotFound", core.read_namespaced_config_map, "none", "py")
refused(409, "AlreadyExists", core.create_namespaced_config_map, "py", client.V1ConfigMap(metadata={"name": "a"}))
refused(422, "Invalid", core.create_namespaced_config_map, "py", client.V1ConfigMap(metadata={"name": "A"}))
apps.create_namespaced_deployment("py", WEB)
equal(apps.patch_namespaced_deployment_scale("web", "py", {"spec": {"replicas": 3}}).spec.replicas, 3)
core.create_namespaced_config_map("py", client.V1ConfigMap(metadata={"name": "b", "labels": {"app": "b"}}))
names, token = [], None
while token != "":
    page = core.list_namespaced_config_map("py", limit=1, _continue=token)
    names += [item.metadata.name for item in page.items]
    token = page.metadata._continue or ""
assert {"a", "b"} <= set(names), names
review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(
    resource_attributes=client.V1ResourceAttributes(verb="get", resource="pods")))
equal(auth.create_self_subject_access_review(review).status.allowed, True)

# Watching: what is there, then what happens.
seen = []
for event in watch.Watch().stream(core.list_namespaced_config_map, "py", label_selector="app=b", timeout_seconds=60):
    seen.append(event["type"])
    if seen == ["ADDED"]:
        core.patch_namespaced_config_map("b", "py", {"data": {"n": "1"}})
    elif seen == ["ADDED", "MODIFIED"]:
        core.delete_namespaced_config_map("b", "py")
    else:
        break
equal(seen, ["ADDED", "MODIFIED", "DELETED"])

# Dynamic.
anything = dynamic.DynamicClient(client.ApiClient())
deployments = anything.resources.get(api_version="apps/v1", kind="Deployment")
equal(deployments.get(name="web", namespace="py").spec.replicas, 3)
applied = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 4}}
laid = deployments.server_side_apply(
    name="web", namespace="py", body=applied, field_manager="py", force_conflicts=True)
equal(laid.spec.replicas, 4)
merge = "application/merge-patch+json"
equal(deployments.patch(name="web", namespace="py", body={"spec": {"replicas": 1}}, content_type=merge).spec.replicas, 1)
for event in deployments.watch(namespace="py", timeout=60):
    equal(event["object"].metadata.name, "web")
    break
core.delete_collection_namespaced_config_map("py", field_selector="metadata.name=a")
refused(404, "NotFound", core.read_namespaced_config_map, "a", "py")
deployments.delete(name="web", namespace="py", propagation_policy="Background")
core.delete_namespace("py")
