//! resource.k8s.io: dynamic resource allocation.

use super::entry::{GroupVersion, names};
use super::field::Field;
use super::{Kind, Selectable};

const V1: GroupVersion = GroupVersion::new("resource.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[
    V1.cluster(names!("io.k8s.api.resource.v1", DeviceClass, "deviceclasses")),
    Kind {
        subresources: &[V1.status("ResourceClaim")],
        ..V1.namespaced(names!("io.k8s.api.resource.v1", ResourceClaim, "resourceclaims"))
    },
    V1.namespaced(names!("io.k8s.api.resource.v1", ResourceClaimTemplate, "resourceclaimtemplates")),
    Kind {
        fields: Selectable(&[
            Field::new("spec.driver", &["spec", "driver"]),
            Field::new("spec.nodeName", &["spec", "nodeName"]),
        ]),
        ..V1.cluster(names!("io.k8s.api.resource.v1", ResourceSlice, "resourceslices"))
    },
];
