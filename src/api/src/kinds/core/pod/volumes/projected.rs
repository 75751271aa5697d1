//! Projected volumes: several sources in one directory.

use std::collections::BTreeSet;

use super::{items, local_path, mode, sources};
use crate::field::{Errors, Node};
use crate::names;
use crate::selector_rules;

/// The paths that sources have taken.
type Paths<'v> = BTreeSet<&'v str>;

pub(super) fn validate(volume: &Node<'_, '_>, errors: &mut Errors) {
    mode(&volume.at("defaultMode"), errors);
    let mut taken = Paths::new();
    for source in volume.at("sources").items() {
        one(&source, volume, &mut taken, errors);
    }
}

fn one<'v>(source: &Node<'v, '_>, volume: &Node<'v, '_>, taken: &mut Paths<'v>, errors: &mut Errors) {
    let mut count = 0;
    for kind in ["secret", "configMap"] {
        let files = source.at(kind);
        if files.is_set() {
            count += 1;
            keys(&files, volume, taken, errors);
        }
    }
    let downward = source.at("downwardAPI");
    if downward.is_set() {
        count += 1;
        for file in downward.at("items").items() {
            sources::downward_file(&file.named(downward.path), errors);
            let path = file.at("path").text();
            take(path, path, volume, taken, errors);
        }
    }
    let token = source.at("serviceAccountToken");
    if token.is_set() {
        count += 1;
        service_account_token(&token, volume, errors);
    }
    let bundle = source.at("clusterTrustBundle");
    if bundle.is_set() {
        count += 1;
        trust_bundle(&bundle, errors);
        let path = bundle.at("path").text();
        if !taken.insert(path) {
            errors.push(volume.invalid_as(path, CONFLICT));
        }
    }
    count += usize::from(source.at("podCertificate").is_set());
    if count > 1 {
        errors.push(source.forbidden("may not specify more than 1 volume type per source"));
    }
}

const CONFLICT: &str = "conflicting duplicate paths";

fn take<'v>(path: &'v str, shown: &str, volume: &Node<'_, '_>, taken: &mut Paths<'v>, errors: &mut Errors) {
    if !path.is_empty() && !taken.insert(path) {
        errors.push(volume.invalid_as(shown, CONFLICT));
    }
}

/// Files of a ConfigMap or a Secret.
fn keys<'v>(files: &Node<'v, '_>, volume: &Node<'v, '_>, taken: &mut Paths<'v>, errors: &mut Errors) {
    let name = files.at("name");
    name.require(errors);
    items(&files.at("items"), errors);
    for item in files.at("items").items() {
        take(item.at("path").text(), name.text(), volume, taken, errors);
    }
}

/// Ten minutes, and what fits 32 bits.
const SECONDS_MIN: i64 = 600;
const SECONDS_MAX: i64 = 1 << 32;

/// A token; upstream tells of its path as the volume's.
fn service_account_token(token: &Node<'_, '_>, volume: &Node<'_, '_>, errors: &mut Errors) {
    let seconds = token.at("expirationSeconds");
    let lifetime = seconds.int().unwrap_or_default();
    if lifetime < SECONDS_MIN {
        errors.push(seconds.invalid_as(lifetime, "may not specify a duration less than 10 minutes"));
    }
    if lifetime > SECONDS_MAX {
        errors.push(seconds.invalid("may not specify a duration larger than 2^32 seconds"));
    }
    let path = token.at("path").named(volume.path.field("path"));
    path.require(errors);
    local_path(&path, errors);
}

fn trust_bundle(bundle: &Node<'_, '_>, errors: &mut Errors) {
    let (name, signer, selector) = (bundle.at("name"), bundle.at("signerName"), bundle.at("labelSelector"));
    match (name.is_set(), signer.is_set()) {
        (true, true) => errors.push(bundle.invalid("only one of name and signerName may be used")),
        (true, false) => {
            if name.text().is_empty() {
                errors.push(name.required("must be a valid object name"));
            }
            bundle_name(&name, errors);
            if selector.is_set() {
                errors.push(selector.invalid("labelSelector must be unset if name is specified"));
            }
        }
        (false, true) => {
            if signer.text().is_empty() {
                errors.push(signer.required("must be a valid signer name"));
            }
            selector_rules::validate(&selector, errors);
        }
        (false, false) => errors.push(bundle.required("either name or signerName must be specified")),
    }
    bundle.at("path").require(errors);
    local_path(&bundle.at("path"), errors);
}

/// `signer:domain:name` belongs to a signer; anything else to nobody.
fn bundle_name(name: &Node<'_, '_>, errors: &mut Errors) {
    let own = name.text().rsplit(':').next().unwrap_or_default();
    for problem in names::subdomain(own) {
        errors.push(name.invalid(format!("not a valid clustertrustbundlename: {problem}")));
    }
}
