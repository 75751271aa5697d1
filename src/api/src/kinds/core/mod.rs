//! The core group: pods, services, nodes and what configures them.

mod config;
pub(super) mod endpoints;
mod event;
mod limits;
mod namespace;
mod node;
pub(super) mod old_labels;
pub(super) mod pod;
mod quota;
pub(super) mod service;
pub(super) mod volume;

use std::time::Duration;

use serde_json::Value;

use super::entry::{CREATE, GET_WRITE, GroupVersion, SCALE, names};
use super::field::Field;
use super::{Dependents, Deprecation, Generation, Kind, Selectable, Strategy, Subresource, Verb};
use crate::table::{Column, NAME, Table, name};
use crate::value::{at, default_to, default_zero_to, list, text};

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
        table: &COMPONENT_STATUS,
        deprecation: Some(Deprecation { since: "1.19", removed: None, replacement: None }),
        ..V1.cluster(names!("io.k8s.api.core.v1", ComponentStatus, "componentstatuses"))
    },
    Kind {
        short_names: &["cm"],
        strategy: config::CONFIG_MAP,
        table: &config::CONFIG_MAP_TABLE,
        ..V1.namespaced(names!("io.k8s.api.core.v1", ConfigMap, "configmaps"))
    },
    Kind {
        short_names: &["ep"],
        strategy: endpoints::ENDPOINTS,
        table: &endpoints::ENDPOINTS_TABLE,
        deprecation: Some(Deprecation {
            since: "1.33",
            removed: None,
            replacement: Some(("discovery.k8s.io", "v1", "EndpointSlice")),
        }),
        ..V1.namespaced(names!("io.k8s.api.core.v1", Endpoints, "endpoints"))
    },
    Kind {
        short_names: &["ev"],
        fields: EVENT_FIELDS,
        soft: true,
        ttl: Some(EVENT_TTL),
        strategy: endpoints::EVENT,
        table: &endpoints::EVENT_TABLE,
        ..V1.namespaced(names!("io.k8s.api.core.v1", Event, "events"))
    },
    Kind {
        short_names: &["limits"],
        strategy: quota::LIMIT_RANGE,
        ..V1.namespaced(names!("io.k8s.api.core.v1", LimitRange, "limitranges"))
    },
    Kind {
        short_names: &["ns"],
        verbs: NAMESPACE_VERBS,
        subresources: &[
            V1.sub("finalize", "Namespace", &[Verb::Update]).with(&namespace::FINALIZE),
            V1.status("Namespace"),
        ],
        fields: Selectable(&[
            Field::new("name", &["metadata", "name"]),
            Field::new("status.phase", &["status", "phase"]),
        ]),
        strategy: namespace::STRATEGY,
        table: &namespace::TABLE,
        ..V1.cluster(names!("io.k8s.api.core.v1", Namespace, "namespaces"))
    },
    Kind {
        short_names: &["no"],
        subresources: &[V1.sub("proxy", "NodeProxyOptions", PROXY), V1.status("Node")],
        fields: Selectable(&[Field::new("spec.unschedulable", &["spec", "unschedulable"]).or("false")]),
        strategy: node::STRATEGY,
        table: &node::TABLE,
        ..V1.cluster(names!("io.k8s.api.core.v1", Node, "nodes"))
    },
    Kind {
        short_names: &["pvc"],
        subresources: &[V1.status("PersistentVolumeClaim")],
        strategy: volume::CLAIM,
        table: &volume::CLAIM_TABLE,
        ..V1.namespaced(names!("io.k8s.api.core.v1", PersistentVolumeClaim, "persistentvolumeclaims"))
    },
    Kind {
        short_names: &["pv"],
        subresources: &[V1.status("PersistentVolume")],
        strategy: volume::VOLUME,
        table: &volume::VOLUME_TABLE,
        ..V1.cluster(names!("io.k8s.api.core.v1", PersistentVolume, "persistentvolumes"))
    },
    Kind {
        short_names: &["po"],
        categories: &["all"],
        subresources: POD_SUBRESOURCES,
        fields: POD_FIELDS,
        strategy: pod::STRATEGY,
        table: &pod::TABLE,
        ..V1.namespaced(names!("io.k8s.api.core.v1", Pod, "pods"))
    },
    Kind {
        strategy: pod::TEMPLATE_STRATEGY,
        table: &pod::TEMPLATE_TABLE,
        ..V1.namespaced(names!("io.k8s.api.core.v1", PodTemplate, "podtemplates"))
    },
    Kind {
        short_names: &["rc"],
        categories: &["all"],
        subresources: &[SCALE, V1.status("ReplicationController")],
        fields: Selectable(&[Field::new("status.replicas", &["status", "replicas"]).or("0")]),
        strategy: REPLICATION_CONTROLLER,
        table: &super::apps::table::REPLICAS,
        ..V1.namespaced(names!("io.k8s.api.core.v1", ReplicationController, "replicationcontrollers"))
    },
    Kind {
        short_names: &["quota"],
        subresources: &[V1.status("ResourceQuota")],
        strategy: quota::QUOTA,
        table: &quota::QUOTA_TABLE,
        ..V1.namespaced(names!("io.k8s.api.core.v1", ResourceQuota, "resourcequotas"))
    },
    Kind {
        fields: Selectable(&[Field::new("type", &["type"])]),
        strategy: config::SECRET,
        table: &config::SECRET_TABLE,
        ..V1.namespaced(names!("io.k8s.api.core.v1", Secret, "secrets"))
    },
    Kind {
        short_names: &["sa"],
        subresources: &[GroupVersion::new("authentication.k8s.io", "v1").sub(
            "token",
            "TokenRequest",
            CREATE,
        )],
        strategy: config::SERVICE_ACCOUNT,
        table: &config::SERVICE_ACCOUNT_TABLE,
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
        strategy: service::STRATEGY,
        table: &service::TABLE,
        ..V1.namespaced(names!("io.k8s.api.core.v1", Service, "services"))
    },
];

const POD_SUBRESOURCES: &[Subresource] = &[
    V1.sub("attach", "PodAttachOptions", STREAM),
    V1.sub("binding", "Binding", CREATE),
    V1.sub("ephemeralcontainers", "Pod", GET_WRITE).with(&pod::EPHEMERAL),
    GroupVersion::new("policy", "v1").sub("eviction", "Eviction", CREATE),
    V1.sub("exec", "PodExecOptions", STREAM),
    V1.sub("log", "Pod", &[Verb::Get]),
    V1.sub("portforward", "PodPortForwardOptions", STREAM),
    V1.sub("proxy", "PodProxyOptions", PROXY),
    V1.sub("resize", "Pod", GET_WRITE).with(&pod::RESIZE),
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
    Field::new("source", &["source", "component"]).or_at(&["reportingComponent"]),
    Field::new("type", &["type"]),
]);

const REPLICATION_CONTROLLER: Strategy = Strategy {
    defaults: replication_defaults,
    validate: super::apps::rules::replication_controller,
    validate_status: super::apps::status::replicas,
    warnings: |object, old| pod::workload_warnings("spec.template", object, old),
    dependents: Dependents::Stay,
    generation: Generation::Spec,
    ..Strategy::PLAIN
};

/// Selector and labels follow the template where they are left out.
fn replication_defaults(controller: &mut Value) {
    let labels = at(controller, "spec.template.metadata.labels").clone();
    if let Some(spec) = controller.get_mut("spec").filter(|spec| spec.is_object()) {
        pod::default_template(spec);
        default_to(spec, "replicas", 1);
        if labels.is_object() {
            default_zero_to(spec, "selector", labels.clone());
        }
    }
    if labels.is_object()
        && let Some(metadata) = controller.get_mut("metadata")
    {
        default_zero_to(metadata, "labels", labels);
    }
}

static COMPONENT_STATUS: Table = Table {
    columns: &[NAME, Column::text("Status"), Column::text("Message"), Column::text("Error")],
    cells: |component, _| {
        let healthy =
            list(component, "conditions").iter().find(|condition| text(condition, "type") == "Healthy");
        let of = |field: &str| healthy.map_or("", |condition| text(condition, field));
        let status = match of("status") {
            "True" => "Healthy",
            "False" => "Unhealthy",
            _ => "Unknown",
        };
        vec![name(component), status.into(), of("message").into(), of("error").into()]
    },
};
