//! The nodes and what is on them, at one moment.
//!
//! Nodes are shared between snapshots: "the same without these three pods" costs one node, so preemption can ask what
//! would be if without touching what is.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::Key;

use crate::facts::{NodeFacts, PodFacts};

/// The labels of every namespace.
pub(crate) type Namespaces = BTreeMap<String, Option<BTreeMap<String, String>>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    nodes: BTreeMap<String, Arc<NodeFacts>>,
    namespaces: Arc<Namespaces>,
}

impl Snapshot {
    pub(crate) fn nodes(&self) -> impl ExactSizeIterator<Item = &NodeFacts> {
        self.nodes.values().map(|node| &**node)
    }

    pub(crate) fn node(&self, name: &str) -> Option<&NodeFacts> {
        self.nodes.get(name).map(|node| &**node)
    }

    pub(crate) fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    pub(crate) fn set_namespaces(&mut self, namespaces: Namespaces) {
        self.namespaces = Arc::new(namespaces);
    }

    /// Puts a node in place of what was known of it before.
    pub(crate) fn put_node(&mut self, node: NodeFacts) {
        self.nodes.insert(node.name.clone(), Arc::new(node));
    }

    /// Puts a pod on a node; false if there is no such node.
    pub(crate) fn place(&mut self, node: &str, pod: Arc<PodFacts>) -> bool {
        let node = self.nodes.get_mut(node).map(Arc::make_mut);
        node.map(|node| node.put(pod)).is_some()
    }

    /// Takes a pod off a node.
    pub(crate) fn displace(&mut self, node: &str, key: &Key) -> Option<Arc<PodFacts>> {
        Arc::make_mut(self.nodes.get_mut(node)?).take(key)
    }
}
