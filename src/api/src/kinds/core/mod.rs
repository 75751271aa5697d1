//! The core group: pods, services, nodes and what configures them.

use std::time::Duration;

use super::entry::{CREATE, GET_WRITE, GroupVersion, SCALE, names};
use super::field::Field;
use super::{Kind, Selectable, Subresource, Verb};

const V1: GroupVersion = GroupVersion::new("", "v1");

/// Connecting verbs: a GET or a POST that becomes a stream.
const STREAM: &[Verb] = &[Verb::Create, Verb::Get];
const PROXY: &[Verb] = &[Verb::Create, Verb::Delete, Verb::Get, Verb::Patch, Verb::Update];
/// Namespaces are never deleted by the dozen.
const NAMESPACE_VERBS: &[Verb] =
    &[Verb::Create, Verb::Delete, Verb::Get, Verb::List, Verb::Patch, Verb::Update, Verb::Watch];

pub(super) const EVENT_TTL: Duration = Duration::from_secs(3600);

pub(super) static KINDS: &[Kind] = &[
    Kind { verbs: CREATE, ..V1.namespaced(names!("io.k8s.api.core.v1", Binding, "bindings")) },
    Kind {
        short_names: &["cs"],
        verbs: &[Verb::Get, Verb::List],
        ..V1.cluster(names!("io.k8s.api.core.v1", ComponentStatus, "componentstatuses"))
    },
    Kind { short_names: &["cm"], ..V1.namespaced(names!("io.k8s.api.core.v1", ConfigMap, "configmaps")) },
    Kind { short_names: &["ep"], ..V1.namespaced(names!("io.k8s.api.core.v1", Endpoints, "endpoints")) },
    Kind {
        short_names: &["ev"],
        fields: EVENT_FIELDS,
        soft: true,
        ttl: Some(EVENT_TTL),
        ..V1.namespaced(names!("io.k8s.api.core.v1", Event, "events"))
    },
    Kind {
        short_names: &["limits"],
        ..V1.namespaced(names!("io.k8s.api.core.v1", LimitRange, "limitranges"))
    },
    Kind {
        short_names: &["ns"],
        verbs: NAMESPACE_VERBS,
        subresources: &[V1.sub("finalize", "Namespace", &[Verb::Update]), V1.status("Namespace")],
        fields: Selectable(&[
            Field::new("name", &["metadata", "name"]),
            Field::new("status.phase", &["status", "phase"]),
        ]),
        ..V1.cluster(names!("io.k8s.api.core.v1", Namespace, "namespaces"))
    },
    Kind {
        short_names: &["no"],
        subresources: &[V1.sub("proxy", "NodeProxyOptions", PROXY), V1.status("Node")],
        fields: Selectable(&[Field::new("spec.unschedulable", &["spec", "unschedulable"]).or("false")]),
        ..V1.cluster(names!("io.k8s.api.core.v1", Node, "nodes"))
    },
    Kind {
        short_names: &["pvc"],
        subresources: &[V1.status("PersistentVolumeClaim")],
        ..V1.namespaced(names!("io.k8s.api.core.v1", PersistentVolumeClaim, "persistentvolumeclaims"))
    },
    Kind {
        short_names: &["pv"],
        subresources: &[V1.status("PersistentVolume")],
        ..V1.cluster(names!("io.k8s.api.core.v1", PersistentVolume, "persistentvolumes"))
    },
    Kind {
        short_names: &["po"],
        categories: &["all"],
        subresources: POD_SUBRESOURCES,
        fields: POD_FIELDS,
        ..V1.namespaced(names!("io.k8s.api.core.v1", Pod, "pods"))
    },
    V1.namespaced(names!("io.k8s.api.core.v1", PodTemplate, "podtemplates")),
    Kind {
        short_names: &["rc"],
        categories: &["all"],
        subresources: &[SCALE, V1.status("ReplicationController")],
        fields: Selectable(&[Field::new("status.replicas", &["status", "replicas"]).or("0")]),
        ..V1.namespaced(names!("io.k8s.api.core.v1", ReplicationController, "replicationcontrollers"))
    },
    Kind {
        short_names: &["quota"],
        subresources: &[V1.status("ResourceQuota")],
        ..V1.namespaced(names!("io.k8s.api.core.v1", ResourceQuota, "resourcequotas"))
    },
    Kind {
        fields: Selectable(&[Field::new("type", &["type"])]),
        ..V1.namespaced(names!("io.k8s.api.core.v1", Secret, "secrets"))
    },
    Kind {
        short_names: &["sa"],
        subresources: &[GroupVersion::new("authentication.k8s.io", "v1").sub(
            "token",
            "TokenRequest",
            CREATE,
        )],
        ..V1.namespaced(names!("io.k8s.api.core.v1", ServiceAccount, "serviceaccounts"))
    },
    Kind {
        short_names: &["svc"],
        categories: &["all"],
        subresources: &[V1.sub("proxy", "ServiceProxyOptions", PROXY), V1.status("Service")],
        fields: Selectable(&[
            Field::new("spec.clusterIP", &["spec", "clusterIP"]),
            Field::new("spec.type", &["spec", "type"]),
        ]),
        ..V1.namespaced(names!("io.k8s.api.core.v1", Service, "services"))
    },
];

const POD_SUBRESOURCES: &[Subresource] = &[
    V1.sub("attach", "PodAttachOptions", STREAM),
    V1.sub("binding", "Binding", CREATE),
    V1.sub("ephemeralcontainers", "Pod", GET_WRITE),
    GroupVersion::new("policy", "v1").sub("eviction", "Eviction", CREATE),
    V1.sub("exec", "PodExecOptions", STREAM),
    V1.sub("log", "Pod", &[Verb::Get]),
    V1.sub("portforward", "PodPortForwardOptions", STREAM),
    V1.sub("proxy", "PodProxyOptions", PROXY),
    V1.sub("resize", "Pod", GET_WRITE),
    V1.status("Pod"),
];

const POD_FIELDS: Selectable = Selectable(&[
    Field::new("spec.host", &["spec", "nodeName"]),
    Field::new("spec.hostNetwork", &["spec", "hostNetwork"]).or("false"),
    Field::new("spec.nodeName", &["spec", "nodeName"]),
    Field::new("spec.restartPolicy", &["spec", "restartPolicy"]),
    Field::new("spec.schedulerName", &["spec", "schedulerName"]),
    Field::new("spec.serviceAccountName", &["spec", "serviceAccountName"]),
    Field::new("status.nominatedNodeName", &["status", "nominatedNodeName"]),
    Field::new("status.phase", &["status", "phase"]),
    Field::new("status.podIP", &["status", "podIP"]),
]);

const EVENT_FIELDS: Selectable = Selectable(&[
    Field::new("involvedObject.apiVersion", &["involvedObject", "apiVersion"]),
    Field::new("involvedObject.fieldPath", &["involvedObject", "fieldPath"]),
    Field::new("involvedObject.kind", &["involvedObject", "kind"]),
    Field::new("involvedObject.name", &["involvedObject", "name"]),
    Field::new("involvedObject.namespace", &["involvedObject", "namespace"]),
    Field::new("involvedObject.resourceVersion", &["involvedObject", "resourceVersion"]),
    Field::new("involvedObject.uid", &["involvedObject", "uid"]),
    Field::new("reason", &["reason"]),
    Field::new("reportingComponent", &["reportingComponent"]),
    Field::new("source", &["source", "component"]),
    Field::new("type", &["type"]),
]);
