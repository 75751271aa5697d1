//! batch: work that ends.

use super::entry::{GroupVersion, names};
use super::field::Field;
use super::{Kind, Selectable};

const V1: GroupVersion = GroupVersion::new("batch", "v1");

pub(super) static KINDS: &[Kind] = &[
    Kind {
        short_names: &["cj"],
        categories: &["all"],
        subresources: &[V1.status("CronJob")],
        ..V1.namespaced(names!("io.k8s.api.batch.v1", CronJob, "cronjobs"))
    },
    Kind {
        categories: &["all"],
        subresources: &[V1.status("Job")],
        fields: Selectable(&[Field::new("status.successful", &["status", "succeeded"]).or("0")]),
        ..V1.namespaced(names!("io.k8s.api.batch.v1", Job, "jobs"))
    },
];
