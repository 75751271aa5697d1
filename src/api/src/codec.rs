//! Kubernetes' typed structs, to and from JSON, for API clients.
//!
//! Generic serde code for these types costs seconds of CPU in every crate that instantiates it. It is instantiated here and
//! nowhere else: [`Typed`] is implemented by plain functions, and code that is generic over it brings no serde along.

use k8s_openapi::Resource as _;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod,
    ReplicationController, ResourceQuota, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, NetworkPolicy};
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::{
    CSIDriver, CSINode, StorageClass, VolumeAttachment, VolumeAttributesClass,
};
use thiserror::Error;

#[derive(Debug, Error)]
#[error("not a {kind}")]
pub struct Error {
    pub kind: &'static str,
    #[source]
    pub source: serde_json::Error,
}

/// A kind that components read and write.
pub trait Typed: k8s_openapi::Resource + Sized {
    fn decode(json: &[u8]) -> Result<Self, Error>;
    fn encode(&self) -> Result<Vec<u8>, Error>;
}

/// Whether components can read an object of a kind; none of a kind that no component reads.
pub fn check(api_version: &str, kind: &str, json: &[u8]) -> Option<Result<(), Error>> {
    let read = |known: &&Reading| known.api_version == api_version && known.kind == kind;
    READINGS.iter().find(read).map(|known| (known.decode)(json))
}

struct Reading {
    api_version: &'static str,
    kind: &'static str,
    decode: fn(&[u8]) -> Result<(), Error>,
}

macro_rules! typed {
    ($($kind:ty),+ $(,)?) => {
        const READINGS: &[Reading] = &[$(Reading {
            api_version: <$kind as k8s_openapi::Resource>::API_VERSION,
            kind: <$kind as k8s_openapi::Resource>::KIND,
            decode: |json| <$kind as Typed>::decode(json).map(drop),
        }),+];

        $(impl Typed for $kind {
            fn decode(json: &[u8]) -> Result<Self, Error> {
                serde_json::from_slice(json).map_err(|source| Error { kind: Self::KIND, source })
            }

            fn encode(&self) -> Result<Vec<u8>, Error> {
                serde_json::to_vec(self).map_err(|source| Error { kind: Self::KIND, source })
            }
        })+
    };
}

typed!(
    CSIDriver,
    CSINode,
    CertificateSigningRequest,
    ClusterRole,
    ClusterRoleBinding,
    ConfigMap,
    ControllerRevision,
    CronJob,
    DaemonSet,
    Deployment,
    EndpointSlice,
    Endpoints,
    Event,
    HorizontalPodAutoscaler,
    Ingress,
    IngressClass,
    Job,
    Lease,
    LimitRange,
    Namespace,
    NetworkPolicy,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    PodDisruptionBudget,
    PriorityClass,
    ReplicaSet,
    ReplicationController,
    ResourceQuota,
    Role,
    RoleBinding,
    RuntimeClass,
    Secret,
    Service,
    ServiceAccount,
    StatefulSet,
    StorageClass,
    VolumeAttachment,
    VolumeAttributesClass,
);

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use serde_json::{Value, json};

    use super::*;
    use crate::schema::{Strict, by_name, decode};

    #[test]
    fn a_stored_object_survives_the_round_trip() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [
            {"name": "c", "resources": {"limits": {"cpu": "1"}}}]}});
        let node = by_name("io.k8s.api.core.v1.Pod").expect("a built-in type");
        let stored = decode(pod.to_string().as_bytes(), node, &mut Strict::default()).expect("a pod");
        let typed = Pod::decode(stored.to_string().as_bytes()).expect("a pod");
        assert_eq!(typed.metadata.name.as_deref(), Some("p"));
        let encoded: Value = serde_json::from_slice(&typed.encode().expect("JSON")).expect("JSON");
        assert_eq!(encoded, stored);
    }

    #[test]
    fn what_is_another_kind_is_refused_by_name() {
        let error = Pod::decode(br#"{"apiVersion":"v1","kind":"Node","metadata":{}}"#).expect_err("a Node");
        assert_eq!(error.to_string(), "not a Pod");
        assert!(error.source().is_some());
    }
}
