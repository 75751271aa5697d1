//! Which objects a pod refers to: what its node must be able to read, and no more.

use api::value::{at, list, text};
use serde_json::Value;

/// An object that a pod needs, by kind and name in the pod's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reference {
    pub(crate) kind: Referred,
    pub(crate) name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Referred {
    ConfigMap,
    PersistentVolumeClaim,
    ResourceClaim,
    Secret,
    ServiceAccount,
}

/// Every object that the pod refers to; some twice.
pub(crate) fn of_pod(pod: &Value) -> Vec<Reference> {
    let mut found = Found::default();
    let spec = at(pod, "spec");
    found.add(Referred::ServiceAccount, text(spec, "serviceAccountName"));
    for secret in list(spec, "imagePullSecrets") {
        found.add(Referred::Secret, text(secret, "name"));
    }
    for kind in ["initContainers", "containers", "ephemeralContainers"] {
        list(spec, kind).iter().for_each(|container| found.container(container));
    }
    for volume in list(spec, "volumes") {
        found.volume(volume, text(pod, "metadata.name"));
    }
    for claim in list(spec, "resourceClaims") {
        found.add(Referred::ResourceClaim, text(claim, "resourceClaimName"));
    }
    for claim in list(pod, "status.resourceClaimStatuses") {
        found.add(Referred::ResourceClaim, text(claim, "resourceClaimName"));
    }
    found.0
}

#[derive(Default)]
struct Found(Vec<Reference>);

impl Found {
    fn add(&mut self, kind: Referred, name: &str) {
        if !name.is_empty() {
            self.0.push(Reference { kind, name: name.to_owned() });
        }
    }

    fn container(&mut self, container: &Value) {
        for source in list(container, "envFrom") {
            self.add(Referred::ConfigMap, text(source, "configMapRef.name"));
            self.add(Referred::Secret, text(source, "secretRef.name"));
        }
        for variable in list(container, "env") {
            self.add(Referred::ConfigMap, text(variable, "valueFrom.configMapKeyRef.name"));
            self.add(Referred::Secret, text(variable, "valueFrom.secretKeyRef.name"));
        }
    }

    fn volume(&mut self, volume: &Value, pod: &str) {
        self.add(Referred::Secret, text(volume, "secret.secretName"));
        self.add(Referred::ConfigMap, text(volume, "configMap.name"));
        self.add(Referred::PersistentVolumeClaim, text(volume, "persistentVolumeClaim.claimName"));
        if volume.get("ephemeral").is_some() {
            self.add(Referred::PersistentVolumeClaim, &format!("{pod}-{}", text(volume, "name")));
        }
        for source in list(volume, "projected.sources") {
            self.add(Referred::Secret, text(source, "secret.name"));
            self.add(Referred::ConfigMap, text(source, "configMap.name"));
        }
        self.add(Referred::Secret, text(volume, "azureFile.secretName"));
        self.add(Referred::Secret, text(volume, "csi.nodePublishSecretRef.name"));
        for driver in ["cephfs", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"] {
            self.add(Referred::Secret, text(at(volume, driver), "secretRef.name"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_a_kubelet_fetches_for_a_pod_is_found() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {
            "serviceAccountName": "till", "imagePullSecrets": [{"name": "s1"}],
            "initContainers": [{"envFrom": [{"secretRef": {"name": "s2"}}]}],
            "containers": [{"env": [{"valueFrom": {"configMapKeyRef": {"name": "c1", "key": "k"}}}]}],
            "volumes": [{"name": "v", "ephemeral": {}}, {"persistentVolumeClaim": {"claimName": "d"}},
                {"projected": {"sources": [{"configMap": {"name": "c2"}}, {"serviceAccountToken": {}}]}},
                {"csi": {"driver": "x", "nodePublishSecretRef": {"name": "s3"}}}]}});
        let found = of_pod(&pod);
        let names = |kind: Referred| -> Vec<&str> {
            found.iter().filter(|one| one.kind == kind).map(|one| one.name.as_str()).collect()
        };
        assert_eq!(names(Referred::ServiceAccount), ["till"]);
        assert_eq!(names(Referred::Secret), ["s1", "s2", "s3"]);
        assert_eq!(names(Referred::ConfigMap), ["c1", "c2"]);
        assert_eq!(names(Referred::PersistentVolumeClaim), ["p-v", "d"]);
    }
}
