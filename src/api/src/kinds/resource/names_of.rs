//! How drivers, pools, attributes and requests are called.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::field::{Errors, Node};
use crate::kinds::storage::driver_name;
use crate::names;
use crate::value::{list, text};

const POOL_MAX: usize = 253;
const ID_MAX: usize = 32;

/// Subdomains between slashes.
pub(super) fn pool(pool: &Node<'_, '_>, errors: &mut Errors) {
    if !pool.must_be_set(errors) {
        return;
    }
    if pool.text().len() > POOL_MAX {
        errors.push(pool.too_long(POOL_MAX));
    }
    for part in pool.text().split('/') {
        errors.extend(names::subdomain(part).into_iter().map(|problem| pool.invalid_as(part, problem)));
    }
}

/// `memory` or `example.com/memory`.
pub(super) fn qualified(at: &Node<'_, '_>, name: &str, errors: &mut Errors) {
    match name.split('/').collect::<Vec<_>>()[..] {
        [id] => identifier(at, id, errors),
        [domain, id] => {
            match domain {
                "" => errors.push(at.invalid_as("", "the domain must not be empty")),
                _ => driver_name(&Node { value: &Value::String(domain.to_owned()), path: at.path }, errors),
            }
            match id {
                "" => errors.push(at.invalid_as("", "the name must not be empty")),
                _ => identifier(at, id, errors),
            }
        }
        _ => {}
    }
}

/// A qualified name with its domain.
pub(super) fn fully_qualified(name: &Node<'_, '_>, errors: &mut Errors) {
    qualified(name, name.text(), errors);
    if !name.text().contains('/') {
        errors.push(name.invalid("a fully qualified name must be a domain and a name separated by a slash"));
    }
}

fn identifier(at: &Node<'_, '_>, id: &str, errors: &mut Errors) {
    if id.len() > ID_MAX {
        errors.push(at.too_long(ID_MAX));
    }
    errors.extend(names::c_identifier(id).into_iter().map(|problem| at.invalid_as(id, problem)));
}

/// The requests of a claim and, of those that offer a choice, the alternatives.
pub(super) struct Requests<'v>(BTreeMap<&'v str, Vec<&'v str>>);

impl<'v> Requests<'v> {
    pub(super) fn of(devices: &'v Value) -> Self {
        let requests = list(devices, "requests").iter();
        let alternatives =
            |request| list(request, "firstAvailable").iter().map(|one| text(one, "name")).collect();
        Self(requests.map(|request| (text(request, "name"), alternatives(request))).collect())
    }

    fn has(&self, name: &str) -> bool {
        match name.split_once('/') {
            None => self.0.contains_key(name),
            Some((request, alternative)) => {
                self.0.get(request).is_some_and(|alternatives| alternatives.contains(&alternative))
            }
        }
    }

    /// A reference to a request, or to one alternative of it.
    pub(super) fn check(&self, reference: &Node<'_, '_>, errors: &mut Errors) {
        const FORM: &str = "must be the name of a request in the claim or the name of a request and a subrequest \
                            separated by '/'";
        let parts: Vec<&str> = reference.text().split('/').collect();
        if parts.len() > 2 {
            return errors.push(reference.invalid(FORM));
        }
        for part in parts {
            errors.extend(
                names::dns_label(part).into_iter().map(|problem| reference.invalid_as(part, problem)),
            );
        }
        if !self.has(reference.text()) {
            errors.push(reference.invalid_as(reference.text(), FORM));
        }
    }

    /// A list of such references.
    pub(super) fn check_all(&self, references: &Node<'_, '_>, errors: &mut Errors) {
        set(references, 32, |reference, errors| self.check(reference, errors), errors);
    }
}

/// A list of at most so many items, each by its rules.
pub(super) fn slice(
    items: &Node<'_, '_>,
    max: usize,
    mut rule: impl FnMut(&Node<'_, '_>, &mut Errors),
    errors: &mut Errors,
) -> bool {
    let count = items.list().len();
    if count > max {
        errors.push(items.too_many(count, max));
        return false;
    }
    items.items().for_each(|item| rule(&item, errors));
    true
}

/// [`slice`] of texts, none of them twice.
pub(super) fn set(
    items: &Node<'_, '_>,
    max: usize,
    rule: impl FnMut(&Node<'_, '_>, &mut Errors),
    errors: &mut Errors,
) {
    if slice(items, max, rule, errors) {
        items.no_duplicates(errors);
    }
}

/// [`slice`] of things with a name, no name twice.
pub(super) fn named(
    items: &Node<'_, '_>,
    max: usize,
    key: &str,
    rule: impl FnMut(&Node<'_, '_>, &mut Errors),
    errors: &mut Errors,
) {
    if !slice(items, max, rule, errors) {
        return;
    }
    let mut seen = std::collections::BTreeSet::new();
    for item in items.items() {
        if !seen.insert(text(item.value, key)) {
            errors.push(item.duplicate_as(text(item.value, key)));
        }
    }
}

/// A JSON object of the driver's own.
pub(super) fn raw_object(raw: &Node<'_, '_>, max: usize, errors: &mut Errors) {
    match raw.value {
        Value::Null => errors.push(raw.required("")),
        value if value.to_string().len() > max => errors.push(raw.too_long(max)),
        Value::Object(_) => {}
        _ => errors.push(raw.invalid_as("<value omitted>", "must be a valid JSON object")),
    }
}
