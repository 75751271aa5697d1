//! node.k8s.io: container runtimes a pod may ask for.

use super::Kind;
use super::entry::{GroupVersion, names};

const V1: GroupVersion = GroupVersion::new("node.k8s.io", "v1");

pub(super) static KINDS: &[Kind] =
    &[V1.cluster(names!("io.k8s.api.node.v1", RuntimeClass, "runtimeclasses"))];
