//! apps: the controllers that keep pods running.

mod defaults;
pub(super) mod rules;
pub(super) mod table;

use super::entry::{GroupVersion, SCALE, names};
use super::field::Field;
use super::{Generation, Kind, Selectable, Strategy};

const V1: GroupVersion = GroupVersion::new("apps", "v1");

const WORKLOAD: Strategy = Strategy {
    validate_update: rules::selector_is_immutable,
    generation: Generation::Spec,
    ..Strategy::PLAIN
};

pub(super) static KINDS: &[Kind] = &[
    Kind {
        strategy: Strategy {
            validate: rules::controller_revision,
            validate_update: rules::controller_revision_update,
            ..Strategy::PLAIN
        },
        table: &table::CONTROLLER_REVISION,
        ..V1.namespaced(names!("io.k8s.api.apps.v1", ControllerRevision, "controllerrevisions"))
    },
    Kind {
        short_names: &["ds"],
        categories: &["all"],
        subresources: &[V1.status("DaemonSet")],
        strategy: Strategy { defaults: defaults::daemon_set, validate: rules::daemon_set, ..WORKLOAD },
        table: &table::DAEMON_SET,
        ..V1.namespaced(names!("io.k8s.api.apps.v1", DaemonSet, "daemonsets"))
    },
    Kind {
        short_names: &["deploy"],
        categories: &["all"],
        subresources: &[SCALE, V1.status("Deployment")],
        strategy: Strategy {
            defaults: defaults::deployment,
            validate: rules::deployment,
            generation: Generation::SpecAndAnnotations,
            ..WORKLOAD
        },
        table: &table::DEPLOYMENT,
        ..V1.namespaced(names!("io.k8s.api.apps.v1", Deployment, "deployments"))
    },
    Kind {
        short_names: &["rs"],
        categories: &["all"],
        subresources: &[SCALE, V1.status("ReplicaSet")],
        strategy: Strategy { defaults: defaults::replica_set, validate: rules::replica_set, ..WORKLOAD },
        table: &table::REPLICAS,
        fields: Selectable(&[Field::new("status.replicas", &["status", "replicas"]).or("0")]),
        ..V1.namespaced(names!("io.k8s.api.apps.v1", ReplicaSet, "replicasets"))
    },
    Kind {
        short_names: &["sts"],
        categories: &["all"],
        subresources: &[SCALE, V1.status("StatefulSet")],
        strategy: Strategy {
            defaults: defaults::stateful_set,
            validate: rules::stateful_set,
            validate_update: rules::stateful_set_update,
            ..WORKLOAD
        },
        table: &table::STATEFUL_SET,
        ..V1.namespaced(names!("io.k8s.api.apps.v1", StatefulSet, "statefulsets"))
    },
];
