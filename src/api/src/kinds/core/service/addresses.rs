//! The rules of a Service's addresses and their families.

use std::net::IpAddr;

use serde_json::Value;

use super::rules::is_headless;
use crate::field::{Errors, Node};
use crate::names;
use crate::value::{list, text};

/// `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy` must agree.
pub(super) fn cluster(spec: &Node<'_, '_>, errors: &mut Errors) {
    if spec.at("type").text() == "ExternalName" {
        return;
    }
    let (primary, all) = (spec.at("clusterIP"), spec.at("clusterIPs"));
    match (primary.text(), all.list()) {
        ("", []) => {}
        ("", _) => errors.push(all.invalid("must be empty when `clusterIP` is not specified")),
        (_, []) => errors.push(all.required("")),
        (first, listed) if listed[0] != first => {
            errors.push(all.invalid("first value must match `clusterIP`"));
        }
        _ => {}
    }
    let families = spec.at("ipFamilies");
    for family in families.items() {
        family.may_be_among(&["IPv4", "IPv6"], errors);
    }
    families.no_duplicates(errors);
    spec.at("ipFamilyPolicy").may_be_among(&["PreferDualStack", "RequireDualStack", "SingleStack"], errors);
    if valid_addresses(&all, errors) {
        of_families(spec, errors);
    }
}

fn valid_addresses(all: &Node<'_, '_>, errors: &mut Errors) -> bool {
    let before = errors.len();
    for (index, address) in all.items().enumerate() {
        match address.text() {
            "None" if index == 0 && all.list().len() == 1 => {}
            "None" if index == 0 => errors.push(all.invalid("'None' must be the first and only value")),
            text => address.complain(names::ip(text), errors),
        }
    }
    let valid = errors.len() == before;
    if all.list().len() > 2 {
        errors.push(all.invalid("may only hold up to 2 values"));
    }
    valid
}

fn of_families(spec: &Node<'_, '_>, errors: &mut Errors) {
    let all = spec.at("clusterIPs");
    let is_v4 =
        |value: &Value| value.as_str().and_then(|text| text.parse().ok()).map(|ip: IpAddr| ip.is_ipv4());
    if let [first, rest @ ..] = all.list()
        && rest.iter().any(|other| is_v4(other) == is_v4(first))
    {
        errors.push(all.invalid("may specify no more than one IP for each IP family"));
    }
    if is_headless(spec.value) {
        return;
    }
    for (index, (address, family)) in all.items().zip(list(spec.value, "ipFamilies")).enumerate() {
        let is = if is_v4(address.value) == Some(true) { "IPv4" } else { "IPv6" };
        if let Some(named @ ("IPv4" | "IPv6")) = family.as_str()
            && named != is
        {
            errors.push(
                address.invalid(format!("expected an {named} value as indicated by `ipFamilies[{index}]`")),
            );
        }
    }
}

pub(super) fn external(addresses: &Node<'_, '_>, errors: &mut Errors) {
    for address in addresses.items() {
        let problems = names::ip(address.text());
        let problems = if problems.is_empty() { names::special(address.text()) } else { problems };
        address.complain(problems, errors);
    }
}

const ONCE: &str = "may not change once set";

/// A second address or family may come and go; the first stays.
pub(super) fn update(spec: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let (was_headless, is_headless) = (is_headless(old), is_headless(spec.value));
    if !(was_headless && is_headless) {
        listed(spec, old, "clusterIPs", "clusterIP", errors);
    }
    if !was_headless && !is_headless {
        listed(spec, old, "ipFamilies", "ipFamily", errors);
    }
}

fn listed(spec: &Node<'_, '_>, old: &Value, field: &str, one: &str, errors: &mut Errors) {
    let node = spec.at(field);
    let (new, old) = (node.list(), list(old, field));
    let changed = |index: usize| node.path.index(index);
    let shown = || node.value.clone();
    if new.len() == old.len() {
        for index in (0..old.len()).filter(|index| new[*index] != old[*index]) {
            // Of the families only the first is ever named.
            let index = if field == "clusterIPs" { index } else { 0 };
            errors.push(Node { path: changed(index), ..node }.invalid_as(shown(), ONCE));
        }
        return;
    }
    let first = changed(0);
    let first = Node { path: first, ..node };
    match (old.first(), new.first()) {
        (Some(_), None) => errors.push(first.invalid_as(shown(), format!("primary {one} can not be unset"))),
        (Some(old), Some(new)) if old != new => errors.push(first.invalid_as(shown(), ONCE)),
        _ => {}
    }
    let policy = spec.at("ipFamilyPolicy");
    if old.len() > new.len() && new.len() == 1 && policy.text() != "SingleStack" {
        let sentence = format!("must be set to 'SingleStack' when releasing the secondary {one}");
        errors.push(policy.invalid(sentence));
    }
}

pub(super) fn warnings(spec: &Value, headless: bool) -> impl Iterator<Item = String> {
    let listed = |field: &'static str, about: fn(&str) -> Option<String>| {
        list(spec, field).iter().enumerate().filter_map(move |(index, value)| {
            let sentence = about(value.as_str()?.trim())?;
            Some(format!("spec.{field}[{index}]: {sentence}"))
        })
    };
    let own = listed("clusterIPs", names::ip_warning).filter(move |_| !headless);
    let balancer = text(spec, "loadBalancerIP");
    let balancer = names::ip_warning(balancer).map(|sentence| format!("spec.loadBalancerIP: {sentence}"));
    own.chain(listed("externalIPs", names::ip_warning))
        .chain(balancer)
        .chain(listed("loadBalancerSourceRanges", names::cidr_warning))
}
