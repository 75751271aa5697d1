"""Helm 4, the library that the command is made of: install, upgrade, history, rollback, uninstall."""

import helm_python as helm
from kubernetes import client, config

config.load_kube_config()
apps, core = client.AppsV1Api(), client.CoreV1Api()


def replicas():
    return apps.read_namespaced_deployment("site", "helm").spec.replicas


def equal(is_, should):
    assert is_ == should, f"{is_!r}, not {should!r}"


with helm.Config(namespace="helm") as releases:
    installed = releases.install("/tmp/site", "site", create_namespace=True)
    equal((installed["status"], installed["revision"], replicas()), ("deployed", 1, 1))
    assert core.read_namespaced_config_map("site", "helm").data["kubernetes"].startswith("v1.37.")
    upgraded = releases.upgrade("/tmp/site", "site", {"replicas": 3})
    equal((upgraded["revision"], replicas()), (2, 3))
    releases.rollback("site", version=1)
    equal(replicas(), 1)
    history = [(release["revision"], release["status"]) for release in releases.history("site")]
    equal(sorted(history), [(1, "superseded"), (2, "superseded"), (3, "deployed")])
    equal([release["name"] for release in releases.list()], ["site"])
    releases.uninstall("site")
    equal(releases.list(), [])
    equal([item.metadata.name for item in apps.list_namespaced_deployment("helm").items], [])
