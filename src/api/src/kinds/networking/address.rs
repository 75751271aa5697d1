//! The addresses of Services and the ranges they come from.

use serde_json::Value;

use super::super::apps::rules::immutable;
use super::super::{NameRule, Strategy};
use crate::field::{Errors, Node};
use crate::metadata::keep_described;
use crate::names;
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

pub(super) const RANGE: Strategy = Strategy {
    prepare_status: keep_described,
    validate: range,
    validate_update: range_update,
    ..Strategy::PLAIN
};

fn address(address: &Node<'_, '_>, errors: &mut Errors) {
    let parent = address.at("spec.parentRef");
    if !parent.is_set() {
        return errors.push(parent.required(""));
    }
    // The group of Services is the empty one.
    parent.at("group").check_given(names::subdomain, errors);
    parent.at("resource").must_be(names::path_segment, errors);
    parent.at("name").must_be(names::path_segment, errors);
    parent.at("namespace").check_given(names::path_segment, errors);
}

fn range(range: &Node<'_, '_>, errors: &mut Errors) {
    let ranges = range.at("spec.cidrs");
    match ranges.list().len() {
        0 => return errors.push(ranges.required("at least one CIDR required")),
        1 | 2 => {}
        _ => {
            let shown = range.at("spec").value.clone();
            return errors.push(ranges.invalid_as(shown, "may only hold up to 2 values"));
        }
    }
    for range in ranges.items() {
        range.check(names::canonical_cidr, errors);
    }
    let family = |value: &Value| names::network(value.as_str()?).map(|(address, _)| address.is_ipv4());
    if let [first, second] = ranges.list()
        && family(first).is_some()
        && family(first) == family(second)
    {
        errors.push(ranges.invalid(
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
        ));
    }
}

/// A second family may be added, nothing else.
fn range_update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let ranges = new.at("spec.cidrs");
    let old_ranges = list(old, "spec.cidrs");
    match (old_ranges.len(), ranges.list().len()) {
        (before, after) if before == after || (before, after) == (1, 2) => {
            for (range, old) in ranges.items().zip(old_ranges) {
                immutable(&range, old, errors);
            }
        }
        _ => immutable(&ranges, at(old, "spec.cidrs"), errors),
    }
}

pub(super) static ADDRESS_TABLE: Table = Table {
    columns: &[NAME, Column::text("ParentRef")],
    cells: |address, _| vec![name(address), parent(at(address, "spec.parentRef")).into()],
};

/// `services/default/web`, `widgets.example.com/one`
fn parent(parent: &Value) -> String {
    let (group, resource) = (text(parent, "group"), text(parent, "resource"));
    let resource = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
    match (text(parent, "namespace"), text(parent, "name")) {
        _ if parent.is_null() => "<none>".to_owned(),
        ("", name) => format!("{resource}/{name}"),
        (namespace, name) => format!("{resource}/{namespace}/{name}"),
    }
}

pub(super) static RANGE_TABLE: Table = Table {
    columns: &[NAME, Column::text("CIDRs"), AGE],
    cells: |range, now| vec![name(range), joined(list(range, "spec.cidrs")).into(), age(range, now)],
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::{Part, by_resource};

    #[test]
    fn ranges_are_one_of_each_family() {
        for (cidrs, error) in [
            (json!(["10.0.0.0/16", "fd00::/112"]), ""),
            (json!([]), "spec.cidrs: Required value: at least one CIDR required"),
            (
                json!(["10.0.0.1/16"]),
                "spec.cidrs[0]: Invalid value: \"10.0.0.1/16\": must not have bits set beyond the prefix length",
            ),
            (
                json!(["FD00::/64"]),
                "spec.cidrs[0]: Invalid value: \"FD00::/64\": must be in canonical form (\"fd00::/64\")",
            ),
            (
                json!(["10.0.0.0/16", "10.1.0.0/16"]),
                "spec.cidrs: Invalid value: [\"10.0.0.0/16\",\"10.1.0.0/16\"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
            ),
        ] {
            let mut errors = Errors::new();
            range(&Node::root(&json!({"spec": {"cidrs": cidrs}})), &mut errors);
            assert_eq!(errors.iter().map(ToString::to_string).collect::<String>(), error, "{cidrs}");
        }
    }

    #[test]
    fn a_range_stays_but_may_get_a_second() {
        let changed = |old: Value, new: Value| {
            let kind = by_resource("networking.k8s.io", "v1", "servicecidrs").unwrap();
            let of =
                |cidrs| json!({"metadata": {"name": "a", "resourceVersion": "1"}, "spec": {"cidrs": cidrs}});
            let errors = kind.validate_update(&of(new), &of(old), Part::Main);
            errors.iter().map(ToString::to_string).collect::<String>()
        };
        assert_eq!(changed(json!(["10.0.0.0/16"]), json!(["10.0.0.0/16", "fd00::/112"])), "");
        assert_eq!(
            changed(json!(["10.0.0.0/16"]), json!(["10.1.0.0/16"])),
            "spec.cidrs[0]: Invalid value: \"10.1.0.0/16\": field is immutable"
        );
        assert!(
            changed(json!(["10.0.0.0/16", "fd00::/112"]), json!(["10.0.0.0/16"]))
                .starts_with("spec.cidrs: Invalid")
        );
    }

    #[test]
    fn an_address_has_a_parent() {
        let kind = by_resource("networking.k8s.io", "v1", "ipaddresses").unwrap();
        let found = |name: &str, parent: Value| {
            let object = json!({"metadata": {"name": name}, "spec": {"parentRef": parent}});
            kind.validate_create(&object).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            found("10.0.0.1", json!({"resource": "services", "name": "a", "namespace": "b"})),
            [""; 0]
        );
        assert_eq!(
            found("FD00::1", json!({"group": "A", "resource": "a/b"}))[0],
            "metadata.name: Invalid value: \"FD00::1\": must be in canonical form (\"fd00::1\")"
        );
        let errors = found("fd00::1", json!({"group": "A", "resource": "a/b"}));
        assert!(
            errors[0]
                .starts_with("spec.parentRef.group: Invalid value: \"A\": a lowercase RFC 1123 subdomain")
        );
        assert_eq!(errors[1], "spec.parentRef.resource: Invalid value: \"a/b\": may not contain '/'");
        assert_eq!(errors[2], "spec.parentRef.name: Required value");
    }
}
