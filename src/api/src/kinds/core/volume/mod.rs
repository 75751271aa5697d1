//! Persistent volumes and claims on them.

mod claim;
mod persistent;
pub(super) mod plugin;
mod source;
mod table;

use jiff::Timestamp;
use serde_json::Value;

use super::super::Strategy;
use super::pod::default_claim_spec;
use crate::field::{Errors, Node};
use crate::quantity::Quantity;

pub(in crate::kinds) use persistent::inline;
pub(super) use table::{CLAIM_TABLE, VOLUME_TABLE};

pub(super) const CLAIM: Strategy = Strategy {
    defaults: default_claim_spec,
    prepare_create: claim::create,
    prepare_update: claim::prepare_update,
    validate: |claim, errors| claim_spec(&claim.at("spec"), errors),
    validate_update: claim::update,
    validate_status: claim::status,
    warnings: claim::warnings,
    ..Strategy::PLAIN
};

pub(super) const VOLUME: Strategy = Strategy {
    defaults: persistent::defaults,
    prepare_create: persistent::create,
    prepare_status: |new, old| persistent::note_phase(new, old, Timestamp::now()),
    validate: persistent::volume,
    validate_update: persistent::update,
    warnings: persistent::warnings,
    ..Strategy::PLAIN
};

/// The spec of a claim, or of a template for one.
pub(in crate::kinds) fn claim_spec(spec: &Node<'_, '_>, errors: &mut Errors) {
    claim::spec(spec, errors);
}

const MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// What a volume is mounted as; `missing` is said where nothing is.
fn access_modes(modes: &Node<'_, '_>, missing: &str, errors: &mut Errors) {
    if modes.list().is_empty() {
        errors.push(modes.required(missing));
    }
    for mode in modes.items().filter(|mode| !MODES.contains(&mode.text())) {
        errors.push(Node { path: modes.path, ..mode }.unsupported(MODES));
    }
    let has = |alone: bool| {
        modes.items().any(|mode| MODES.contains(&mode.text()) && (mode.text() == "ReadWriteOncePod") == alone)
    };
    if has(true) && has(false) {
        errors.push(modes.forbidden("may not use ReadWriteOncePod with other access modes"));
    }
}

fn positive(quantity: &Node<'_, '_>, amount: Quantity, errors: &mut Errors) {
    if amount.is_negative() || amount.is_zero() {
        errors.push(quantity.invalid_as(amount.to_string(), "must be greater than zero"));
    }
}

/// Bytes come whole.
fn fraction(list: &Node<'_, '_>) -> Option<String> {
    let amount = super::pod::quantity_of(list.value, "storage").filter(|amount| !amount.is_whole())?;
    Some(format!(
        "{}: fractional byte value {:?} is invalid, must be an integer",
        list.key("storage").path,
        amount.to_string()
    ))
}

fn old_annotation(object: &Value, annotation: &str, sentence: &str) -> Option<String> {
    crate::value::at(object, "metadata.annotations").get(annotation)?;
    Some(format!("metadata.annotations[{annotation}]: {sentence}"))
}

#[cfg(test)]
mod tests;
