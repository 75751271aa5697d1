//! apps: the controllers that keep pods running.

use super::entry::{GroupVersion, SCALE, names};
use super::field::Field;
use super::{Kind, Selectable};

const V1: GroupVersion = GroupVersion::new("apps", "v1");

pub(super) static KINDS: &[Kind] = &[
    V1.namespaced(names!("io.k8s.api.apps.v1", ControllerRevision, "controllerrevisions")),
    Kind {
        short_names: &["ds"],
        categories: &["all"],
        subresources: &[V1.status("DaemonSet")],
        ..V1.namespaced(names!("io.k8s.api.apps.v1", DaemonSet, "daemonsets"))
    },
    Kind {
        short_names: &["deploy"],
        categories: &["all"],
        subresources: &[SCALE, V1.status("Deployment")],
        ..V1.namespaced(names!("io.k8s.api.apps.v1", Deployment, "deployments"))
    },
    Kind {
        short_names: &["rs"],
        categories: &["all"],
        subresources: &[SCALE, V1.status("ReplicaSet")],
        fields: Selectable(&[Field::new("status.replicas", &["status", "replicas"]).or("0")]),
        ..V1.namespaced(names!("io.k8s.api.apps.v1", ReplicaSet, "replicasets"))
    },
    Kind {
        short_names: &["sts"],
        categories: &["all"],
        subresources: &[SCALE, V1.status("StatefulSet")],
        ..V1.namespaced(names!("io.k8s.api.apps.v1", StatefulSet, "statefulsets"))
    },
];
