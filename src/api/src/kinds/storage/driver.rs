//! CSI drivers, and where they run.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::apps::rules::{immutable, non_negative};
use super::super::{Generation, Strategy};
use crate::field::{Errors, Node};
use crate::metadata::validate_label_key;
use crate::names;
use crate::table::{AGE, Column, NAME, Table, age, joined, name, or};
use crate::value::{at, default_to, default_zero_to, flag, list, text};

pub(super) const DRIVER: Strategy = Strategy {
    defaults,
    validate: driver,
    validate_update: |new, old, errors| {
        let attach = new.at("spec.attachRequired");
        // Upstream's path has a letter more.
        immutable(
            &attach.named(new.path.field("spec.attachedRequired")),
            at(old, "spec.attachRequired"),
            errors,
        );
        immutable(&new.at("spec.volumeLifecycleModes"), at(old, "spec.volumeLifecycleModes"), errors);
    },
    generation: Generation::Spec,
    unconditional_update: false,
    ..Strategy::PLAIN
};

pub(super) const NODE: Strategy =
    Strategy { validate: node, validate_update: node_update, unconditional_update: false, ..Strategy::PLAIN };

fn defaults(driver: &mut Value) {
    let Some(spec) = driver.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    default_to(spec, "attachRequired", true);
    for field in ["podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"] {
        default_to(spec, field, false);
    }
    default_to(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    default_zero_to(spec, "volumeLifecycleModes", json!(["Persistent"]));
}

const DRIVER_NAME_MAX: usize = 63;

/// The name of a driver, wherever it stands.
pub(in crate::kinds) fn driver_name(driver: &Node<'_, '_>, errors: &mut Errors) {
    driver.require(errors);
    if driver.text().len() > DRIVER_NAME_MAX {
        errors.push(driver.too_long(DRIVER_NAME_MAX));
    }
    driver.complain(names::subdomain(&driver.text().to_lowercase()), errors);
}

fn driver(driver: &Node<'_, '_>, errors: &mut Errors) {
    let spec = driver.at("spec");
    spec.at("fsGroupPolicy").may_be_among(&["File", "None", "ReadWriteOnceWithFSType"], errors);
    tokens(&spec.at("tokenRequests"), errors);
    let modes = spec.at("volumeLifecycleModes");
    for mode in modes.items() {
        Node { path: modes.path, ..mode }.may_be_among(&["Persistent", "Ephemeral"], errors);
    }
    let period = spec.at("nodeAllocatableUpdatePeriodSeconds");
    if period.int().is_some_and(|seconds| seconds < 10) {
        errors.push(period.invalid("must be greater than or equal to 10 seconds"));
    }
}

/// One token an audience, and each for some time.
fn tokens(requests: &Node<'_, '_>, errors: &mut Errors) {
    let mut audiences = BTreeSet::new();
    for request in requests.items() {
        let (audience, seconds) = (request.at("audience"), request.at("expirationSeconds"));
        if !audiences.insert(text(request.value, "audience")) {
            errors.push(audience.duplicate_as(audience.text()));
            continue;
        }
        match seconds.int() {
            Some(..600) => errors.push(seconds.invalid("may not specify a duration less than 10 minutes")),
            Some(4_294_967_297..) => {
                errors.push(seconds.invalid("may not specify a duration larger than 2^32 seconds"));
            }
            Some(_) | None => {}
        }
    }
}

const NODE_ID_MAX: usize = 256;

fn node(node: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for driver in node.at("spec.drivers").items() {
        let (name, id) = (driver.at("name"), driver.at("nodeID"));
        driver_name(&name, errors);
        id.require(errors);
        if id.text().len() > NODE_ID_MAX {
            errors.push(id.invalid(format!("must be {NODE_ID_MAX} characters or less")));
        }
        non_negative(&driver.at("allocatable.count"), errors);
        if !seen.insert(text(driver.value, "name")) {
            errors.push(name.duplicate());
        }
        topology(&driver, errors);
    }
}

/// The path is that of the driver, as upstream has it.
fn topology(driver: &Node<'_, '_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for key in list(driver.value, "topologyKeys").iter().filter_map(Value::as_str) {
        if key.is_empty() {
            errors.push(driver.required(""));
        }
        if !seen.insert(key) {
            errors.push(driver.duplicate_as(key));
        }
        validate_label_key(driver, key, errors);
    }
}

/// What a driver said about itself stays, but for how many volumes it can hold.
fn node_update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let drivers = new.at("spec.drivers");
    for driver in drivers.items() {
        let named = |old: &&Value| text(old, "name") == text(driver.value, "name");
        let Some(old) = list(old, "spec.drivers").iter().find(named) else { continue };
        if ["nodeID", "topologyKeys"].iter().any(|field| at(driver.value, field) != at(old, field)) {
            errors.push(drivers.invalid_as(driver.value.clone(), "field is immutable"));
        }
    }
}

pub(super) static DRIVER_TABLE: Table = Table {
    columns: &[
        NAME,
        Column::flag("AttachRequired"),
        Column::flag("PodInfoOnMount"),
        Column::flag("StorageCapacity"),
        Column::text("TokenRequests"),
        Column::flag("RequiresRepublish"),
        Column::text("Modes"),
        AGE,
    ],
    cells: |driver, now| {
        let spec = at(driver, "spec");
        let tokens: Vec<&str> =
            list(spec, "tokenRequests").iter().map(|token| text(token, "audience")).collect();
        vec![
            name(driver),
            at(spec, "attachRequired").as_bool().unwrap_or(true).into(),
            flag(spec, "podInfoOnMount").into(),
            flag(spec, "storageCapacity").into(),
            or(&tokens.join(","), "<unset>").into(),
            flag(spec, "requiresRepublish").into(),
            or(&joined(list(spec, "volumeLifecycleModes")), "<none>").into(),
            age(driver, now),
        ]
    },
};

pub(super) static NODE_TABLE: Table = Table {
    columns: &[NAME, Column::int("Drivers"), AGE],
    cells: |node, now| vec![name(node), list(node, "spec.drivers").len().into(), age(node, now)],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::said::sentences;

    #[test]
    fn what_a_driver_must_say() {
        for (spec, expected) in [
            (json!({}), &[][..]),
            (
                json!({"fsGroupPolicy": "X"}),
                &[
                    "spec.fsGroupPolicy: Unsupported value: \"X\": supported values: \"File\", \"None\", \"ReadWriteOnceWithFSType\"",
                ],
            ),
            (
                json!({"tokenRequests": [{"audience": "a"}, {"audience": "a"}, {"expirationSeconds": 599}, {"audience": "b", "expirationSeconds": 4_294_967_297_i64}]}),
                &[
                    "spec.tokenRequests[1].audience: Duplicate value: \"a\"",
                    "spec.tokenRequests[2].expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes",
                    "spec.tokenRequests[3].expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
                ],
            ),
            (
                json!({"volumeLifecycleModes": ["X"]}),
                &[
                    "spec.volumeLifecycleModes: Unsupported value: \"X\": supported values: \"Persistent\", \"Ephemeral\"",
                ],
            ),
            (
                json!({"nodeAllocatableUpdatePeriodSeconds": 9}),
                &[
                    "spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds",
                ],
            ),
        ] {
            let mut errors = Errors::new();
            driver(&Node::root(&json!({"spec": spec})), &mut errors);
            assert_eq!(sentences(&errors), expected, "{spec}");
        }
    }

    #[test]
    fn what_a_node_must_say_of_its_drivers() {
        let of = |drivers: Value| json!({"spec": {"drivers": drivers}});
        let good = of(json!([{"name": "a.b", "nodeID": "n"}]));
        for (object, expected) in [
            (&good, &[][..]),
            (&of(json!([{"name": "a.b"}])), &["spec.drivers[0].nodeID: Required value"]),
            (
                &of(
                    json!([{"name": "a.b", "nodeID": "n", "topologyKeys": ["k", "k"], "allocatable": {"count": -1}}]),
                ),
                &[
                    "spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
                    "spec.drivers[0]: Duplicate value: \"k\"",
                ],
            ),
        ] {
            let mut errors = Errors::new();
            node(&Node::root(object), &mut errors);
            assert_eq!(sentences(&errors), expected, "{object}");
        }
        let mut errors = Errors::new();
        let other = of(json!([{"name": "a.b", "nodeID": "m"}]));
        node_update(&Node::root(&other), &good, &mut errors);
        assert_eq!(
            sentences(&errors),
            ["spec.drivers: Invalid value: {\"name\":\"a.b\",\"nodeID\":\"m\"}: field is immutable"]
        );
    }
}
