//! Rules for the status of jobs: a job that has ended stays ended, and what it counts fits together.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::super::apps::rules::non_negative;
use super::indexes;
use crate::field::{Errors, Node};
use crate::value::{at, int, list, text};

fn is_true(status: &Value, kind: &str) -> bool {
    let held = |condition: &Value| text(condition, "type") == kind && text(condition, "status") == "True";
    list(status, "conditions").iter().any(held)
}

/// A status and the one it replaces. What is wrong and was before is not held against a write about something else:
/// the spec may have changed in between.
struct Change<'n, 'v, 'p> {
    new: &'n Node<'v, 'p>,
    old: &'n Value,
}

impl Change<'_, '_, '_> {
    fn fields(&self, fields: &[&str]) -> bool {
        fields.iter().any(|field| at(self.new.value, field) != at(self.old, field))
    }

    fn conditions(&self, kinds: &[&str]) -> bool {
        kinds.iter().any(|kind| is_true(self.new.value, kind) != is_true(self.old, kind))
    }

    fn end(&self) -> bool {
        is_finished(self.new.value) != is_finished(self.old)
    }
}

fn is_finished(status: &Value) -> bool {
    is_true(status, "Complete") || is_true(status, "Failed")
}

pub(super) fn job(object: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let (status, spec) = (object.at("status"), object.at("spec"));
    let change = Change { new: &status, old: at(old, "status") };
    for count in ["active", "succeeded", "failed", "ready", "terminating"] {
        non_negative(&status.at(count), errors);
    }
    uncounted(&status.at("uncountedTerminatedPods"), errors);
    conditions(&change, errors);
    times(&change, errors);
    criteria(&change, errors);
    if is_finished(status.value) {
        finished(&change, spec.value, errors);
    }
    indexed(&change, spec.value, errors);
    let ready = status.at("ready");
    if ready.int().unwrap_or_default() > int(status.value, "active") && change.fields(&["ready", "active"]) {
        errors.push(ready.invalid("cannot set more ready pods than active"));
    }
    success(&status, spec.value, errors);
    transitions(&change, spec.value, errors);
}

/// Pods that are yet to be counted, each once.
fn uncounted(pods: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for kind in ["succeeded", "failed"] {
        for uid in pods.at(kind).items() {
            if uid.text().is_empty() {
                errors.push(uid.invalid_as("", "must not be empty"));
            } else if !seen.insert(uid.text()) {
                errors.push(uid.duplicate());
            }
        }
    }
}

fn conditions(change: &Change<'_, '_, '_>, errors: &mut Errors) {
    let status = change.new;
    for (other, words) in [
        ("Failed", "Complete=True and Failed=true"),
        ("FailureTarget", "Complete=True and FailureTarget=true"),
    ] {
        let both = is_true(status.value, "Complete") && is_true(status.value, other);
        if both && change.conditions(&["Complete", other]) {
            errors.push(status.at("conditions").invalid_unshown(format!("cannot set {words} conditions")));
        }
    }
}

fn times(change: &Change<'_, '_, '_>, errors: &mut Errors) {
    let status = change.new;
    let (start, completion) = (status.at("startTime"), status.at("completionTime"));
    if change.conditions(&["Complete"]) || change.fields(&["completionTime"]) {
        match (completion.is_set(), is_true(status.value, "Complete")) {
            (true, false) => errors.push(
                completion.invalid("cannot set completionTime when there is no Complete=True condition"),
            ),
            (false, true) => errors.push(completion.required("completionTime is required for Complete jobs")),
            _ => {}
        }
    }
    let time = |time: &Node<'_, '_>| time.text().parse::<Timestamp>().ok();
    let backwards = time(&completion).zip(time(&start)).is_some_and(|(completion, start)| completion < start);
    if backwards && change.fields(&["startTime", "completionTime"]) {
        errors.push(completion.invalid("completionTime cannot be set before startTime"));
    }
}

/// An end is announced before it comes.
fn criteria(change: &Change<'_, '_, '_>, errors: &mut Errors) {
    let status = change.new;
    for (end, before, words) in [
        ("Failed", "FailureTarget", "Failed=True condition without the FailureTarget=true"),
        ("Complete", "SuccessCriteriaMet", "Complete=True condition without the SuccessCriteriaMet=true"),
    ] {
        let alone = is_true(status.value, end) && !is_true(status.value, before);
        if alone && change.conditions(&[end, before]) {
            errors.push(status.at("conditions").invalid_unshown(format!("cannot set {words} condition")));
        }
    }
}

fn finished(change: &Change<'_, '_, '_>, spec: &Value, errors: &mut Errors) {
    let status = change.new;
    let touches = |field: &str| change.end() || change.fields(&[field]);
    let (start, uncounted) = (status.at("startTime"), status.at("uncountedTerminatedPods"));
    if status.at("active").int().unwrap_or_default() > 0 && touches("active") {
        errors.push(status.at("active").invalid("active>0 is invalid for finished job"));
    }
    // A suspended job of no completions is complete without ever having started.
    let never_starts = at(spec, "suspend") == &Value::Bool(true) && at(spec, "completions") == 0;
    if !start.is_set() && touches("startTime") && !never_starts {
        errors.push(start.required("startTime is required for finished job"));
    }
    let counts = ["failed", "succeeded"].iter().any(|kind| !list(uncounted.value, kind).is_empty());
    if counts && touches("uncountedTerminatedPods") {
        errors.push(uncounted.invalid("uncountedTerminatedPods needs to be empty for finished job"));
    }
    if status.at("terminating").int().unwrap_or_default() > 0 && touches("terminating") {
        errors.push(status.at("terminating").invalid("terminating>0 is invalid for finished job"));
    }
}

fn indexed(change: &Change<'_, '_, '_>, spec: &Value, errors: &mut Errors) {
    let (completed, failed) = (change.new.at("completedIndexes"), change.new.at("failedIndexes"));
    let limited = !at(spec, "backoffLimitPerIndex").is_null();
    let (new_completed, new_failed) =
        (change.fields(&["completedIndexes"]), change.fields(&["failedIndexes"]));
    if let Some(completions) = at(spec, "completions").as_i64() {
        let mut readable = |list: &Node<'_, '_>, name: &str| {
            if let Err(error) = indexes::count(list.text(), completions) {
                errors.push(list.invalid_as(list.text(), format!("error parsing {name}: {error}")));
            }
        };
        if new_completed {
            readable(&completed, "completedIndexes");
        }
        if new_failed && limited {
            readable(&failed, "failedIndexes");
        }
        let shared = indexes::overlap(completed.text(), failed.text(), completions);
        if let Some(index) = shared.filter(|_| new_completed || new_failed) {
            errors.push(
                failed.invalid(format!("failedIndexes and completedIndexes overlap at index: {index}")),
            );
        }
    }
    if new_completed && !completed.text().is_empty() && text(spec, "completionMode") != "Indexed" {
        let detail = "cannot set non-empty completedIndexes when non-indexed completion mode";
        errors.push(completed.invalid(detail));
    }
    if new_failed && failed.is_set() && !limited {
        errors.push(failed.invalid("cannot set non-null failedIndexes when backoffLimitPerIndex is null"));
    }
}

fn success(status: &Node<'_, '_>, spec: &Value, errors: &mut Errors) {
    let met = is_true(status.value, "SuccessCriteriaMet");
    let conditions = status.at("conditions");
    for other in ["Failed", "FailureTarget"] {
        if met && is_true(status.value, other) {
            let detail = format!("cannot set SuccessCriteriaMet=True and {other}=true conditions");
            errors.push(conditions.invalid_unshown(detail));
        }
    }
    if !at(spec, "successPolicy").is_null() && !met && is_true(status.value, "Complete") {
        errors.push(conditions.invalid_unshown(
            "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
        ));
    }
}

/// What was said of the job before and is not taken back.
fn transitions(change: &Change<'_, '_, '_>, spec: &Value, errors: &mut Errors) {
    let (status, old) = (change.new, change.old);
    let conditions = status.at("conditions");
    for end in ["Failed", "Complete", "FailureTarget"] {
        if is_true(old, end) && !is_true(status.value, end) {
            let detail = format!("cannot disable the terminal {end}=True condition");
            errors.push(conditions.invalid_unshown(detail));
        }
    }
    // An indexed job that is as wide as it is long may shrink, and what it has done with it.
    let shrinks =
        text(spec, "completionMode") == "Indexed" && at(spec, "completions") == at(spec, "parallelism");
    for counter in ["failed", "succeeded"] {
        let count = status.at(counter);
        let number = count.int().unwrap_or_default();
        if number < int(old, counter) && !(shrinks && counter == "succeeded") {
            errors.push(count.invalid_as(number, format!("cannot decrease the {counter} counter")));
        }
    }
    let (start, completion) = (status.at("startTime"), status.at("completionTime"));
    let was = at(old, "completionTime");
    if completion.is_set() && !was.is_null() && completion.value != was {
        errors.push(completion.invalid("completionTime cannot be mutated"));
    }
    let began = at(old, "startTime");
    if !began.is_null() && start.value != began && at(spec, "suspend") != &Value::Bool(true) {
        errors.push(start.required("startTime cannot be removed for unsuspended job"));
    }
    let (met, is_met) = (is_true(old, "SuccessCriteriaMet"), is_true(status.value, "SuccessCriteriaMet"));
    if met && !is_met {
        errors.push(conditions.invalid_unshown("cannot disable the SuccessCriteriaMet=True condition"));
    }
    if is_true(old, "Complete") && !met && is_met {
        errors.push(conditions.invalid_unshown(
            "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions",
        ));
    }
}
