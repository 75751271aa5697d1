//! The pods of a Job as they are made.

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod};

use super::policy::{self, Meaning};
use super::rules::{self, FAILURES, FINALIZER, IGNORED_FAILURES, INDEX};
use super::tally::Tally;
use crate::make_pods;

const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";

/// A pod of the Job, of an index if it has one.
pub(super) fn pod(job: &Job, spec: &JobSpec, index: Option<i32>, tally: &Tally) -> Pod {
    let mut pod = make_pods::of_template(job, &spec.template);
    let finalizers = pod.metadata.finalizers.get_or_insert_default();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        finalizers.push(FINALIZER.into());
    }
    if let Some(index) = index {
        set_index(&mut pod, job.metadata.name.as_deref().unwrap_or_default(), index);
        if spec.backoff_limit_per_index.is_some() {
            note_failures(&mut pod, spec, tally.to_replace.get(&index).map(|pod| &**pod));
        }
    }
    pod
}

fn set_index(pod: &mut Pod, job: &str, index: i32) {
    let name = format!("{job}-{index}");
    pod.metadata.generate_name = Some(make_pods::prefix(&name));
    pod.metadata.annotations.get_or_insert_default().insert(INDEX.into(), index.to_string());
    pod.metadata.labels.get_or_insert_default().insert(INDEX.into(), index.to_string());
    let Some(spec) = &mut pod.spec else { return };
    spec.hostname = Some(name);
    let containers = spec.init_containers.iter_mut().flatten().chain(&mut spec.containers);
    containers.for_each(tell_index);
}

fn tell_index(container: &mut Container) {
    let env = container.env.get_or_insert_default();
    if env.iter().any(|variable| variable.name == INDEX_VARIABLE) {
        return;
    }
    let field = ObjectFieldSelector { field_path: format!("metadata.labels['{INDEX}']"), api_version: None };
    let source = EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() };
    env.push(EnvVar { name: INDEX_VARIABLE.into(), value: None, value_from: Some(source) });
}

/// How often the pods before this one failed travels from one to the next.
fn note_failures(pod: &mut Pod, spec: &JobSpec, replaced: Option<&Pod>) {
    let (counted, ignored) = replaced.map_or((0, 0), |replaced| {
        let (counted, all) = rules::failures(replaced);
        let ignored = all - counted;
        match policy::meaning(spec.pod_failure_policy.as_ref(), replaced) {
            Meaning::Ignored => (counted, ignored + 1),
            Meaning::Counts | Meaning::FailsIndex | Meaning::FailsJob(_) => (counted + 1, ignored),
        }
    });
    let annotations = pod.metadata.annotations.get_or_insert_default();
    annotations.insert(FAILURES.into(), counted.to_string());
    if ignored > 0 {
        annotations.insert(IGNORED_FAILURES.into(), ignored.to_string());
    }
}
