//! Rules of jobs and of those that make them by the clock.

use serde_json::Value;

use super::super::apps::rules::{immutable, non_negative};
use super::super::core::pod;
use super::policy;
use crate::cron;
use crate::field::{Errors, Node};
use crate::names;
use crate::selector::LabelSelector;
use crate::selector_rules;
use crate::value::{at, replace, text};

/// Names of the jobs a CronJob makes end in eleven more characters.
const CRON_NAME_MAX: usize = 52;

pub(super) fn job(object: &Node<'_, '_>, errors: &mut Errors) {
    let spec = object.at("spec");
    job_spec(&spec, errors);
    let (selector, template) = (spec.at("selector"), spec.at("template"));
    if !selector.is_set() {
        errors.push(selector.required(""));
    }
    selector_rules::validate(&selector, errors);
    let labels = at(template.value, "metadata.labels");
    let parsed = LabelSelector::from_object(selector.value);
    if parsed.is_ok_and(|parsed| !selector.is_set() || !parsed.matches(labels)) {
        let labels = template.at("metadata.labels");
        errors.push(labels.invalid("`selector` does not match template `labels`"));
    }
}

/// The generated labels, in the order upstream looks for them, and what they hold.
const LABELS: [(&str, &str); 4] = [
    ("controller-uid", "uid"),
    ("job-name", "name"),
    ("batch.kubernetes.io/controller-uid", "uid"),
    ("batch.kubernetes.io/job-name", "name"),
];

/// Asked of a new job alone: its pods carry its identity, and their names fit.
pub(super) fn new_job(object: &Node<'_, '_>, errors: &mut Errors) {
    let spec = object.at("spec");
    if !spec.at("manualSelector").flag() && spec.at("selector").is_set() {
        generated(object, errors);
    }
    let (name, completions) = (object.at("metadata.name"), spec.at("completions").int().unwrap_or_default());
    if spec.at("completionMode").text() == "Indexed" && completions > 0 {
        let host = format!("{}-{}", name.text(), completions - 1);
        if !names::dns_label(&host).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS label: {host}");
            errors.push(name.invalid_as(name.text(), detail));
        }
    }
}

fn generated(object: &Node<'_, '_>, errors: &mut Errors) {
    let metadata = object.at("metadata");
    metadata.at("uid").require(errors);
    let labels = object.at("spec.template.metadata.labels");
    let mut expected = Value::Object(serde_json::Map::new());
    for (key, field) in LABELS {
        let wanted = text(metadata.value, field);
        let label = labels.key(key);
        if !label.is_set() {
            errors.push(label.required(format!("must be '{wanted}'")));
        } else if label.text() != wanted {
            errors.push(label.invalid_as(labels.value.clone(), format!("must be '{wanted}'")));
        }
        replace(&mut expected, key, Some(wanted.into()));
    }
    let selector = object.at("spec.selector");
    if LabelSelector::from_object(selector.value).is_ok_and(|selector| !selector.matches(&expected)) {
        errors.push(selector.invalid("`selector` not auto-generated"));
    }
}

const MANAGER_MAX: usize = 63;

fn job_spec(spec: &Node<'_, '_>, errors: &mut Errors) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        non_negative(&spec.at(field), errors);
    }
    let per_index = spec.at("backoffLimitPerIndex");
    if spec.at("maxFailedIndexes").is_set() && !per_index.is_set() {
        errors.push(per_index.required("when maxFailedIndexes is specified"));
    }
    let manager = spec.at("managedBy");
    if manager.is_set() {
        manager_name(&manager, errors);
    }
    completion(spec, errors);
    policy::failure(spec, errors);
    policy::success(spec, errors);
    policy::replacement(spec, errors);
    pod::template(&spec.at("template"), errors);
    restarts(spec, errors);
}

fn manager_name(manager: &Node<'_, '_>, errors: &mut Errors) {
    manager.must_be_domain_and_path(errors);
    if manager.text().len() > MANAGER_MAX {
        errors.push(manager.too_long(MANAGER_MAX));
    }
}

fn restarts(spec: &Node<'_, '_>, errors: &mut Errors) {
    let policy = spec.at("template.spec.restartPolicy");
    match policy.text() {
        // What nobody asked for was filled in.
        "" | "Always" => errors.push(policy.required("valid values: \"OnFailure\", \"Never\"")),
        "OnFailure" if spec.at("podFailurePolicy").is_set() => {
            errors.push(policy.invalid("only \"Never\" is supported when podFailurePolicy is specified"));
        }
        "OnFailure" | "Never" => {}
        _ => errors.push(policy.unsupported(&["OnFailure", "Never"])),
    }
}

/// Indexes of pods that are kept account of one by one.
const INDEXES_MAX: i64 = 100_000;
/// The same for each of many, with a count of failures of its own.
const COUNTED_MAX: i64 = 10_000;

fn completion(spec: &Node<'_, '_>, errors: &mut Errors) {
    let mode = spec.at("completionMode");
    match mode.text() {
        "" | "NonIndexed" => {
            for field in ["backoffLimitPerIndex", "maxFailedIndexes"].map(|field| spec.at(field)) {
                if field.is_set() {
                    errors.push(field.invalid("requires indexed completion mode"));
                }
            }
        }
        "Indexed" => indexed(spec, errors),
        _ => errors.push(mode.unsupported(&["NonIndexed", "Indexed"])),
    }
}

fn indexed(spec: &Node<'_, '_>, errors: &mut Errors) {
    let (completions, parallelism) = (spec.at("completions"), spec.at("parallelism"));
    let failures = spec.at("maxFailedIndexes");
    if !completions.is_set() {
        errors.push(completions.required("when completion mode is Indexed"));
    }
    if parallelism.int().is_some_and(|pods| pods > INDEXES_MAX) {
        let detail = format!("must be less than or equal to {INDEXES_MAX} when completion mode is Indexed");
        errors.push(parallelism.invalid(detail));
    }
    let all = completions.int();
    if failures.int().zip(all).is_some_and(|(failures, all)| failures > all) {
        errors.push(failures.invalid("must be less than or equal to completions"));
    }
    if failures.int().is_some_and(|failures| failures > INDEXES_MAX) {
        errors.push(failures.invalid(format!("must be less than or equal to {INDEXES_MAX}")));
    }
    if all.is_none_or(|all| all <= INDEXES_MAX) || !spec.at("backoffLimitPerIndex").is_set() {
        return;
    }
    if !failures.is_set() {
        errors.push(failures.required(format!("must be specified when completions is above {INDEXES_MAX}")));
    }
    for count in [&parallelism, &failures] {
        if count.int().is_some_and(|count| count > COUNTED_MAX) {
            errors.push(count.invalid(format!(
                "must be less than or equal to {COUNTED_MAX} when completions are above {INDEXES_MAX} and used with \
                 backoff limit per index"
            )));
        }
    }
}

pub(super) fn job_update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let (spec, old_spec) = (new.at("spec"), at(old, "spec"));
    completions_update(&spec, old_spec, errors);
    immutable(&spec.at("selector"), at(old_spec, "selector"), errors);
    // The pods of a suspended job that never started may still be steered elsewhere.
    let steerable = at(old_spec, "suspend") == &Value::Bool(true) && at(old, "status.startTime").is_null();
    let (template, was) = (spec.at("template"), at(old_spec, "template"));
    if template.value != was && !(steerable && steered(template.value, was)) {
        errors.push(template.invalid("field is immutable"));
    }
    for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"]
    {
        immutable(&spec.at(field), at(old_spec, field), errors);
    }
}

/// An indexed job may grow and shrink with its parallelism.
fn completions_update(spec: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let completions = spec.at("completions");
    if spec.at("completionMode").text() != "Indexed" {
        return immutable(&completions, at(old, "completions"), errors);
    }
    let changed = completions.is_set() && completions.value != at(old, "completions");
    if changed && completions.value != spec.at("parallelism").value {
        // Upstream leaves the `spec` of the path out.
        errors.push(completions.invalid("can only be modified in tandem with spec.parallelism"));
    }
}

/// Whether two templates differ in nothing but where their pods may run, and in what is written on them.
fn steered(new: &Value, old: &Value) -> bool {
    without_steering(new) == without_steering(old)
}

fn without_steering(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(spec) = template.get_mut("spec") {
        for field in ["nodeSelector", "tolerations", "schedulingGates"] {
            replace(spec, field, None);
        }
        if let Some(affinity) = spec.get_mut("affinity") {
            replace(affinity, "nodeAffinity", None);
        }
        if crate::value::is_zero(at(spec, "affinity")) {
            replace(spec, "affinity", None);
        }
    }
    if let Some(metadata) = template.get_mut("metadata") {
        replace(metadata, "labels", None);
        replace(metadata, "annotations", None);
    }
    template
}

pub(super) fn cron_job(object: &Node<'_, '_>, errors: &mut Errors) {
    let spec = object.at("spec");
    schedule(&spec.at("schedule"), errors);
    non_negative(&spec.at("startingDeadlineSeconds"), errors);
    let policy = spec.at("concurrencyPolicy");
    match policy.text() {
        "" => errors.push(policy.required("")),
        "Allow" | "Forbid" | "Replace" => {}
        _ => errors.push(policy.unsupported(&["Allow", "Forbid", "Replace"])),
    }
    let job = spec.at("jobTemplate.spec");
    job_spec(&job, errors);
    if job.at("selector").is_set() {
        errors.push(job.at("selector").invalid("`selector` will be auto-generated"));
    }
    let manual = job.at("manualSelector");
    if manual.flag() {
        let supported = manual.unsupported(&["nil", "false"]);
        errors.push(crate::field::FieldError { value: Some(true.into()), ..supported });
    }
    for field in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        non_negative(&spec.at(field), errors);
    }
}

pub(super) fn new_cron_job(object: &Node<'_, '_>, errors: &mut Errors) {
    time_zone(&object.at("spec.timeZone"), errors);
    let name = object.at("metadata.name");
    if name.text().len() > CRON_NAME_MAX {
        errors.push(name.invalid(format!("must be no more than {CRON_NAME_MAX} characters")));
    }
}

/// A zone that was good when it was written stays good.
pub(super) fn cron_job_update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let zone = new.at("spec.timeZone");
    if zone.value != at(old, "spec.timeZone") {
        time_zone(&zone, errors);
    }
}

fn schedule(schedule: &Node<'_, '_>, errors: &mut Errors) {
    if schedule.text().is_empty() {
        return errors.push(schedule.required(""));
    }
    if schedule.text().contains("TZ") {
        return errors
            .push(schedule.invalid("cannot use TZ or CRON_TZ in schedule, use timeZone field instead"));
    }
    errors.extend(cron::check(schedule.text()).err().map(|error| schedule.invalid(error.to_string())));
}

/// A name as the time zone database spells them.
fn time_zone(zone: &Node<'_, '_>, errors: &mut Errors) {
    if !zone.is_set() {
        return;
    }
    let part = |part: &str| {
        (1..=14).contains(&part.len())
            && !matches!(part, "." | "..")
            && !part.starts_with('-')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte))
    };
    if zone.text().is_empty() {
        errors.push(zone.invalid("timeZone must be nil or non-empty string"));
    } else if zone.text().eq_ignore_ascii_case("local") {
        errors.push(
            zone.invalid(
                "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
            ),
        );
    } else if !zone.text().split('/').all(part) || is_unknown(zone.text()) {
        errors.push(zone.invalid(format!("unknown time zone {}", zone.text())));
    }
}

/// Whether this machine's database of zones has no such one; a machine without a database knows nothing better.
fn is_unknown(zone: &str) -> bool {
    let zones = jiff::tz::db();
    zones.get(zone).is_err() && zones.available().next().is_some()
}
