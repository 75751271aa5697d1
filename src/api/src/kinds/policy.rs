//! policy: disruption budgets. Eviction is a subresource of pods.

use super::Kind;
use super::entry::{GroupVersion, names};

const V1: GroupVersion = GroupVersion::new("policy", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    short_names: &["pdb"],
    subresources: &[V1.status("PodDisruptionBudget")],
    ..V1.namespaced(names!("io.k8s.api.policy.v1", PodDisruptionBudget, "poddisruptionbudgets"))
}];
