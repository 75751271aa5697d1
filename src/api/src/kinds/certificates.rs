//! certificates.k8s.io: requests to be signed by the cluster's authorities.

use serde_json::Value;

use super::apps::rules::immutable;
use super::entry::{GET_WRITE, GroupVersion, names};
use super::field::Field;
use super::{Kind, PartRules, Selectable, Strategy};
use crate::field::{Errors, Node};
use crate::names;
use crate::table::{AGE, Column, NAME, Table, age, human_duration, name, or_none};
use crate::value::{at, is_zero, list, replace, text};

const V1: GroupVersion = GroupVersion::new("certificates.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    short_names: &["csr"],
    subresources: &[
        V1.sub("approval", "CertificateSigningRequest", GET_WRITE).with(&APPROVAL),
        V1.status("CertificateSigningRequest"),
    ],
    strategy: Strategy {
        validate,
        validate_status: |new, old, errors| verdicts(new, old, false, errors),
        validate_update: |new, old, errors| immutable(&new.at("spec"), at(old, "spec"), errors),
        ..Strategy::PLAIN
    },
    table: &TABLE,
    fields: Selectable(&[Field::new("spec.signerName", &["spec", "signerName"])]),
    ..V1.cluster(names!(
        "io.k8s.api.certificates.v1",
        CertificateSigningRequest,
        "certificatesigningrequests"
    ))
}];

/// `approval`: the conditions, and of them the verdict.
static APPROVAL: PartRules = PartRules {
    prepare: |new, old| {
        let conditions = at(new, "status.conditions").clone();
        for field in ["spec", "status"] {
            replace(new, field, old.get(field).cloned());
        }
        if !conditions.is_null() {
            new["status"]["conditions"] = conditions;
        }
    },
    validate: |new, old, errors| verdicts(new, old, true, errors),
};

const VERDICTS: [&str; 2] = ["Approved", "Denied"];

/// A verdict is given once, by who may, and stays.
fn verdicts(new: &Node<'_, '_>, old: &Value, approval: bool, errors: &mut Errors) {
    let conditions = new.at("status.conditions");
    let has = |list: &[Value], kind: &str| list.iter().any(|condition| text(condition, "type") == kind);
    let before = list(old, "status.conditions");
    for kind in ["Approved", "Denied", "Failed"] {
        let (was, is) = (has(before, kind), has(conditions.list(), kind));
        if was && !is {
            errors.push(conditions.forbidden(format!("updates may not remove a condition of type {kind:?}")));
        }
        if !was && is && VERDICTS.contains(&kind) && !approval {
            errors.push(conditions.forbidden(format!("updates may not add a condition of type {kind:?}")));
        }
    }
    if VERDICTS.iter().all(|kind| has(conditions.list(), kind)) {
        errors.push(conditions.invalid_as("Denied", "Approved and Denied conditions are mutually exclusive"));
    }
    for condition in conditions.items() {
        let (kind, status) = (condition.at("type"), condition.at("status"));
        if kind.text().is_empty() {
            errors.push(kind.required(""));
        }
        let fixed = VERDICTS.contains(&kind.text()) || kind.text() == "Failed";
        match status.text() {
            "" => errors.push(status.required("")),
            "True" => {}
            "False" | "Unknown" if !fixed => {}
            _ => {
                errors.push(status.unsupported(if fixed {
                    &["True"]
                } else {
                    &["False", "True", "Unknown"]
                }));
            }
        }
    }
}

/// Shorter certificates would be renewed all the time.
const SECONDS_MIN: i64 = 600;

fn validate(request: &Node<'_, '_>, errors: &mut Errors) {
    let spec = request.at("spec");
    if spec.at("request").text().is_empty() {
        errors.push(spec.at("request").invalid_as("", "PEM block type must be CERTIFICATE REQUEST"));
    }
    let usages = spec.at("usages");
    if usages.list().is_empty() {
        errors.push(usages.required("usages must contain at least one value"));
    }
    let mut seen = Vec::new();
    for usage in usages.items() {
        if seen.contains(&usage.text()) {
            errors.push(usage.duplicate());
        }
        seen.push(usage.text());
    }
    let signer = spec.at("signerName");
    match signer.text().split_once('/') {
        _ if signer.text().is_empty() => errors.push(signer.required("")),
        Some((domain, path)) if !path.is_empty() => {
            errors.extend(names::subdomain(domain).into_iter().map(|problem| signer.invalid(problem)));
        }
        _ => errors
            .push(signer.invalid(
                "must be a fully qualified domain and path of the form \"example.com/signer-name\"",
            )),
    }
    let seconds = spec.at("expirationSeconds");
    if seconds.int().is_some_and(|seconds| seconds < SECONDS_MIN) {
        errors.push(seconds.invalid("may not specify a duration less than 600 seconds (10 minutes)"));
    }
}

static TABLE: Table = Table {
    columns: &[
        NAME,
        AGE,
        Column::text("SignerName"),
        Column::text("Requestor"),
        Column::text("RequestedDuration"),
        Column::text("Condition"),
    ],
    cells: |request, now| {
        let duration = at(request, "spec.expirationSeconds").as_i64().map(human_duration);
        vec![
            name(request),
            age(request, now),
            or_none(text(request, "spec.signerName")).into(),
            text(request, "spec.username").into(),
            duration.unwrap_or_else(|| "<none>".to_owned()).into(),
            condition(request).into(),
        ]
    },
};

fn condition(request: &Value) -> String {
    let has = |kind: &str| {
        list(request, "status.conditions").iter().any(|condition| text(condition, "type") == kind)
    };
    let issued = !is_zero(at(request, "status.certificate"));
    let verdict = match (has("Denied"), has("Approved")) {
        (true, _) => "Denied",
        (false, true) => "Approved",
        (false, false) => "Pending",
    };
    let mut shown = verdict.to_owned();
    for (holds, word) in [(has("Failed"), ",Failed"), (issued, ",Issued")] {
        if holds {
            shown.push_str(word);
        }
    }
    shown
}
