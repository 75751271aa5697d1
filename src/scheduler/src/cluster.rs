//! The snapshot, kept up to date: what the caches say, and what was decided that they do not show yet.

use std::collections::HashMap;
use std::sync::Arc;

use client::Key;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};

use crate::decide::Nominations;
use crate::facts::{NodeFacts, PodFacts};
use crate::queue::Happening;
use crate::snapshot::Snapshot;

#[derive(Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) snapshot: Snapshot,
    pub(crate) nominations: Nominations,
    /// Pods that were given a node which the cache does not show yet.
    assumed: HashMap<Key, (String, Arc<PodFacts>)>,
}

impl Cluster {
    /// Starts again from what the caches hold now.
    pub(crate) fn rebuild(&mut self, nodes: Vec<Arc<Node>>, pods: &[Arc<Pod>]) {
        let namespaces = self.snapshot.namespaces().clone();
        self.snapshot = Snapshot::default();
        self.snapshot.set_namespaces(namespaces);
        nodes.into_iter().for_each(|node| self.snapshot.put_node(NodeFacts::new(node)));
        for (node, pod) in self.assumed.values() {
            self.snapshot.place(node, pod.clone());
        }
        pods.iter().for_each(|pod| self.put(pod));
    }

    pub(crate) fn set_namespaces(&mut self, namespaces: &[Arc<Namespace>]) {
        let labels = |namespace: &Arc<Namespace>| {
            (namespace.metadata.name.clone().unwrap_or_default(), namespace.metadata.labels.clone())
        };
        self.snapshot.set_namespaces(namespaces.iter().map(labels).collect());
    }

    /// A pod as the cache shows it: takes up room if it has a node, or is promised some.
    pub(crate) fn put(&mut self, pod: &Arc<Pod>) {
        let key = Key::of(&**pod);
        match node_of(pod) {
            Some(node) => {
                self.settle(&key);
                self.snapshot.place(node, Arc::new(PodFacts::new(pod.clone())));
            }
            None => {
                if let Some(node) =
                    pod.status.as_ref().and_then(|status| status.nominated_node_name.as_deref())
                    && !node.is_empty()
                    && !self.assumed.contains_key(&key)
                {
                    self.nominations.add(node, Arc::new(PodFacts::new(pod.clone())));
                }
            }
        }
    }

    /// A pod that is gone, or finished and needs nothing any more.
    pub(crate) fn remove(&mut self, pod: &Pod) {
        let key = Key::of(pod);
        self.disown(&key);
        self.nominations.remove(&key);
        if let Some(node) = node_of(pod) {
            self.snapshot.displace(node, &key);
        }
    }

    /// Gives a pod a node before the API server has agreed.
    pub(crate) fn assume(&mut self, pod: Arc<PodFacts>, node: &str) {
        self.snapshot.place(node, pod.clone());
        self.assumed.insert(pod.key.clone(), (node.to_string(), pod));
    }

    /// The API server did not agree; false if the promise is over already, or was made to a later pod of that name.
    pub(crate) fn disown_pod(&mut self, pod: &PodFacts) -> bool {
        let ours = self.assumed.get(&pod.key).is_some_and(|(_, assumed)| assumed.uid() == pod.uid());
        if ours {
            self.disown(&pod.key);
        }
        ours
    }

    fn disown(&mut self, key: &Key) {
        if let Some((node, _)) = self.assumed.remove(key) {
            self.snapshot.displace(&node, key);
        }
    }

    /// The cache shows a pod on its node.
    fn settle(&mut self, key: &Key) {
        self.disown(key);
        self.nominations.remove(key);
    }

    pub(crate) fn is_assumed(&self, key: &Key) -> bool {
        self.assumed.contains_key(key)
    }

    /// A node as it is now; what that may change for those who wait.
    pub(crate) fn renew(&mut self, old: &Node, new: &Arc<Node>) -> Vec<Happening> {
        let name = new.metadata.name.as_deref().unwrap_or_default();
        if let Some(facts) = self.snapshot.node(name) {
            let renewed = facts.renewed(new.clone());
            self.snapshot.put_node(renewed);
        }
        let taints = |node: &Node| {
            node.spec
                .as_ref()
                .map(|spec| (spec.taints.clone().unwrap_or_default(), spec.unschedulable.unwrap_or_default()))
        };
        let allocatable = |node: &Node| node.status.as_ref().and_then(|status| status.allocatable.clone());
        let mut happenings = Vec::new();
        if old.metadata.labels != new.metadata.labels {
            happenings.push(Happening::NodeLabels);
        }
        if taints(old) != taints(new) {
            happenings.push(Happening::NodeTaints);
        }
        if allocatable(old) != allocatable(new) {
            happenings.push(Happening::NodeResources);
        }
        happenings
    }
}

/// The node that a pod has, or had.
pub(crate) fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).filter(|node| !node.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::{facts, node, pod};

    fn spec() -> serde_json::Value {
        json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]})
    }

    fn taken(cluster: &Cluster) -> i64 {
        cluster.snapshot.node("a").unwrap().requested.cpu
    }

    #[test]
    fn a_promise_counts_until_the_cache_shows_it_and_never_twice() {
        let mut cluster = Cluster::default();
        let nodes = vec![Arc::new(node("a", "4"))];
        cluster.rebuild(nodes.clone(), &[]);
        let waiting = Arc::new(facts("p", spec()));
        cluster.assume(waiting.clone(), "a");
        assert_eq!(taken(&cluster), 1000);
        cluster.rebuild(nodes, std::slice::from_ref(&waiting.pod));
        assert_eq!(taken(&cluster), 1000, "a relist does not forget a promise");
        let mut bound = spec();
        bound["nodeName"] = "a".into();
        cluster.put(&Arc::new(pod("p", bound.clone())));
        assert_eq!((taken(&cluster), cluster.is_assumed(&waiting.key)), (1000, false));
        cluster.remove(&pod("p", bound));
        assert_eq!(taken(&cluster), 0);
    }

    #[test]
    fn a_promise_that_was_refused_is_taken_back() {
        let mut cluster = Cluster::default();
        cluster.rebuild(vec![Arc::new(node("a", "4"))], &[]);
        let waiting = Arc::new(facts("p", spec()));
        cluster.assume(waiting.clone(), "a");
        assert!(cluster.disown_pod(&waiting));
        assert_eq!(taken(&cluster), 0);
        assert!(!cluster.disown_pod(&waiting), "once");
    }

    #[test]
    fn only_what_matters_of_a_node_is_news() {
        let mut cluster = Cluster::default();
        let old = Arc::new(node("a", "4"));
        cluster.rebuild(vec![old.clone()], &[]);
        let mut beat = node("a", "4");
        beat.metadata.resource_version = Some("7".into());
        assert_eq!(cluster.renew(&old, &Arc::new(beat)), []);
        assert_eq!(cluster.renew(&old, &Arc::new(node("a", "8"))), [Happening::NodeResources]);
        assert_eq!(cluster.snapshot.node("a").unwrap().allocatable.cpu, 8000);
    }
}
