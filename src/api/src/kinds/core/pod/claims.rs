//! Resource claims of a pod, and of its containers on them.

use std::collections::BTreeSet;

use crate::field::{Errors, Node};
use crate::names as spelling;

/// The names that containers may refer to.
pub(super) fn names<'v>(claims: &Node<'v, '_>) -> BTreeSet<&'v str> {
    claims
        .list()
        .iter()
        .map(|claim| crate::value::text(claim, "name"))
        .filter(|name| !name.is_empty())
        .collect()
}

pub(super) fn validate(claims: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for claim in claims.items() {
        let name = claim.at("name");
        match name.text() {
            "" => errors.push(name.required("")),
            text if !seen.insert(text) => errors.push(name.duplicate()),
            _ => name.check(spelling::dns_label, errors),
        }
        source(&claim, errors);
    }
}

fn source(claim: &Node<'_, '_>, errors: &mut Errors) {
    let (direct, template) = (claim.at("resourceClaimName"), claim.at("resourceClaimTemplateName"));
    if direct.is_set() && template.is_set() {
        let detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
        errors.push(claim.invalid(detail));
    }
    if !direct.is_set() && !template.is_set() {
        errors.push(claim.invalid("must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"));
    }
    for name in [direct, template].into_iter().filter(Node::is_set) {
        name.check(spelling::subdomain, errors);
    }
}

/// `resources.claims` of one container: each is one of the pod's, and asked for once.
pub(super) fn of_container(claims: &Node<'_, '_>, known: &BTreeSet<&str>, errors: &mut Errors) {
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    for claim in claims.items() {
        let (name, request) = (claim.at("name").text(), claim.at("request"));
        if name.is_empty() {
            errors.push(claim.required(""));
            continue;
        }
        request.check_given(spelling::dns_label, errors);
        // The whole claim holds each of its requests.
        let overlaps = |other: &&(&str, &str)| {
            other.0 == name && (other.1.is_empty() || request.text().is_empty() || other.1 == request.text())
        };
        match seen.iter().find(overlaps) {
            Some((_, held)) if held.is_empty() || request.text().is_empty() => {
                errors.push(claim.duplicate_as(name));
            }
            Some(_) => errors.push(claim.duplicate_as(format!("{name}/{}", request.text()))),
            None => {}
        }
        seen.insert((name, request.text()));
        if !known.contains(name) {
            errors.push(unknown(&claim, name, known));
        }
    }
}

fn unknown(claim: &Node<'_, '_>, name: &str, known: &BTreeSet<&str>) -> crate::field::FieldError {
    let listed = match known.is_empty() {
        true => " which is empty".to_owned(),
        false => format!(": {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
    };
    let detail = format!("must be one of the names in pod.spec.resourceClaims{listed}");
    crate::field::FieldError { value: Some(name.into()), detail, ..claim.not_found() }
}
