//! apps: the controllers that keep pods running.

mod defaults;
pub(super) mod rollout;
pub(super) mod rules;
pub(super) mod status;
pub(super) mod table;

use super::core::pod::{template_warnings, workload_warnings};
use super::entry::{GroupVersion, SCALE, names};
use super::field::Field;
use super::{Generation, Kind, NameRule, Selectable, Strategy};

const V1: GroupVersion = GroupVersion::new("apps", "v1");

const WORKLOAD: Strategy = Strategy {
    validate_update: rules::selector_is_immutable,
    generation: Generation::Spec,
    warnings: |object, old| template_warnings("spec.template", object, old),
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
        strategy: Strategy {
            defaults: defaults::daemon_set,
            prepare_create: defaults::first_template,
            prepare_update: defaults::next_template,
            validate: rules::daemon_set,
            validate_status: status::daemon_set,
            ..WORKLOAD
        },
        table: &table::DAEMON_SET,
        ..V1.namespaced(names!("io.k8s.api.apps.v1", DaemonSet, "daemonsets"))
    },
    Kind {
        short_names: &["deploy"],
        categories: &["all"],
        subresources: &[SCALE, V1.status("Deployment")],
        strategy: Strategy {
            defaults: defaults::deployment,
            warnings: |object, old| workload_warnings("spec.template", object, old),
            prepare_status: status::keep_labels,
            validate: rules::deployment,
            validate_status: status::deployment,
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
        strategy: Strategy {
            defaults: defaults::replica_set,
            warnings: |object, old| workload_warnings("spec.template", object, old),
            validate: rules::replica_set,
            validate_status: status::replicas,
            ..WORKLOAD
        },
        table: &table::REPLICAS,
        fields: Selectable(&[Field::new("status.replicas", &["status", "replicas"]).or("0")]),
        ..V1.namespaced(names!("io.k8s.api.apps.v1", ReplicaSet, "replicasets"))
    },
    Kind {
        short_names: &["sts"],
        categories: &["all"],
        subresources: &[SCALE, V1.status("StatefulSet")],
        strategy: Strategy {
            name: NameRule::Label,
            defaults: defaults::stateful_set,
            validate: rules::stateful_set,
            validate_create: rules::new_stateful_set,
            validate_status: status::stateful_set,
            validate_update: rules::stateful_set_update,
            ..WORKLOAD
        },
        table: &table::STATEFUL_SET,
        ..V1.namespaced(names!("io.k8s.api.apps.v1", StatefulSet, "statefulsets"))
    },
];
