//! Volumes: their names and where their files come from.

mod mounts;
mod projected;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::volume::plugin;
use super::spec::Owner;
use crate::field::{Errors, Node};
use crate::names;
use crate::value::{list, text};

/// The volumes that containers may mount, by name.
#[derive(Debug, Default)]
pub(super) struct Volumes<'v> {
    by_name: BTreeMap<&'v str, &'v Value>,
    /// Names of the claims that the owner of a template makes for each of its pods.
    claims: BTreeSet<&'v str>,
}

impl<'v> Volumes<'v> {
    pub(super) fn source_of(&self, name: &str) -> Option<&'v Value> {
        self.by_name.get(name).copied()
    }

    fn is_known(&self, name: &str) -> bool {
        self.by_name.contains_key(name) || self.claims.contains(name)
    }
}

pub(super) fn validate<'v>(volumes: &Node<'v, '_>, owner: Owner<'v>, errors: &mut Errors) -> Volumes<'v> {
    let mut known = Volumes::default();
    if let Owner::Template(claims) = owner {
        known.claims = claims.iter().map(|claim| text(claim, "metadata.name")).collect();
    }
    for volume in volumes.items() {
        let before = errors.len();
        sources::validate(&volume, owner, errors);
        let name = volume.at("name");
        match name.text() {
            "" => errors.push(name.required("")),
            _ => name.check(names::dns_label, errors),
        }
        if known.by_name.contains_key(name.text()) {
            errors.push(name.duplicate());
        }
        // What is wrong with a volume is told once, not at each of its mounts as well.
        if errors.len() == before {
            known.by_name.insert(name.text(), volume.value);
        }
        claim_is_anothers(&volume, volumes.value, owner, errors);
    }
    known
}

/// A claim that is made for a volume of the pod is no claim for another of its volumes.
fn claim_is_anothers(volume: &Node<'_, '_>, volumes: &Value, owner: Owner<'_>, errors: &mut Errors) {
    let claim = volume.at("persistentVolumeClaim.claimName");
    let Owner::Pod(pod) = owner else { return };
    let Some(of) = claim.text().strip_prefix(pod).and_then(|rest| rest.strip_prefix('-')) else { return };
    let made = |volume: &Value| {
        text(volume, "name") == of && volume.get("ephemeral").is_some_and(|source| !source.is_null())
    };
    if !pod.is_empty() && volumes.as_array().into_iter().flatten().any(made) {
        errors.push(claim.invalid("must not reference a PVC that gets created for an ephemeral volume"));
    }
}

/// The permission bits of a file.
fn mode(mode: &Node<'_, '_>, errors: &mut Errors) {
    if mode.int().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        errors.push(mode.invalid("must be a number between 0 and 0777 (octal), both inclusive"));
    }
}

/// A path that stays below where it starts.
pub(super) fn descending_path(path: &Node<'_, '_>, errors: &mut Errors) {
    if path.text().starts_with('/') {
        errors.push(path.invalid("must be a relative path"));
    }
    plugin::no_backsteps(path, errors);
}

/// A path in a volume whose names that start with `..` are its own.
pub(super) fn local_path(path: &Node<'_, '_>, errors: &mut Errors) {
    descending_path(path, errors);
    if path.text().starts_with("..") && !path.text().starts_with("../") {
        errors.push(path.invalid("must not start with '..'"));
    }
}

/// The keys of a ConfigMap or a Secret that become files.
fn items(items: &Node<'_, '_>, errors: &mut Errors) {
    for item in items.items() {
        item.at("key").require(errors);
        item.at("path").require(errors);
        local_path(&item.at("path"), errors);
        mode(&item.at("mode"), errors);
    }
}

/// Whether a pod has a projected token among its volumes, and where.
pub(super) fn tokens_need_an_account(spec: &Node<'_, '_>, errors: &mut Errors) {
    if !spec.at("serviceAccountName").text().is_empty() {
        return;
    }
    for volume in
        spec.at("volumes").items().filter(|volume| !list(volume.value, "projected.sources").is_empty())
    {
        for source in volume.at("projected.sources").items() {
            let token = source.at("serviceAccountToken");
            if token.is_set() {
                errors.push(token.forbidden("must not be specified when serviceAccountName is not set"));
            }
        }
    }
}
