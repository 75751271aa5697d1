//! discovery.k8s.io: which addresses stand behind a Service.

use super::Kind;
use super::entry::{GroupVersion, names};

const V1: GroupVersion = GroupVersion::new("discovery.k8s.io", "v1");

pub(super) static KINDS: &[Kind] =
    &[V1.namespaced(names!("io.k8s.api.discovery.v1", EndpointSlice, "endpointslices"))];
