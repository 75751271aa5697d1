//! Rules of signing requests. What is inside of a request is read by whoever signs it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::field::{Errors, Node};
use crate::names;
use crate::value::{at, items_mut, list, text};

/// What a writer may change about the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum May {
    Neither,
    /// Say yes or no.
    Judge,
    /// Hand the certificate out.
    Sign,
}

/// Shorter certificates would be renewed all the time.
const SECONDS_MIN: i64 = 600;

const USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

pub(super) fn request(request: &Node<'_, '_>, errors: &mut Errors) {
    let spec = request.at("spec");
    let (pem, usages, signer) = (spec.at("request"), spec.at("usages"), spec.at("signerName"));
    if blocks(pem.text()).first().is_none_or(|kind| kind != "CERTIFICATE REQUEST") {
        errors.push(pem.invalid_as(pem.text(), "PEM block type must be CERTIFICATE REQUEST"));
    }
    usages.require(errors);
    for usage in usages.items() {
        usage.may_be_among(USAGES, errors);
    }
    usages.no_duplicates(errors);
    match signer.text() {
        "kubernetes.io/legacy-unknown" => {
            errors.push(signer.invalid("the legacy signerName is not allowed via this API version"));
        }
        _ => signer_name(&signer, errors),
    }
    let seconds = spec.at("expirationSeconds");
    if seconds.int().is_some_and(|seconds| seconds < SECONDS_MIN) {
        errors.push(seconds.invalid("may not specify a duration less than 600 seconds (10 minutes)"));
    }
    conditions(&request.at("status.conditions"), errors);
    certificate(&request.at("status.certificate"), errors);
}

/// A namespace and a name fit behind the domain.
const SIGNER_MAX: usize = 253 + 1 + 63 + 1 + 253;

/// `example.com/signer`
fn signer_name(signer: &Node<'_, '_>, errors: &mut Errors) {
    if !signer.must_be_set(errors) {
        return;
    }
    let parts: Vec<&str> = signer.text().split('/').collect();
    let [domain, path] = parts[..] else {
        let form = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return errors.push(signer.invalid(form));
    };
    if domain.len() > 253 {
        errors.push(signer.too_long(253));
    }
    labels(signer, domain, names::dns_label, errors);
    if !domain.contains('.') {
        errors.push(
            signer.invalid_as(domain, "should be a domain with at least two segments separated by dots"),
        );
    }
    labels(signer, path, names::subdomain, errors);
    if signer.text().len() > SIGNER_MAX {
        errors.push(signer.too_long(SIGNER_MAX));
    }
}

/// The first of the labels that is none.
fn labels(at: &Node<'_, '_>, part: &str, rule: fn(&str) -> names::Problems, errors: &mut Errors) {
    let wrong = part.split('.').map(|label| (label, rule(label))).find(|(_, problems)| !problems.is_empty());
    if let Some((label, problems)) = wrong {
        let sentences = problems.into_iter().map(|problem| format!("validating label {label:?}: {problem}"));
        errors.extend(sentences.map(|sentence| at.invalid_as(part, sentence)));
    }
}

const VERDICTS: [&str; 2] = ["Approved", "Denied"];
const FINAL: [&str; 3] = ["Approved", "Denied", "Failed"];

fn conditions(conditions: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for condition in conditions.items() {
        let (kind, status) = (condition.at("type"), condition.at("status"));
        kind.require(errors);
        let words: &[&str] =
            if FINAL.contains(&kind.text()) { &["True"] } else { &["False", "True", "Unknown"] };
        status.must_be_among(words, errors);
        let other = match kind.text() {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "",
        };
        if !other.is_empty() && seen.contains(other) {
            errors.push(kind.invalid("Approved and Denied conditions are mutually exclusive"));
        }
        if !seen.insert(text(condition.value, "type")) {
            errors.push(kind.duplicate());
        }
    }
}

fn certificate(certificate: &Node<'_, '_>, errors: &mut Errors) {
    if certificate.text().is_empty() {
        return;
    }
    let kinds = blocks(certificate.text());
    let problem = match kinds.iter().find(|kind| *kind != "CERTIFICATE") {
        Some(other) => format!("only CERTIFICATE PEM blocks are allowed, found {other:?}"),
        None if kinds.is_empty() => "must contain at least one CERTIFICATE PEM block".to_owned(),
        None => return,
    };
    errors.push(certificate.invalid_as("<certificate data>", problem));
}

/// The kinds of the PEM blocks in an encoded field.
fn blocks(encoded: &str) -> Vec<String> {
    let Some(pem) = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return Vec::new();
    };
    let begins =
        pem.lines().filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"));
    begins.filter(|kind| pem.contains(&format!("-----END {kind}-----"))).map(str::to_owned).collect()
}

/// Who hands the certificate out leaves the verdict as it is; one that was not given, or was taken away, is refused.
pub(super) fn keep_verdicts(new: &mut Value, old: &Value) {
    for verdict in VERDICTS {
        let is = |condition: &&Value| text(condition, "type") == verdict;
        let given: Vec<Value> = list(old, "status.conditions").iter().filter(is).cloned().collect();
        let Some(status) = new.get_mut("status") else { return };
        let mut said: Vec<&mut Value> =
            items_mut(status, "conditions").filter(|condition| text(condition, "type") == verdict).collect();
        if said.len() == given.len() {
            said.iter_mut().zip(given).for_each(|(said, given)| **said = given);
        }
    }
}

/// A verdict is given once, by who may, and stays; so does the certificate.
pub(super) fn update(new: &Node<'_, '_>, old: &Value, may: May, errors: &mut Errors) {
    let conditions = new.at("status.conditions");
    let of = |conditions: &[Value], kind: &str| {
        conditions.iter().filter(|condition| text(condition, "type") == kind).cloned().collect::<Vec<_>>()
    };
    let pairs =
        FINAL.map(|kind| (kind, of(list(old, "status.conditions"), kind), of(conditions.list(), kind)));
    for (kind, was, is) in &pairs {
        if is.len() < was.len() {
            errors.push(conditions.forbidden(format!("updates may not remove a condition of type {kind:?}")));
        }
    }
    for (kind, was, is) in pairs.iter().filter(|(kind, ..)| may != May::Judge && VERDICTS.contains(kind)) {
        if is.len() > was.len() {
            errors.push(conditions.forbidden(format!("updates may not add a condition of type {kind:?}")));
        } else if is.len() == was.len() && is != was {
            errors.push(conditions.forbidden(format!("updates may not modify a condition of type {kind:?}")));
        }
    }
    let (certificate, before) = (new.at("status.certificate"), at(old, "status.certificate"));
    if certificate.text() != before.as_str().unwrap_or_default() {
        if may != May::Sign {
            errors.push(certificate.forbidden("updates may not set certificate content"));
        } else if !before.is_null() {
            errors.push(certificate.forbidden("updates may not modify existing certificate content"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::field::said::sentences;

    fn pem(kind: &str) -> String {
        STANDARD.encode(format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n"))
    }

    fn good() -> Value {
        json!({"spec": {"request": pem("CERTIFICATE REQUEST"), "usages": ["client auth"], "signerName": "a.b/c"}})
    }

    #[test]
    fn what_a_request_must_say() {
        let found = |change: Value| {
            let mut errors = Errors::new();
            request(&Node::root(&crate::patch::merge(good(), &change).unwrap()), &mut errors);
            sentences(&errors)
        };
        for (change, expected) in [
            (json!({}), vec![]),
            (json!({"spec": {"usages": []}}), vec!["spec.usages: Required value".to_owned()]),
            (
                json!({"spec": {"usages": ["any", "any"]}}),
                vec!["spec.usages[1]: Duplicate value: \"any\"".to_owned()],
            ),
            (
                json!({"spec": {"signerName": "a/b"}}),
                vec!["spec.signerName: Invalid value: \"a\": should be a domain with at least two segments separated by dots".to_owned()],
            ),
            (
                json!({"spec": {"signerName": "a.b"}}),
                vec!["spec.signerName: Invalid value: \"a.b\": must be a fully qualified domain and path of the form 'example.com/signer-name'".to_owned()],
            ),
            (
                json!({"spec": {"signerName": "kubernetes.io/legacy-unknown"}}),
                vec!["spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName is not allowed via this API version".to_owned()],
            ),
            (
                json!({"spec": {"expirationSeconds": 599}}),
                vec!["spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)".to_owned()],
            ),
            (
                json!({"status": {"conditions": [{"type": "Approved", "status": "True"}, {"type": "Denied", "status": "False"}]}}),
                vec![
                    "status.conditions[1].status: Unsupported value: \"False\": supported values: \"True\"".to_owned(),
                    "status.conditions[1].type: Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive".to_owned(),
                ],
            ),
            (
                json!({"status": {"certificate": pem("PRIVATE KEY")}}),
                vec!["status.certificate: Invalid value: \"<certificate data>\": only CERTIFICATE PEM blocks are allowed, found \"PRIVATE KEY\"".to_owned()],
            ),
        ] {
            assert_eq!(found(change), expected);
        }
        assert!(found(json!({"spec": {"usages": ["x"]}}))[0].starts_with(
            "spec.usages[0]: Unsupported value: \"x\": supported values: \"any\", \"cert sign\""
        ));
        assert!(
            found(json!({"spec": {"request": ""}}))[0]
                .ends_with("PEM block type must be CERTIFICATE REQUEST")
        );
    }

    #[test]
    fn who_may_change_what() {
        let approved = json!({"status": {"conditions": [{"type": "Approved", "status": "True"}]}});
        let signed = json!({"status": {"certificate": pem("CERTIFICATE")}});
        let found = |old: &Value, new: &Value, may: May| {
            let mut errors = Errors::new();
            update(&Node::root(new), old, may, &mut errors);
            sentences(&errors)
        };
        let none = json!({});
        assert_eq!(found(&none, &approved, May::Judge), [""; 0]);
        assert_eq!(
            found(&none, &approved, May::Sign),
            ["status.conditions: Forbidden: updates may not add a condition of type \"Approved\""]
        );
        assert_eq!(
            found(&approved, &none, May::Judge),
            ["status.conditions: Forbidden: updates may not remove a condition of type \"Approved\""]
        );
        assert_eq!(found(&none, &signed, May::Sign), [""; 0]);
        assert_eq!(
            found(&none, &signed, May::Judge),
            ["status.certificate: Forbidden: updates may not set certificate content"]
        );
        assert_eq!(
            found(&signed, &json!({"status": {"certificate": "x"}}), May::Sign),
            ["status.certificate: Forbidden: updates may not modify existing certificate content"]
        );
    }
}
