//! The status of a claim: what it was given, and who uses it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::apps::rules::immutable;
use super::super::conditions;
use super::super::core::pod::node_selector;
use super::claim::configuration;
use super::device::binding_conditions;
use super::names_of::{Requests, named, pool, raw_object, set, slice};
use crate::field::{Errors, Node};
use crate::kinds::storage::driver_name;
use crate::metadata::keep_described;
use crate::names;
use crate::value::{at, list, text};

const USERS_MAX: usize = 256;
const RESULTS_MAX: usize = 32;
const CONFIGS_MAX: usize = 64;
const CONDITIONS_MAX: usize = 8;
const DATA_MAX: usize = 10 * 1024;
const INTERFACE_MAX: usize = 256;
const HARDWARE_MAX: usize = 128;
const ADDRESSES_MAX: usize = 16;

/// Of a device that the claim no longer has there is nothing more to say.
pub(super) fn prepare(new: &mut Value, old: &Value) {
    keep_described(new, old);
    let given = list(new, "status.allocation.devices.results").to_vec();
    let lost = |device: &Value| {
        let same = |result: &Value| {
            ["driver", "pool", "device"].iter().all(|part| at(result, part) == at(device, part))
        };
        list(old, "status.allocation.devices.results").iter().any(same) && !given.iter().any(same)
    };
    if let Some(devices) = new.get_mut("status").and_then(|status| status.get_mut("devices")?.as_array_mut())
    {
        devices.retain(|device| !lost(device));
    }
}

pub(super) fn status(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    let status = new.at("status");
    let (users, allocation) = (status.at("reservedFor"), status.at("allocation"));
    named(&users, USERS_MAX, "uid", user, errors);
    devices(&status.at("devices"), allocation.value, errors);
    if !users.list().is_empty() {
        let deleted = !at(new.value, "metadata.deletionTimestamp").is_null();
        let was = list(old, "status.reservedFor");
        if !allocation.is_set() {
            errors.push(users.forbidden("may not be specified when `allocated` is not set"));
        } else if deleted && users.list().iter().any(|user| !was.contains(user)) {
            errors.push(users.forbidden(
                "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set",
            ));
        }
    }
    match (at(old, "status.allocation"), allocation.is_set()) {
        (_, false) => {}
        (Value::Null, true) => given(&allocation, &Requests::of(at(new.value, "spec.devices")), errors),
        (was, true) => immutable(&allocation, was, errors),
    }
}

fn user(user: &Node<'_, '_>, errors: &mut Errors) {
    for field in ["resource", "name", "uid"] {
        user.at(field).require(errors);
    }
}

fn given(allocation: &Node<'_, '_>, requests: &Requests<'_>, errors: &mut Errors) {
    let devices = allocation.at("devices");
    slice(&devices.at("results"), RESULTS_MAX, |one, errors| result(one, requests, errors), errors);
    slice(
        &devices.at("config"),
        CONFIGS_MAX,
        |config, errors| {
            config.at("source").must_be_among(&["FromClaim", "FromClass"], errors);
            requests.check_all(&config.at("requests"), errors);
            configuration(config, errors);
        },
        errors,
    );
    let selector = allocation.at("nodeSelector");
    if selector.is_set() {
        node_selector(&selector, errors);
    }
}

fn result(result: &Node<'_, '_>, requests: &Requests<'_>, errors: &mut Errors) {
    requests.check(&result.at("request"), errors);
    driver_name(&result.at("driver"), errors);
    pool(&result.at("pool"), errors);
    result.at("device").check(names::dns_label, errors);
    binding_conditions(result, errors);
    share(&result.at("shareID"), errors);
}

fn share(id: &Node<'_, '_>, errors: &mut Errors) {
    if !id.is_set() {
        return;
    }
    let dash = |index: usize| matches!(index, 8 | 13 | 18 | 23);
    let fits = |(index, byte): (usize, u8)| match dash(index) {
        true => byte == b'-',
        false => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    };
    if id.text().len() != 36 || !id.text().bytes().enumerate().all(fits) {
        errors.push(id.invalid(
            "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase \
             hexadecimal characters",
        ));
    }
}

/// `driver/pool/device`, and the share of it.
fn id(device: &Value) -> String {
    let id = format!("{}/{}/{}", text(device, "driver"), text(device, "pool"), text(device, "device"));
    match text(device, "shareID") {
        "" => id,
        share => format!("{id}/{share}"),
    }
}

/// What drivers tell of the devices that were given.
fn devices(devices: &Node<'_, '_>, allocation: &Value, errors: &mut Errors) {
    let given: BTreeSet<String> = list(allocation, "devices.results").iter().map(id).collect();
    for device in devices.items() {
        told(&device, &given, errors);
    }
    let mut seen = BTreeSet::new();
    for device in devices.items() {
        if !seen.insert(id(device.value)) {
            errors.push(device.duplicate_as(id(device.value)));
        }
    }
}

fn told(device: &Node<'_, '_>, given: &BTreeSet<String>, errors: &mut Errors) {
    driver_name(&device.at("driver"), errors);
    pool(&device.at("pool"), errors);
    device.at("device").check(names::dns_label, errors);
    share(&device.at("shareID"), errors);
    if !given.contains(&id(device.value)) {
        errors.push(device.invalid_as(id(device.value), "must be an allocated device in the claim"));
    }
    let told = device.at("conditions");
    if told.list().len() > CONDITIONS_MAX {
        errors.push(told.too_many(told.list().len(), CONDITIONS_MAX));
    }
    conditions::validate(&told, errors);
    if device.at("data").is_set() {
        raw_object(&device.at("data"), DATA_MAX, errors);
    }
    let network = device.at("networkData");
    for (field, max) in [("interfaceName", INTERFACE_MAX), ("hardwareAddress", HARDWARE_MAX)] {
        if network.at(field).text().len() > max {
            errors.push(network.at(field).too_long(max));
        }
    }
    set(&network.at("ips"), ADDRESSES_MAX, |ip, errors| ip.check(names::interface_address, errors), errors);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_given_stays_and_is_what_was_asked_for() {
        let claim =
            |status: Value| json!({"spec": {"devices": {"requests": [{"name": "r"}]}}, "status": status});
        let found = |old: Value, new: Value| {
            let mut errors = Errors::new();
            status(&Node::root(&claim(new)), &claim(old), &mut errors);
            errors.iter().map(|error| error.to_string().replacen("status.", "", 1)).collect::<Vec<_>>()
        };
        let result = |request: &str| json!({"devices": {"results": [{"request": request, "driver": "a.b", "pool": "p", "device": "d"}]}});
        let user = json!({"resource": "pods", "name": "p", "uid": "u"});
        let own = json!({"driver": "a.b", "pool": "p", "device": "d", "networkData": {"ips": ["10.0.0.1"]}});
        for (old, new, expected) in [
            (json!({}), json!({"allocation": result("r"), "reservedFor": [user]}), &[][..]),
            (
                json!({}),
                json!({"allocation": result("x")}),
                &[
                    "allocation.devices.results[0].request: Invalid value: \"x\": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
                ],
            ),
            (
                json!({}),
                json!({"reservedFor": [user]}),
                &["reservedFor: Forbidden: may not be specified when `allocated` is not set"],
            ),
            (
                json!({"allocation": result("r")}),
                json!({"allocation": result("r"), "reservedFor": [user, user]}),
                &["reservedFor[1]: Duplicate value: \"u\""],
            ),
            (
                json!({"allocation": result("r")}),
                json!({"allocation": result("r"), "devices": [own]}),
                &[
                    "devices[0].networkData.ips[0]: Invalid value: \"10.0.0.1\": must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)",
                ],
            ),
        ] {
            assert_eq!(found(old, new.clone()), expected, "{new}");
        }
        assert!(
            found(json!({"allocation": result("r")}), json!({"allocation": result("s")}))[0]
                .ends_with("field is immutable")
        );
    }
}
