//! Versions that upstream served once and people still have in their files. Each is a view of the kind that is stored now,
//! answers with a warning, and stands in discovery after the version to prefer.

mod budget;
mod endpoint_slice;
mod ingress;
mod scaler;
mod workload;

use serde_json::Value;

use super::entry::{GroupVersion, names};
use super::{Conversion, Dependents, Deprecation, Kind, Strategy};

/// autoscaling/v1 has its metrics in the same form, where it has them at all.
pub(in crate::kinds) use scaler::{from_hub as flatten_metrics, to_hub as nest_metrics};

const EXTENSIONS: GroupVersion = GroupVersion::new("extensions", "v1beta1");
const NETWORKING: GroupVersion = GroupVersion::new("networking.k8s.io", "v1beta1");
const APPS1: GroupVersion = GroupVersion::new("apps", "v1beta1");
const APPS2: GroupVersion = GroupVersion::new("apps", "v1beta2");
const BATCH: GroupVersion = GroupVersion::new("batch", "v1beta1");
const POLICY: GroupVersion = GroupVersion::new("policy", "v1beta1");
const RBAC: GroupVersion = GroupVersion::new("rbac.authorization.k8s.io", "v1beta1");
const SCALERS1: GroupVersion = GroupVersion::new("autoscaling", "v2beta1");
const SCALERS2: GroupVersion = GroupVersion::new("autoscaling", "v2beta2");
const STORAGE: GroupVersion = GroupVersion::new("storage.k8s.io", "v1beta1");
const DISCOVERY: GroupVersion = GroupVersion::new("discovery.k8s.io", "v1beta1");

/// The group and version that hold an object now.
type Hub = (&'static str, &'static str);

const APPS: Hub = ("apps", "v1");
const NETWORKS: Hub = ("networking.k8s.io", "v1");
const ROLES: Hub = ("rbac.authorization.k8s.io", "v1");
const VOLUMES: Hub = ("storage.k8s.io", "v1");

/// How an object is read and written under an old version.
#[derive(Clone, Copy)]
struct Shape {
    to_hub: fn(&mut Value),
    from_hub: fn(&mut Value),
    /// Fields that came later, as [`Conversion::later`] has them.
    later: &'static [&'static str],
}

impl Shape {
    /// One without fields that it does not have.
    const fn new(to_hub: fn(&mut Value), from_hub: fn(&mut Value)) -> Self {
        Self { to_hub, from_hub, later: &[] }
    }
}

const SAME: Shape = Shape::new(|_| {}, |_| {});

/// Who deletes in such a version leaves behind what is owned.
const OLD: Strategy = Strategy { dependents: Dependents::Stay, ..Strategy::PLAIN };

/// `kind` as a view of the kind of the same name in `hub`.
const fn view(kind: Kind, hub: Hub, shape: Shape, since: &'static str, removed: &'static str) -> Kind {
    let Shape { to_hub, from_hub, later } = shape;
    Kind {
        conversion: Some(Conversion { hub: (hub.0, hub.1, kind.plural), to_hub, from_hub, later }),
        deprecation: Some(Deprecation {
            since,
            removed: Some(removed),
            replacement: Some((hub.0, hub.1, kind.kind)),
        }),
        ..kind
    }
}

macro_rules! kind {
    ($version:expr, $scope:ident, $package:literal, $kind:ident, $plural:literal) => {
        $version.$scope(names!($package, $kind, $plural))
    };
    ($version:expr, $scope:ident, $package:literal, $kind:ident, $plural:literal, status) => {
        Kind {
            subresources: const { &[$version.status(stringify!($kind))] },
            ..kind!($version, $scope, $package, $kind, $plural)
        }
    };
}

macro_rules! workload {
    ($version:expr, $kind:ident, $plural:literal) => {
        Kind { strategy: OLD, ..kind!($version, namespaced, "io.k8s.api.apps.v1", $kind, $plural, status) }
    };
}

macro_rules! revisions {
    ($version:expr) => {
        kind!($version, namespaced, "io.k8s.api.apps.v1", ControllerRevision, "controllerrevisions")
    };
}

macro_rules! scaler {
    ($version:expr) => {
        kind!(
            $version,
            namespaced,
            "io.k8s.api.autoscaling.v2",
            HorizontalPodAutoscaler,
            "horizontalpodautoscalers",
            status
        )
    };
}

macro_rules! ingress {
    ($version:expr) => {
        kind!($version, namespaced, "io.k8s.api.networking.v1", Ingress, "ingresses", status)
    };
}

macro_rules! role {
    ($scope:ident, $kind:ident, $plural:literal) => {
        view(kind!(RBAC, $scope, "io.k8s.api.rbac.v1", $kind, $plural), ROLES, SAME, "1.17", "1.22")
    };
}

macro_rules! volume {
    ($scope:ident, $kind:ident, $plural:literal, $since:literal, $removed:literal) => {
        view(kind!(STORAGE, $scope, "io.k8s.api.storage.v1", $kind, $plural), VOLUMES, SAME, $since, $removed)
    };
}

pub(super) static KINDS: &[Kind] = &[
    view(revisions!(APPS2), APPS, SAME, "1.9", "1.16"),
    view(workload!(APPS2, DaemonSet, "daemonsets"), APPS, SAME, "1.9", "1.16"),
    view(workload!(APPS2, Deployment, "deployments"), APPS, SAME, "1.9", "1.16"),
    view(workload!(APPS2, ReplicaSet, "replicasets"), APPS, SAME, "1.9", "1.16"),
    view(workload!(APPS2, StatefulSet, "statefulsets"), APPS, SAME, "1.9", "1.16"),
    view(revisions!(APPS1), APPS, SAME, "1.8", "1.16"),
    view(workload!(APPS1, Deployment, "deployments"), APPS, workload::DEPLOYMENT, "1.8", "1.16"),
    view(workload!(APPS1, StatefulSet, "statefulsets"), APPS, workload::STATEFUL_SET, "1.8", "1.16"),
    view(scaler!(SCALERS2), ("autoscaling", "v2"), scaler::WITHOUT_TOLERANCE, "1.23", "1.26"),
    view(scaler!(SCALERS1), ("autoscaling", "v2"), scaler::SHAPE, "1.22", "1.25"),
    view(
        Kind {
            strategy: OLD,
            ..kind!(BATCH, namespaced, "io.k8s.api.batch.v1", CronJob, "cronjobs", status)
        },
        ("batch", "v1"),
        SAME,
        "1.21",
        "1.25",
    ),
    view(ingress!(NETWORKING), NETWORKS, ingress::SHAPE, "1.19", "1.22"),
    view(
        kind!(NETWORKING, cluster, "io.k8s.api.networking.v1", IngressClass, "ingressclasses"),
        NETWORKS,
        SAME,
        "1.19",
        "1.22",
    ),
    view(
        kind!(
            POLICY,
            namespaced,
            "io.k8s.api.policy.v1",
            PodDisruptionBudget,
            "poddisruptionbudgets",
            status
        ),
        ("policy", "v1"),
        budget::SHAPE,
        "1.21",
        "1.25",
    ),
    role!(cluster, ClusterRoleBinding, "clusterrolebindings"),
    role!(cluster, ClusterRole, "clusterroles"),
    role!(namespaced, RoleBinding, "rolebindings"),
    role!(namespaced, Role, "roles"),
    volume!(cluster, CSIDriver, "csidrivers", "1.19", "1.22"),
    volume!(cluster, CSINode, "csinodes", "1.17", "1.22"),
    volume!(namespaced, CSIStorageCapacity, "csistoragecapacities", "1.24", "1.27"),
    volume!(cluster, StorageClass, "storageclasses", "1.19", "1.22"),
    volume!(cluster, VolumeAttachment, "volumeattachments", "1.19", "1.22"),
    view(
        kind!(DISCOVERY, namespaced, "io.k8s.api.discovery.v1", EndpointSlice, "endpointslices"),
        ("discovery.k8s.io", "v1"),
        endpoint_slice::SHAPE,
        "1.21",
        "1.25",
    ),
    view(workload!(EXTENSIONS, DaemonSet, "daemonsets"), APPS, workload::OLD_DAEMON_SET, "1.8", "1.16"),
    view(workload!(EXTENSIONS, Deployment, "deployments"), APPS, workload::OLD_DEPLOYMENT, "1.8", "1.16"),
    view(ingress!(EXTENSIONS), NETWORKS, ingress::SHAPE, "1.14", "1.22"),
    view(
        kind!(EXTENSIONS, namespaced, "io.k8s.api.networking.v1", NetworkPolicy, "networkpolicies"),
        NETWORKS,
        SAME,
        "1.9",
        "1.16",
    ),
    view(workload!(EXTENSIONS, ReplicaSet, "replicasets"), APPS, workload::OLD_REPLICA_SET, "1.8", "1.16"),
];
