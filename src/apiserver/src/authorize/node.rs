//! What a node may do: what its role says, and of what is private only what the pods bound to it refer to.
//!
//! Which pods those are is kept in an index that is brought up to date when a node asks, from the store's own events:
//! there is no task that could lag behind a kubelet which has just been told of its pod.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use api::value::{at, text};
use futures_util::FutureExt;
use serde_json::Value;
use store::{Entry, Event, Store, Watch};
use tracing::warn;

use super::policy::Policy;
use super::references::{Reference, Referred, of_pod};
use super::rule::{Access, Attempt};
use crate::user::User;

const PODS: &str = "/pods/";
const NAMES: &str = "system:node:";
const GROUP: &str = "system:nodes";
const LEASES: &str = "kube-node-lease";

/// The name of the node behind a user, if it is one.
pub(crate) fn name_of(user: &User) -> Option<&str> {
    user.name.strip_prefix(NAMES).filter(|name| !name.is_empty() && user.is_in(GROUP))
}

#[derive(Debug)]
pub(super) struct Nodes {
    store: Store,
    index: Mutex<Index>,
}

/// The pods that are bound to nodes, as of the last question.
#[derive(Debug, Default)]
struct Index {
    /// None before the first question, and after too much happened since the last.
    watch: Option<Watch>,
    pods: HashMap<String, Bound>,
    /// How many pods of a node refer to an object of a namespace.
    counts: HashMap<String, HashMap<(String, Reference), usize>>,
}

#[derive(Debug)]
struct Bound {
    node: String,
    namespace: String,
    references: Vec<Reference>,
}

impl Nodes {
    pub(super) fn new(store: Store) -> Self {
        Self { store, index: Mutex::default() }
    }

    pub(super) fn allow(&self, policy: &Policy, user: &User, attempt: &Attempt<'_>) -> bool {
        let (Some(node), Attempt::Resource(access)) = (name_of(user), attempt) else { return false };
        policy.node_allows(attempt) && self.concerns(node, access)
    }

    /// Whether what the role of nodes allows is this node's business.
    fn concerns(&self, node: &str, access: &Access<'_>) -> bool {
        let named = access.name == Some(node);
        match (access.group, access.resource, access.subresource) {
            ("", "secrets", None) => self.refers(node, Referred::Secret, access) || self.mounts(node, access),
            ("", "configmaps", None) => self.refers(node, Referred::ConfigMap, access),
            ("", "persistentvolumeclaims", None | Some("status")) => {
                self.refers(node, Referred::PersistentVolumeClaim, access)
            }
            ("resource.k8s.io", "resourceclaims", None) => self.refers(node, Referred::ResourceClaim, access),
            ("", "serviceaccounts", None | Some("token")) => {
                self.refers(node, Referred::ServiceAccount, access)
            }
            ("", "persistentvolumes", None) => access.name.is_some_and(|name| self.has_volume(node, name)),
            ("storage.k8s.io", "volumeattachments", None) => {
                let key = |name| format!("/volumeattachments.storage.k8s.io/{name}");
                let attachment = access.name.and_then(|name| self.read(&key(name)));
                attachment.is_some_and(|attachment| text(&attachment, "spec.nodeName") == node)
            }
            ("", "nodes", _) => access.verb == "create" || named,
            ("storage.k8s.io", "csinodes", _) => access.verb == "create" || named,
            ("coordination.k8s.io", "leases", _) => {
                access.namespace == Some(LEASES) && (access.verb == "create" || named)
            }
            ("", "pods", None) => match access.verb {
                "get" => self.runs(node, access),
                "list" | "watch" => access.node == Some(node),
                // The node restriction looks at the pod itself.
                _ => true,
            },
            ("", "pods", Some("status")) if access.verb == "get" => self.runs(node, access),
            ("resource.k8s.io", "resourceslices", _) => {
                matches!(access.verb, "create" | "get" | "update" | "patch" | "delete")
                    || access.node == Some(node)
            }
            _ => true,
        }
    }

    fn refers(&self, node: &str, kind: Referred, access: &Access<'_>) -> bool {
        let (Some(namespace), Some(name)) = (access.namespace, access.name) else { return false };
        self.current().refers(node, namespace, kind, name)
    }

    fn runs(&self, node: &str, access: &Access<'_>) -> bool {
        let (Some(namespace), Some(name)) = (access.namespace, access.name) else { return false };
        let index = self.current();
        index.pods.get(&format!("{PODS}{namespace}/{name}")).is_some_and(|pod| pod.node == node)
    }

    /// Whether a volume is bound to a claim that a pod of the node uses.
    fn has_volume(&self, node: &str, name: &str) -> bool {
        let Some(volume) = self.read(&format!("/persistentvolumes/{name}")) else { return false };
        let claim = at(&volume, "spec.claimRef");
        let (namespace, name) = (text(claim, "namespace"), text(claim, "name"));
        self.current().refers(node, namespace, Referred::PersistentVolumeClaim, name)
    }

    /// Whether a volume that a pod of the node uses names the secret.
    fn mounts(&self, node: &str, access: &Access<'_>) -> bool {
        let (Some(namespace), Some(name)) = (access.namespace, access.name) else { return false };
        let claims = self.current().claims(node);
        claims.into_iter().any(|(of, claim)| {
            let claim = self.read(&format!("/persistentvolumeclaims/{of}/{claim}")).unwrap_or_default();
            let key = format!("/persistentvolumes/{}", text(&claim, "spec.volumeName"));
            let volume = self.read(&key).unwrap_or_default();
            ["nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef"].iter().any(|field| {
                let secret = at(at(&volume, "spec.csi"), field);
                text(secret, "name") == name && text(secret, "namespace") == namespace
            })
        })
    }

    fn read(&self, key: &str) -> Option<Value> {
        serde_json::from_slice(self.store.get(key)?.value()).ok()
    }

    /// The index, with everything in it that has happened by now.
    fn current(&self) -> MutexGuard<'_, Index> {
        // An index that was left half changed is made anew.
        let mut index = self.index.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
            let mut index = poisoned.into_inner();
            *index = Index::default();
            index
        });
        if !index.catch_up() {
            index.read(&self.store);
        }
        index
    }
}

impl Index {
    /// Takes in what has happened since; false if that is not known.
    fn catch_up(&mut self) -> bool {
        let Some(mut watch) = self.watch.take() else { return false };
        loop {
            match watch.next().now_or_never() {
                Some(Ok(events)) => events.iter().for_each(|event| self.apply(event)),
                Some(Err(_)) => return false,
                None => break,
            }
        }
        self.watch = Some(watch);
        true
    }

    fn read(&mut self, store: &Store) {
        *self = Self::default();
        let snapshot = store.snapshot(PODS);
        snapshot.iter().for_each(|entry| self.add(entry));
        self.watch = store.watch(PODS, snapshot.revision()).ok();
    }

    fn apply(&mut self, event: &Event) {
        self.remove(event.key());
        if let Some(entry) = event.entry() {
            self.add(entry);
        }
    }

    fn add(&mut self, entry: &Entry) {
        let pod: Value = match serde_json::from_slice(entry.value()) {
            Ok(pod) => pod,
            Err(error) => {
                return warn!(key = entry.key(), %error, "a pod that cannot be read entitles its node to nothing");
            }
        };
        let node = text(&pod, "spec.nodeName");
        if node.is_empty() {
            return;
        }
        let (node, namespace) = (node.to_owned(), text(&pod, "metadata.namespace").to_owned());
        let references = of_pod(&pod);
        let counts = self.counts.entry(node.clone()).or_default();
        for reference in &references {
            *counts.entry((namespace.clone(), reference.clone())).or_default() += 1;
        }
        self.pods.insert(entry.key().to_owned(), Bound { node, namespace, references });
    }

    fn remove(&mut self, key: &str) {
        let Some(Bound { node, namespace, references }) = self.pods.remove(key) else { return };
        let Some(counts) = self.counts.get_mut(&node) else { return };
        for reference in references {
            let of = (namespace.clone(), reference);
            match counts.get_mut(&of) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(counts.remove(&of)),
            }
        }
        if counts.is_empty() {
            self.counts.remove(&node);
        }
    }

    fn refers(&self, node: &str, namespace: &str, kind: Referred, name: &str) -> bool {
        let of = (namespace.to_owned(), Reference { kind, name: name.to_owned() });
        self.counts.get(node).is_some_and(|counts| counts.contains_key(&of))
    }

    /// The claims that pods of the node use, by namespace and name.
    fn claims(&self, node: &str) -> Vec<(String, String)> {
        let counts = self.counts.get(node).into_iter().flat_map(HashMap::keys);
        let claims = counts.filter(|(_, reference)| reference.kind == Referred::PersistentVolumeClaim);
        claims.map(|(namespace, reference)| (namespace.clone(), reference.name.clone())).collect()
    }
}
