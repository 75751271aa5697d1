//! The addresses of Services and the ranges they come from.

use serde_json::Value;

use super::super::apps::rules::immutable;
use super::super::core::service::is_cidr;
use super::super::{NameRule, Strategy};
use crate::field::{Errors, Node};
use crate::table::{AGE, Column, NAME, Table, age, joined, name};
use crate::value::{at, list, text};

pub(super) const ADDRESS: Strategy = Strategy {
    name: NameRule::Address,
    validate: address,
    validate_update: |new, old, errors| {
        immutable(&new.at("spec.parentRef"), at(old, "spec.parentRef"), errors);
    },
    ..Strategy::PLAIN
};

pub(super) const RANGE: Strategy =
    Strategy { validate: range, validate_update: range_update, ..Strategy::PLAIN };

fn address(address: &Node<'_, '_>, errors: &mut Errors) {
    let parent = address.at("spec.parentRef");
    if !parent.is_set() {
        return errors.push(parent.required(""));
    }
    for field in ["resource", "name"] {
        let field = parent.at(field);
        if field.text().is_empty() {
            errors.push(field.required(""));
        }
    }
}

fn range(range: &Node<'_, '_>, errors: &mut Errors) {
    let ranges = range.at("spec.cidrs");
    match ranges.list().len() {
        0 => errors.push(ranges.required("at least one CIDR required")),
        1 | 2 => {}
        _ => errors.push(ranges.invalid("may only hold up to 2 values")),
    }
    for range in ranges.items().filter(|range| !is_cidr(range.text())) {
        errors.push(range.invalid("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"));
    }
}

/// A second family may be added, nothing else.
fn range_update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let ranges = new.at("spec.cidrs");
    match list(old, "spec.cidrs") {
        [first] if ranges.list().len() == 2 => immutable(&ranges.first(), first, errors),
        _ => immutable(&ranges, at(old, "spec.cidrs"), errors),
    }
}

pub(super) static ADDRESS_TABLE: Table = Table {
    columns: &[NAME, Column::text("ParentRef"), AGE],
    cells: |address, now| {
        let parent = at(address, "spec.parentRef");
        let parts: Vec<&str> = ["group", "resource", "namespace", "name"]
            .into_iter()
            .map(|field| text(parent, field))
            .filter(|part| !part.is_empty())
            .collect();
        let shown = if parts.is_empty() { "<none>".to_owned() } else { parts.join("/") };
        vec![name(address), shown.into(), age(address, now)]
    },
};

pub(super) static RANGE_TABLE: Table = Table {
    columns: &[NAME, Column::text("CIDRs"), AGE],
    cells: |range, now| vec![name(range), joined(list(range, "spec.cidrs")).into(), age(range, now)],
};
