//! A pod's priority is the number behind the name of its class, as it was when the pod was made.

use api::kinds::Kind;
use api::status::Status;
use api::value::{at, default_to, flag, int, text};
use serde_json::{Value, json};

use super::{Attempt, Operation, Warnings, built_in};

const GROUP: &str = "scheduling.k8s.io";

pub(super) fn change(attempt: &Attempt<'_>, pod: &mut Value) -> Result<(), Status> {
    if !attempt.is_of("", "Pod") || !pod["spec"].is_object() {
        return Ok(());
    }
    match attempt.operation {
        Operation::Create => resolve(attempt, pod),
        // Who leaves out what the server filled in does not mean to change it.
        Operation::Update(old) => {
            for field in ["priority", "preemptionPolicy"] {
                if let Some(kept) = old["spec"].get(field) {
                    default_to(&mut pod["spec"], field, kept.clone());
                }
            }
            Ok(())
        }
        Operation::Delete => Ok(()),
    }
}

fn resolve(attempt: &Attempt<'_>, pod: &mut Value) -> Result<(), Status> {
    let kind = built_in(GROUP, "priorityclasses")?;
    let class = class(attempt, kind, pod)?;
    let priority = int(&class, "value");
    let stated = at(pod, "spec.priority");
    if let Some(stated) = stated.as_i64().filter(|stated| *stated != priority) {
        let why = format!(
            "the integer value of priority ({stated}) must not be provided in pod spec; priority admission controller \
             computed {priority} from the given PriorityClass name"
        );
        return Err(attempt.forbidden(pod, &why));
    }
    let policy = text(&class, "preemptionPolicy");
    let stated = text(pod, "spec.preemptionPolicy");
    if !stated.is_empty() && stated != policy {
        let why = format!(
            "the string value of PreemptionPolicy ({stated}) must not be provided in pod spec; priority admission \
             controller computed {policy} from the given PriorityClass name"
        );
        return Err(attempt.forbidden(pod, &why));
    }
    let name = text(&class, "metadata.name");
    let spec = &mut pod["spec"];
    if !name.is_empty() {
        spec["priorityClassName"] = name.into();
    }
    spec["priority"] = priority.into();
    spec["preemptionPolicy"] = policy.into();
    Ok(())
}

/// The class that the pod names, or the default one, or what counts where there is none.
fn class(attempt: &Attempt<'_>, kind: &'static Kind, pod: &Value) -> Result<Value, Status> {
    let name = text(pod, "spec.priorityClassName");
    if !name.is_empty() {
        let why = format!("no PriorityClass with name {name} was found");
        return attempt.find(kind, None, name).ok_or_else(|| attempt.forbidden(pod, &why));
    }
    let defaults = attempt.all(kind, None).into_iter().filter(|class| flag(class, "globalDefault"));
    // There is one; should there be more, the lowest disturbs least.
    let lowest = defaults.min_by_key(|class| int(class, "value"));
    Ok(lowest.unwrap_or_else(|| json!({"preemptionPolicy": "PreemptLowerPriority"})))
}

/// Only one class is the default.
pub(super) fn judge(attempt: &Attempt<'_>, class: &Value) -> Result<Warnings, Status> {
    let fresh = matches!(attempt.operation, Operation::Create | Operation::Update(_));
    if !fresh || !attempt.is_of(GROUP, "PriorityClass") || !flag(class, "globalDefault") {
        return Ok(Warnings::new());
    }
    let others = attempt.all(attempt.kind(), None);
    let name = text(class, "metadata.name");
    match others.iter().find(|other| flag(other, "globalDefault") && text(other, "metadata.name") != name) {
        None => Ok(Warnings::new()),
        Some(other) => {
            let why = format!(
                "PriorityClass {} is already marked as default. Only one default can exist",
                text(other, "metadata.name")
            );
            Err(attempt.forbidden(class, &why))
        }
    }
}
