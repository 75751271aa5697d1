//! networking.k8s.io: ingress, network policies and the addresses of Services.

mod address;
mod ingress;
mod policy;

use super::Kind;
use super::entry::{GroupVersion, names};

const V1: GroupVersion = GroupVersion::new("networking.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[
    Kind {
        strategy: ingress::CLASS,
        table: &ingress::CLASS_TABLE,
        ..V1.cluster(names!("io.k8s.api.networking.v1", IngressClass, "ingressclasses"))
    },
    Kind {
        short_names: &["ing"],
        subresources: &[V1.status("Ingress")],
        strategy: ingress::STRATEGY,
        table: &ingress::TABLE,
        ..V1.namespaced(names!("io.k8s.api.networking.v1", Ingress, "ingresses"))
    },
    Kind {
        short_names: &["ip"],
        strategy: address::ADDRESS,
        table: &address::ADDRESS_TABLE,
        ..V1.cluster(names!("io.k8s.api.networking.v1", IPAddress, "ipaddresses"))
    },
    Kind {
        short_names: &["netpol"],
        strategy: policy::STRATEGY,
        table: &policy::TABLE,
        ..V1.namespaced(names!("io.k8s.api.networking.v1", NetworkPolicy, "networkpolicies"))
    },
    Kind {
        subresources: &[V1.status("ServiceCIDR")],
        strategy: address::RANGE,
        table: &address::RANGE_TABLE,
        ..V1.cluster(names!("io.k8s.api.networking.v1", ServiceCIDR, "servicecidrs"))
    },
];
