//! flowcontrol.apiserver.k8s.io: fairness between clients of the API server.

use super::Kind;
use super::entry::{GroupVersion, names};

const V1: GroupVersion = GroupVersion::new("flowcontrol.apiserver.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[
    Kind {
        subresources: &[V1.status("FlowSchema")],
        ..V1.cluster(names!("io.k8s.api.flowcontrol.v1", FlowSchema, "flowschemas"))
    },
    Kind {
        subresources: &[V1.status("PriorityLevelConfiguration")],
        ..V1.cluster(names!(
            "io.k8s.api.flowcontrol.v1",
            PriorityLevelConfiguration,
            "prioritylevelconfigurations"
        ))
    },
];
