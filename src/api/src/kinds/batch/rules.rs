//! Rules of jobs.

use serde_json::Value;

use super::super::apps::rules::{immutable, non_negative};
use super::super::core::pod;
use crate::cron;
use crate::field::{Errors, Node};
use crate::selector::LabelSelector;
use crate::selector_rules;
use crate::value::{at, remove};

/// Names of the jobs a CronJob makes end in eleven more characters.
const CRON_NAME_MAX: usize = 52;

pub(super) fn job(object: &Node<'_, '_>, errors: &mut Errors) {
    let spec = object.at("spec");
    job_spec(&spec, errors);
    let selector = spec.at("selector");
    if !selector.is_set() {
        return errors.push(selector.required(""));
    }
    selector_rules::validate(&selector, errors);
    let labels = spec.at("template.metadata.labels");
    if LabelSelector::from_object(selector.value).is_ok_and(|selector| !selector.matches(labels.value)) {
        errors.push(labels.invalid("`selector` does not match template `labels`"));
    }
}

fn job_spec(spec: &Node<'_, '_>, errors: &mut Errors) {
    for field in [
        "parallelism",
        "completions",
        "backoffLimit",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
        "ttlSecondsAfterFinished",
    ] {
        non_negative(&spec.at(field), errors);
    }
    let deadline = spec.at("activeDeadlineSeconds");
    non_negative(&deadline, errors);
    completion(spec, errors);
    pod::template(&spec.at("template"), errors);
    let policy = spec.at("template.spec.restartPolicy");
    match policy.text() {
        "OnFailure" | "Never" => {}
        "" => errors.push(policy.required("valid values: \"OnFailure\", \"Never\"")),
        _ => errors.push(policy.unsupported(&["OnFailure", "Never"])),
    }
    if spec.at("podFailurePolicy").is_set() && policy.text() != "Never" {
        errors.push(
            policy
                .invalid_as(policy.text(), "only \"Never\" is supported when podFailurePolicy is specified"),
        );
    }
    let replacement = spec.at("podReplacementPolicy");
    if replacement.is_set() && !matches!(replacement.text(), "Failed" | "TerminatingOrFailed") {
        errors.push(replacement.unsupported(&["Failed", "TerminatingOrFailed"]));
    }
}

fn completion(spec: &Node<'_, '_>, errors: &mut Errors) {
    let (mode, completions) = (spec.at("completionMode"), spec.at("completions"));
    match mode.text() {
        "" | "NonIndexed" => {
            if spec.at("backoffLimitPerIndex").is_set() {
                errors.push(spec.at("backoffLimitPerIndex").invalid("requires indexed completion mode"));
            }
        }
        "Indexed" => {
            if !completions.is_set() {
                errors.push(completions.required("when completion mode is Indexed"));
            }
            let parallelism = spec.at("parallelism");
            if parallelism.int().is_some_and(|pods| pods > 100_000) {
                errors.push(
                    parallelism
                        .invalid("must be less than or equal to 100000 when completion mode is Indexed"),
                );
            }
        }
        _ => errors.push(mode.unsupported(&["Indexed", "NonIndexed"])),
    }
}

pub(super) fn job_update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let spec = new.at("spec");
    let before = |field: &str| at(at(old, "spec"), field);
    for field in [
        "selector",
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ] {
        immutable(&spec.at(field), before(field), errors);
    }
    completions_update(&spec, at(old, "spec"), errors);
    // The pods of a suspended job that never started may still be steered elsewhere.
    let steerable = at(old, "spec.suspend") == &Value::Bool(true) && at(old, "status.startTime").is_null();
    let template = spec.at("template");
    let same = match steerable {
        true => without_steering(template.value) == without_steering(before("template")),
        false => template.value == before("template"),
    };
    if !same {
        errors.push(template.invalid("field is immutable"));
    }
}

/// An indexed job may grow and shrink with its parallelism.
fn completions_update(spec: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let completions = spec.at("completions");
    let elastic = spec.at("completionMode").text() == "Indexed"
        && completions.is_set()
        && !at(old, "completions").is_null();
    if elastic
        && completions.value != at(old, "completions")
        && completions.value != spec.at("parallelism").value
    {
        let sentence = format!("can only be modified in tandem with {}", spec.at("parallelism").path);
        errors.push(completions.invalid(sentence));
    } else if !elastic {
        immutable(&completions, at(old, "completions"), errors);
    }
}

fn without_steering(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(spec) = template.get_mut("spec") {
        for field in ["nodeSelector", "affinity", "tolerations", "schedulingGates"] {
            remove(spec, field);
        }
    }
    if let Some(metadata) = template.get_mut("metadata") {
        remove(metadata, "labels");
        remove(metadata, "annotations");
    }
    template
}

pub(super) fn cron_job(object: &Node<'_, '_>, errors: &mut Errors) {
    let (spec, name) = (object.at("spec"), object.at("metadata.name"));
    if name.text().len() > CRON_NAME_MAX {
        errors.push(name.invalid("must be no more than 52 characters"));
    }
    schedule(&spec.at("schedule"), errors);
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        non_negative(&spec.at(field), errors);
    }
    let policy = spec.at("concurrencyPolicy");
    match policy.text() {
        "" => errors.push(policy.required("")),
        "Allow" | "Forbid" | "Replace" => {}
        _ => errors.push(policy.unsupported(&["Allow", "Forbid", "Replace"])),
    }
    let zone = spec.at("timeZone");
    if zone.is_set() && zone.text().is_empty() {
        errors.push(zone.invalid("timeZone must be nil or non-empty string"));
    }
    let job = spec.at("jobTemplate.spec");
    job_spec(&job, errors);
    if job.at("manualSelector").value == &Value::Bool(true) {
        errors.push(job.at("manualSelector").unsupported(&["nil", "false"]));
    }
}

fn schedule(schedule: &Node<'_, '_>, errors: &mut Errors) {
    match schedule.text() {
        "" => errors.push(schedule.required("")),
        text if text.contains("TZ") => {
            errors.push(schedule.invalid("cannot use TZ or CRON_TZ in schedule, use timeZone field instead"));
        }
        text => errors.extend(cron::check(text).err().map(|error| schedule.invalid(error.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::{Part, by_resource};

    fn sentences(errors: &Errors) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_job_ends_and_its_template_stays() {
        let kind = by_resource("batch", "v1", "jobs").unwrap();
        let mut job = json!({"metadata": {"name": "j", "namespace": "d", "uid": "u", "resourceVersion": "1"},
            "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}});
        kind.default_object(&mut job);
        (kind.strategy.prepare_create)(&mut job);
        assert_eq!(
            sentences(&kind.validate_create(&job)),
            [
                "spec.template.spec.restartPolicy: Unsupported value: \"Always\": supported values: \"OnFailure\", \"Never\""
            ]
        );
        job["spec"]["template"]["spec"]["restartPolicy"] = "Never".into();
        assert_eq!(sentences(&kind.validate_create(&job)), [""; 0]);
        let mut new = job.clone();
        new["spec"]["template"]["spec"]["containers"][0]["image"] = "other".into();
        new["spec"]["completions"] = 2.into();
        let errors = sentences(&kind.validate_update(&new, &job, Part::Main));
        assert_eq!(errors[0], "spec.completions: Invalid value: 2: field is immutable");
        assert!(
            errors[1].starts_with("spec.template: Invalid value: {")
                && errors[1].ends_with("field is immutable")
        );
    }

    #[test]
    fn schedules() {
        let kind = by_resource("batch", "v1", "cronjobs").unwrap();
        let mut cron = json!({"metadata": {"name": "j", "namespace": "d"}, "spec": {"schedule": "61 * * * *", "jobTemplate":
            {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}}});
        kind.default_object(&mut cron);
        assert_eq!(
            sentences(&kind.validate_create(&cron)),
            ["spec.schedule: Invalid value: \"61 * * * *\": end of range (61) above maximum (59): 61"]
        );
    }
}
