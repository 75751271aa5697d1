//! Claims and Ingresses that name no class get the one that an annotation makes the default.

use std::cmp::Reverse;

use api::kinds::Kind;
use api::status::Status;
use api::value::{at, text};
use serde_json::Value;

use super::{Attempt, annotation, built_in};

const STORAGE: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
const INGRESS: [&str; 1] = ["ingressclass.kubernetes.io/is-default-class"];

pub(super) fn of_claim(attempt: &Attempt<'_>, claim: &mut Value) -> Result<(), Status> {
    let named = !at(claim, "spec.storageClassName").is_null()
        || !annotation(claim, "volume.beta.kubernetes.io/storage-class").is_empty();
    if !attempt.creates("", "PersistentVolumeClaim") || named {
        return Ok(());
    }
    if let Some(class) = default(attempt, built_in("storage.k8s.io", "storageclasses")?, &STORAGE) {
        claim["spec"]["storageClassName"] = class.into();
    }
    Ok(())
}

pub(super) fn of_ingress(attempt: &Attempt<'_>, ingress: &mut Value) -> Result<(), Status> {
    let named = !at(ingress, "spec.ingressClassName").is_null()
        || !annotation(ingress, "kubernetes.io/ingress.class").is_empty();
    if !attempt.creates("networking.k8s.io", "Ingress") || named {
        return Ok(());
    }
    if let Some(class) = default(attempt, built_in("networking.k8s.io", "ingressclasses")?, &INGRESS) {
        ingress["spec"]["ingressClassName"] = class.into();
    }
    Ok(())
}

/// The newest class that is marked; of several made in one second the first by name.
fn default(attempt: &Attempt<'_>, kind: &'static Kind, marks: &[&str]) -> Option<String> {
    let marked = |class: &Value| marks.iter().any(|mark| annotation(class, mark) == "true");
    let age = |class: &Value| {
        let made = text(class, "metadata.creationTimestamp").to_owned();
        (Reverse(made), text(class, "metadata.name").to_owned())
    };
    let first = attempt.all(kind, None).into_iter().filter(marked).min_by_key(age)?;
    Some(text(&first, "metadata.name").to_owned())
}
