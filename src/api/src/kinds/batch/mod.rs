//! batch: work that ends.

mod defaults;
mod indexes;
mod policy;
mod rules;
mod status;
mod table;
#[cfg(test)]
mod tests;

use super::core::pod::workload_warnings;
use super::entry::{GroupVersion, names};
use super::field::Field;
use super::{Dependents, Generation, Kind, Selectable, Strategy};

const V1: GroupVersion = GroupVersion::new("batch", "v1");

const PODS_STAY: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to \
                         remove them or set propagationPolicy=Orphan to suppress this warning";

pub(super) static KINDS: &[Kind] = &[
    Kind {
        short_names: &["cj"],
        categories: &["all"],
        subresources: &[V1.status("CronJob")],
        strategy: Strategy {
            defaults: defaults::cron_job,
            validate: rules::cron_job,
            validate_create: rules::new_cron_job,
            validate_update: rules::cron_job_update,
            warnings: |cron, old| workload_warnings("spec.jobTemplate.spec.template", cron, old),
            generation: Generation::Spec,
            ..Strategy::PLAIN
        },
        table: &table::CRON_JOB,
        ..V1.namespaced(names!("io.k8s.api.batch.v1", CronJob, "cronjobs"))
    },
    Kind {
        categories: &["all"],
        subresources: &[V1.status("Job")],
        strategy: Strategy {
            defaults: defaults::job,
            prepare_create: defaults::generate_selector,
            validate: rules::job,
            validate_create: rules::new_job,
            validate_status: status::job,
            warnings: |job, old| workload_warnings("spec.template", job, old),
            validate_update: rules::job_update,
            dependents: Dependents::StayWith(PODS_STAY),
            generation: Generation::Spec,
            ..Strategy::PLAIN
        },
        table: &table::JOB,
        fields: Selectable(&[Field::new("status.successful", &["status", "succeeded"]).or("0")]),
        ..V1.namespaced(names!("io.k8s.api.batch.v1", Job, "jobs"))
    },
];
