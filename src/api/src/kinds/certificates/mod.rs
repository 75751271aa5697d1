//! certificates.k8s.io: requests to be signed by the cluster's authorities.

mod rules;

use serde_json::Value;

use super::entry::{GET_WRITE, GroupVersion, names};
use super::field::Field;
use super::{Kind, NameRule, PartRules, Selectable, Strategy};
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
        name: NameRule::PathSegment,
        // What was asked for is not asked for again.
        prepare_update: |new, old| replace(new, "spec", old.get("spec").cloned()),
        prepare_status: rules::keep_verdicts,
        validate: rules::request,
        validate_update: |new, old, errors| rules::update(new, old, rules::May::Neither, errors),
        validate_status: |new, old, errors| {
            rules::request(new, errors);
            rules::update(new, old, rules::May::Sign, errors);
        },
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
    validate: |new, old, errors| {
        rules::request(new, errors);
        rules::update(new, old, rules::May::Judge, errors);
    },
};

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
