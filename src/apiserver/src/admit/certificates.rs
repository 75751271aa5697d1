//! Who asks for a certificate is written into the request; only who may approve and sign for its signer does.

use api::status::Status;
use api::value::{at, default_to, items_mut, list, text};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Attempt, Operation, Warnings};
use crate::authorize::Access;

const GROUP: &str = "certificates.k8s.io";
const KIND: &str = "CertificateSigningRequest";

pub(super) fn change(attempt: &Attempt<'_>, request: &mut Value) -> Result<(), Status> {
    if attempt.kind().group != GROUP || attempt.kind().kind != KIND {
        return Ok(());
    }
    match attempt.operation {
        Operation::Create if attempt.is_of(GROUP, KIND) => requested_by(attempt, request),
        Operation::Update(old) if !attempt.is_of(GROUP, KIND) => stamp(request, old),
        _ => {}
    }
    Ok(())
}

fn requested_by(attempt: &Attempt<'_>, request: &mut Value) {
    let user = &attempt.request.user;
    let Some(spec) = request.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for field in ["extra", "groups", "uid", "username"] {
        spec.remove(field);
    }
    spec.insert("username".into(), user.name.as_str().into());
    spec.insert("groups".into(), json!(user.groups));
    if !user.uid.is_empty() {
        spec.insert("uid".into(), user.uid.as_str().into());
    }
    if !user.extra.is_empty() {
        spec.insert("extra".into(), json!(user.extra));
    }
}

/// Conditions that do not say since when are since now, or since they were so already.
fn stamp(request: &mut Value, old: &Value) {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default().to_string();
    let Some(status) = request.get_mut("status") else { return };
    for condition in items_mut(status, "conditions") {
        let same = |known: &&Value| {
            ["type", "status"].iter().all(|field| text(known, field) == text(condition, field))
        };
        let known = list(old, "status.conditions").iter().find(same);
        let since = known.map(|known| text(known, "lastTransitionTime")).filter(|since| !since.is_empty());
        default_to(condition, "lastTransitionTime", since.unwrap_or(&now));
        default_to(condition, "lastUpdateTime", now.as_str());
    }
}

pub(super) fn judge(attempt: &Attempt<'_>, request: &Value) -> Result<Warnings, Status> {
    let none = Ok(Warnings::new());
    if attempt.is_below(GROUP, KIND, Some("approval")) {
        return may(attempt, request, "approve").and(none);
    }
    if let (true, Operation::Update(old)) = (attempt.is_below(GROUP, KIND, Some("status")), attempt.operation)
    {
        let failed = |request: &Value| {
            list(request, "status.conditions").iter().any(|one| text(one, "type") == "Failed")
        };
        let signs = at(request, "status.certificate") != at(old, "status.certificate")
            || failed(request) != failed(old);
        return if signs { may(attempt, request, "sign").and(none) } else { none };
    }
    none
}

/// Signers are named `DOMAIN/NAME`; a right may be for all of a domain.
fn may(attempt: &Attempt<'_>, request: &Value, verb: &str) -> Result<(), Status> {
    let signer = text(request, "spec.signerName");
    let domain = format!("{}/*", signer.split('/').next().unwrap_or_default());
    let allowed = [signer, &domain].into_iter().any(|name| {
        let access =
            Access { verb, group: GROUP, resource: "signers", name: Some(name), ..Access::default() };
        attempt.request.may(access)
    });
    if allowed {
        return Ok(());
    }
    Err(attempt
        .forbidden(request, &format!("user not permitted to {verb} requests with signerName {signer:?}")))
}
