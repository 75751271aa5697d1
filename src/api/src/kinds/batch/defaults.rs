//! Defaults of jobs.

use serde_json::Value;

use super::super::core::pod::default_template;
use crate::value::{at, default_to, default_zero_to, is_zero, items_mut, object, text};

pub(super) fn job(job: &mut Value) {
    if let Some(spec) = job.get_mut("spec").filter(|spec| spec.is_object()) {
        job_spec(spec);
    }
    labels_from_template(job);
}

fn job_spec(spec: &mut Value) {
    default_template(spec);
    if at(spec, "parallelism").is_null() {
        default_to(spec, "completions", 1);
    }
    default_to(spec, "parallelism", 1);
    // With a limit per index the limit of the whole job is as good as none.
    let limit = if at(spec, "backoffLimitPerIndex").is_null() { 6 } else { i32::MAX };
    default_to(spec, "backoffLimit", limit);
    default_zero_to(spec, "completionMode", "NonIndexed");
    default_to(spec, "suspend", false);
    default_to(spec, "manualSelector", false);
    let replacement = if at(spec, "podFailurePolicy").is_null() { "TerminatingOrFailed" } else { "Failed" };
    default_to(spec, "podReplacementPolicy", replacement);
    failure_policy(spec);
}

fn failure_policy(spec: &mut Value) {
    if let Some(policy) = spec.get_mut("podFailurePolicy") {
        for rule in items_mut(policy, "rules") {
            for pattern in items_mut(rule, "onPodConditions") {
                default_zero_to(pattern, "status", "True");
            }
        }
    }
}

/// A job without labels takes those of its pods.
fn labels_from_template(job: &mut Value) {
    let labels = at(job, "spec.template.metadata.labels").clone();
    if labels.is_object()
        && is_zero(at(job, "metadata.labels"))
        && let Some(metadata) = object(job, "metadata")
    {
        metadata.insert("labels".into(), labels);
    }
}

pub(super) fn cron_job(cron: &mut Value) {
    let Some(spec) = cron.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    default_zero_to(spec, "concurrencyPolicy", "Allow");
    default_to(spec, "suspend", false);
    default_to(spec, "successfulJobsHistoryLimit", 3);
    default_to(spec, "failedJobsHistoryLimit", 1);
    // The job made from the template gets the defaults of a job; the template only those of its pods.
    if let Some(job) = spec.get_mut("jobTemplate").and_then(|template| template.get_mut("spec")) {
        default_template(job);
        failure_policy(job);
    }
}

const UID_LABELS: [&str; 2] = ["batch.kubernetes.io/controller-uid", "controller-uid"];
const NAME_LABELS: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];

/// Unless its author insists on a selector, a job selects its pods by its own uid. What the author wrote there stays: the
/// rules refuse it if it says anything else.
pub(super) fn generate_selector(job: &mut Value) {
    if at(job, "spec.manualSelector") == &Value::Bool(true) {
        return;
    }
    let (uid, name) = (text(job, "metadata.uid").to_owned(), text(job, "metadata.name").to_owned());
    let Some(spec) = job.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    if let Some(labels) = nested(spec, &["template", "metadata", "labels"]) {
        for label in UID_LABELS {
            labels.entry(label).or_insert_with(|| uid.as_str().into());
        }
        for label in NAME_LABELS {
            labels.entry(label).or_insert_with(|| name.as_str().into());
        }
    }
    if let Some(selector) = nested(spec, &["selector", "matchLabels"]) {
        selector.entry(UID_LABELS[0]).or_insert_with(|| uid.into());
    }
}

fn nested<'a>(value: &'a mut Value, path: &[&str]) -> Option<&'a mut serde_json::Map<String, Value>> {
    let (last, parents) = path.split_last()?;
    let parent = parents.iter().try_fold(value, |value, field| {
        object(value, field)?;
        value.get_mut(*field)
    })?;
    object(parent, last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_runs_once_and_finds_its_pods_by_its_uid() {
        let mut object = json!({"metadata": {"name": "j", "uid": "u"}, "spec": {"template": {"spec": {"containers": []}}}});
        job(&mut object);
        generate_selector(&mut object);
        let spec = &object["spec"];
        assert_eq!(
            (&spec["completions"], &spec["parallelism"], &spec["backoffLimit"]),
            (&1.into(), &1.into(), &6.into())
        );
        assert_eq!(spec["selector"], json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}));
        assert_eq!(spec["template"]["metadata"]["labels"]["job-name"], "j");
        let mut copied = object.clone();
        copied["metadata"]["uid"] = "v".into();
        generate_selector(&mut copied);
        assert_eq!(
            copied["spec"], object["spec"],
            "what is copied from another job is for the rules to refuse"
        );
    }

    #[test]
    fn parallel_work_has_no_fixed_number_of_completions() {
        let mut object = json!({"spec": {"parallelism": 3}});
        job(&mut object);
        assert_eq!(object["spec"].get("completions"), None);
    }
}
