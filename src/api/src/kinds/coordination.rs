//! coordination.k8s.io: leases, renewed every few seconds and therefore soft.

use super::Kind;
use super::entry::{GroupVersion, names};

const V1: GroupVersion = GroupVersion::new("coordination.k8s.io", "v1");

pub(super) static KINDS: &[Kind] =
    &[Kind { soft: true, ..V1.namespaced(names!("io.k8s.api.coordination.v1", Lease, "leases")) }];
