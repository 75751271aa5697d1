//! scheduling.k8s.io: priorities of pods.

use super::Kind;
use super::entry::{GroupVersion, names};

const V1: GroupVersion = GroupVersion::new("scheduling.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    short_names: &["pc"],
    ..V1.cluster(names!("io.k8s.api.scheduling.v1", PriorityClass, "priorityclasses"))
}];
