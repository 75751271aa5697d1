//! A node changes itself and the pods bound to it, and nothing else.

use api::status::Status;
use api::value::{at, list, members, text};
use serde_json::Value;

use super::{Attempt, Operation, Warnings, built_in};
use crate::authorize::{Referred, node_of, references_of};

const MIRROR: &str = "kubernetes.io/config.mirror";
const LEASES: &str = "kube-node-lease";

/// Labels of Kubernetes that a node may give itself.
const LABELS: [&str; 11] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

pub(super) fn judge(attempt: &Attempt<'_>, object: &Value) -> Result<Warnings, Status> {
    let Some(node) = node_of(&attempt.request.user) else { return Ok(Warnings::new()) };
    let rule = Restriction { attempt, node, object };
    let kind = attempt.kind();
    match (kind.group, kind.kind, attempt.request.resource.subresource_name()) {
        ("", "Pod", None) => rule.pod(),
        ("", "Pod", Some("status")) => rule.pod_status(),
        ("", "Pod", Some("eviction")) => {
            rule.own_pod(&rule.stored()?, "can only evict pods with spec.nodeName set to itself")
        }
        ("", "Pod", Some(other)) => rule.refuse(&format!(
            "unexpected pod subresource {other:?}, only 'status' and 'eviction' are allowed"
        )),
        ("", "Node", _) => rule.node(),
        ("", "PersistentVolumeClaim", Some("status")) => rule.claim_status(),
        ("", "ServiceAccount", Some("token")) => rule.token(),
        ("coordination.k8s.io", "Lease", _) => rule.lease(),
        ("storage.k8s.io", "CSINode", _) => {
            rule.own_name("can only access CSINode with the same name as the requesting node")
        }
        ("resource.k8s.io", "ResourceSlice", _) => {
            let own = text(object, "spec.nodeName") == node;
            if own {
                Ok(())
            } else {
                rule.refuse("can only create or change ResourceSlices of the requesting node")
            }
        }
        _ => Ok(()),
    }?;
    Ok(Warnings::new())
}

struct Restriction<'a> {
    attempt: &'a Attempt<'a>,
    node: &'a str,
    object: &'a Value,
}

impl Restriction<'_> {
    fn refuse(&self, why: &str) -> Result<(), Status> {
        Err(self.attempt.forbidden(self.object, why))
    }

    fn refuse_node(&self, what: &str) -> Result<(), Status> {
        self.refuse(&format!("node {:?} {what}", self.node))
    }

    /// The object that a subresource is below.
    fn stored(&self) -> Result<Value, Status> {
        let request = self.attempt.request;
        let found = self.attempt.find(self.attempt.kind(), request.namespace(), request.name());
        found.ok_or_else(|| request.not_found())
    }

    fn own_pod(&self, pod: &Value, what: &str) -> Result<(), Status> {
        if text(pod, "spec.nodeName") == self.node { Ok(()) } else { self.refuse_node(what) }
    }

    fn own_name(&self, why: &str) -> Result<(), Status> {
        let named = text(self.object, "metadata.name");
        if named == self.node { Ok(()) } else { self.refuse(why) }
    }

    fn pod(&self) -> Result<(), Status> {
        match self.attempt.operation {
            Operation::Create => self.mirror_pod(),
            Operation::Delete => {
                self.own_pod(self.object, "can only delete pods with spec.nodeName set to itself")
            }
            Operation::Update(_) => self.refuse_node("cannot update pods"),
        }
    }

    /// Nodes make pods for the API to show what they run from files.
    fn mirror_pod(&self) -> Result<(), Status> {
        let pod = self.object;
        if pod["metadata"]["annotations"].get(MIRROR).is_none() {
            return self.refuse(&format!(
                "pod does not have {MIRROR:?} annotation, node {:?} can only create mirror pods",
                self.node
            ));
        }
        self.own_pod(pod, "can only create pods with spec.nodeName set to itself")?;
        self.owner(list(pod, "metadata.ownerReferences"))?;
        let Some(reference) = references_of(pod).into_iter().next() else { return Ok(()) };
        let what = match reference.kind {
            Referred::ServiceAccount => "a service account",
            Referred::Secret => "secrets",
            Referred::ConfigMap => "configmaps",
            Referred::PersistentVolumeClaim => "persistentvolumeclaims",
            Referred::ResourceClaim => "resourceclaims",
        };
        self.refuse_node(&format!("can not create pods that reference {what}"))
    }

    fn owner(&self, owners: &[Value]) -> Result<(), Status> {
        match owners {
            [owner] => {
                let itself = text(owner, "apiVersion") == "v1"
                    && text(owner, "kind") == "Node"
                    && text(owner, "name") == self.node;
                let stored = self.attempt.find(built_in("", "nodes")?, None, self.node).unwrap_or_default();
                let same = text(&stored, "metadata.uid") == text(owner, "uid");
                if itself && same && owner["controller"] == true {
                    return Ok(());
                }
                self.refuse_node("can only create pods with an owner reference set to itself")
            }
            [] => self.refuse_node("can only create pods with an owner reference set to itself"),
            _ => self.refuse_node("can only create pods with a single owner reference set to itself"),
        }
    }

    fn pod_status(&self) -> Result<(), Status> {
        let Operation::Update(old) = self.attempt.operation else {
            return self.refuse("unexpected operation on the status of a pod");
        };
        self.own_pod(old, "can only update pod status for pods with spec.nodeName set to itself")?;
        let changed = |field: &str| at(old, field) != at(self.object, field);
        if changed("metadata.labels") {
            return self.refuse_node("cannot update labels through pod status");
        }
        if changed("status.resourceClaimStatuses") {
            return self.refuse_node("cannot update resource claim statues");
        }
        Ok(())
    }

    fn node(&self) -> Result<(), Status> {
        let name = match text(self.object, "metadata.name") {
            "" => self.attempt.request.name(),
            name => name,
        };
        if name != self.node {
            return self.refuse_node(&format!("is not allowed to modify node {name:?}"));
        }
        let old = match self.attempt.operation {
            Operation::Create => &Value::Null,
            Operation::Update(old) => old,
            Operation::Delete => return Ok(()),
        };
        let labels = forbidden_labels(self.object, old);
        if !labels.is_empty() {
            let did = if old.is_null() { "set the following" } else { "modify" };
            return self.refuse_node(&format!("is not allowed to {did} labels: {}", labels.join(", ")));
        }
        if old.is_null() {
            return Ok(());
        }
        let changed = |field: &str| at(old, field) != at(self.object, field);
        if changed("spec.taints") {
            return self.refuse_node("is not allowed to modify taints");
        }
        if changed("metadata.ownerReferences") {
            return self.refuse_node("is not allowed to modify its own owner references");
        }
        Ok(())
    }

    /// The kubelet reports what became of a claim's size, and changes nothing else of it.
    fn claim_status(&self) -> Result<(), Status> {
        let Operation::Update(old) = self.attempt.operation else { return Ok(()) };
        let reported = |claim: &Value| {
            let mut claim = claim.clone();
            for field in ["allocatedResourceStatuses", "allocatedResources", "capacity", "conditions"] {
                api::value::remove(&mut claim["status"], field);
            }
            for field in ["managedFields", "resourceVersion"] {
                api::value::remove(&mut claim["metadata"], field);
            }
            claim
        };
        if reported(old) == reported(self.object) {
            return Ok(());
        }
        self.refuse_node(
            "is not allowed to update fields other than status.capacity, status.conditions and the resizing status",
        )
    }

    fn token(&self) -> Result<(), Status> {
        let bound = at(self.object, "spec.boundObjectRef");
        if text(bound, "apiVersion") != "v1" || text(bound, "kind") != "Pod" || text(bound, "name").is_empty()
        {
            return self.refuse("node requested token not bound to a pod");
        }
        if text(bound, "uid").is_empty() {
            return self.refuse("node requested token with a pod binding without a uid");
        }
        let pods = built_in("", "pods")?;
        let pod = self.attempt.find(pods, self.attempt.request.namespace(), text(bound, "name"));
        let pod = pod.unwrap_or_default();
        if text(&pod, "metadata.uid") != text(bound, "uid") {
            return self.refuse("node requested token with a pod binding whose uid is not that of the pod");
        }
        if text(&pod, "spec.nodeName") != self.node {
            return self.refuse("node requested token bound to a pod scheduled on a different node");
        }
        Ok(())
    }

    fn lease(&self) -> Result<(), Status> {
        if self.attempt.namespace() != LEASES {
            return self.refuse(&format!("can only access leases in the {LEASES:?} system namespace"));
        }
        self.own_name("can only access node lease with the same name as the requesting node")
    }
}

/// Labels that differ and are not the node's to say.
fn forbidden_labels(new: &Value, old: &Value) -> Vec<String> {
    let (new_labels, old_labels) = (at(new, "metadata.labels"), at(old, "metadata.labels"));
    let keys = members(new, "metadata.labels").chain(members(old, "metadata.labels")).map(|(key, _)| key);
    let differing = keys.filter(|key| new_labels.get(key.as_str()) != old_labels.get(key.as_str()));
    let mut labels: Vec<String> = differing.filter(|key| !is_own_label(key)).cloned().collect();
    labels.sort();
    labels.dedup();
    labels
}

fn is_own_label(key: &str) -> bool {
    let (domain, _) = key.split_once('/').unwrap_or_default();
    let within = |of: &str| domain == of || domain.strip_suffix(of).is_some_and(|rest| rest.ends_with('.'));
    let restricted = within("node-restriction.kubernetes.io");
    let of_kubernetes = within("kubernetes.io") || within("k8s.io");
    let of_kubelet = LABELS.contains(&key) || within("kubelet.kubernetes.io") || within("node.kubernetes.io");
    !restricted && (!of_kubernetes || of_kubelet)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_of_kubernetes_are_not_the_nodes_to_say() {
        for (key, own) in [
            ("disk", true),
            ("example.com/disk", true),
            ("kubernetes.io/hostname", true),
            ("node.kubernetes.io/x", true),
            ("kubelet.kubernetes.io/x", true),
            ("node-restriction.kubernetes.io/x", false),
            ("a.node-restriction.kubernetes.io/x", false),
            ("node-role.kubernetes.io/control-plane", false),
            ("x.k8s.io/y", false),
        ] {
            assert_eq!(is_own_label(key), own, "{key}");
        }
        let node = |labels: Value| json!({"metadata": {"labels": labels}});
        let old = node(json!({"node-role.kubernetes.io/a": "", "x.k8s.io/y": "1"}));
        let new = node(json!({"node-role.kubernetes.io/a": ""}));
        assert_eq!(forbidden_labels(&new, &old), ["x.k8s.io/y"]);
    }
}
