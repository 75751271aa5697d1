//! Whether components can read an object that is stored: one that they cannot hides the whole list it is in.

use api::codec::{Error, Typed};
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Event, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Service,
    ServiceAccount,
};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::Role;
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::Value;

type Decode = fn(&[u8]) -> Result<(), Error>;

macro_rules! known {
    ($($kind:ty),+ $(,)?) => {
        &[$((
            <$kind as k8s_openapi::Resource>::API_VERSION,
            <$kind as k8s_openapi::Resource>::KIND,
            |json| <$kind as Typed>::decode(json).map(drop),
        )),+]
    };
}

const KNOWN: &[(&str, &str, Decode)] = known!(
    ConfigMap,
    ControllerRevision,
    CronJob,
    DaemonSet,
    Deployment,
    Event,
    HorizontalPodAutoscaler,
    Ingress,
    Job,
    Lease,
    Namespace,
    NetworkPolicy,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    PodDisruptionBudget,
    ReplicaSet,
    Role,
    Secret,
    Service,
    ServiceAccount,
    StatefulSet,
    StorageClass,
);

/// Fails for an object that its components cannot decode.
pub(super) fn check(object: &Value) {
    let is = |wanted: &&(&str, &str, Decode)| object["apiVersion"] == wanted.0 && object["kind"] == wanted.1;
    if let Some((_, kind, decode)) = KNOWN.iter().find(is) {
        let decoded = decode(object.to_string().as_bytes());
        decoded.unwrap_or_else(|error| {
            panic!("{error}, {kind}: {:?}: {object}", std::error::Error::source(&error))
        });
    }
}
