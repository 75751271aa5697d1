//! A pod's runtime class adds what the runtime itself needs, and where it is found.

use api::status::Status;
use api::value::{at, is_zero, list, members, text};
use serde_json::{Value, json};

use super::{Attempt, Warnings, built_in};

pub(super) fn change(attempt: &Attempt<'_>, pod: &mut Value) -> Result<(), Status> {
    if !attempt.creates("", "Pod") {
        return Ok(());
    }
    let Some(class) = class(attempt, pod)? else { return Ok(()) };
    overhead(attempt, pod, &class)?;
    scheduling(attempt, pod, &class)
}

pub(super) fn judge(attempt: &Attempt<'_>, pod: &Value) -> Result<Warnings, Status> {
    if !attempt.creates("", "Pod") || is_zero(at(pod, "spec.overhead")) {
        return Ok(Warnings::new());
    }
    let class = class(attempt, pod)?.unwrap_or_default();
    if at(&class, "overhead.podFixed").is_null() {
        let why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
        return Err(attempt.forbidden(pod, why));
    }
    Ok(Warnings::new())
}

fn class(attempt: &Attempt<'_>, pod: &Value) -> Result<Option<Value>, Status> {
    let name = text(pod, "spec.runtimeClassName");
    if name.is_empty() {
        return Ok(None);
    }
    let why = format!("pod rejected: RuntimeClass {name:?} not found");
    let class = attempt.find(built_in("node.k8s.io", "runtimeclasses")?, None, name);
    class.map(Some).ok_or_else(|| attempt.forbidden(pod, &why))
}

fn overhead(attempt: &Attempt<'_>, pod: &mut Value, class: &Value) -> Result<(), Status> {
    let fixed = at(class, "overhead.podFixed");
    if fixed.is_null() {
        return Ok(());
    }
    let stated = at(pod, "spec.overhead");
    if !is_zero(stated) && stated != fixed {
        let why = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";
        return Err(attempt.forbidden(pod, why));
    }
    pod["spec"]["overhead"] = fixed.clone();
    Ok(())
}

fn scheduling(attempt: &Attempt<'_>, pod: &mut Value, class: &Value) -> Result<(), Status> {
    for (key, value) in members(class, "scheduling.nodeSelector") {
        let stated = &pod["spec"]["nodeSelector"][key];
        if !stated.is_null() && stated != value {
            let why = format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {}; pod.spec.nodeSelector[{key}] = {}",
                value.as_str().unwrap_or_default(),
                stated.as_str().unwrap_or_default()
            );
            return Err(attempt.forbidden(pod, &why));
        }
        pod["spec"]["nodeSelector"][key] = value.clone();
    }
    let more = list(class, "scheduling.tolerations");
    let mut tolerations = list(pod, "spec.tolerations").to_vec();
    tolerations.extend(more.iter().filter(|one| !list(pod, "spec.tolerations").contains(one)).cloned());
    if !more.is_empty() {
        pod["spec"]["tolerations"] = json!(tolerations);
    }
    Ok(())
}
