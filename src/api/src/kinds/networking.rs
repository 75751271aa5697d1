//! networking.k8s.io: ingress, network policies and the addresses of Services.

use super::Kind;
use super::entry::{GroupVersion, names};

const V1: GroupVersion = GroupVersion::new("networking.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[
    V1.cluster(names!("io.k8s.api.networking.v1", IngressClass, "ingressclasses")),
    Kind {
        short_names: &["ing"],
        subresources: &[V1.status("Ingress")],
        ..V1.namespaced(names!("io.k8s.api.networking.v1", Ingress, "ingresses"))
    },
    Kind { short_names: &["ip"], ..V1.cluster(names!("io.k8s.api.networking.v1", IPAddress, "ipaddresses")) },
    Kind {
        short_names: &["netpol"],
        ..V1.namespaced(names!("io.k8s.api.networking.v1", NetworkPolicy, "networkpolicies"))
    },
    Kind {
        subresources: &[V1.status("ServiceCIDR")],
        ..V1.cluster(names!("io.k8s.api.networking.v1", ServiceCIDR, "servicecidrs"))
    },
];
