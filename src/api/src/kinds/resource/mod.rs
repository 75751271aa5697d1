//! resource.k8s.io: dynamic resource allocation.

mod allocation;
mod claim;
mod device;
mod names_of;
mod slice;

use serde_json::Value;

use super::apps::rules::immutable;
use super::entry::{GroupVersion, names};
use super::field::Field;
use super::{Generation, Kind, Selectable, Strategy};
use crate::table::{AGE, Column, NAME, Table, age, name};
use crate::value::{at, default_zero_to, is_zero, items_mut, list, text};

const V1: GroupVersion = GroupVersion::new("resource.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[
    Kind {
        strategy: Strategy { validate: claim::class, generation: Generation::Spec, ..Strategy::PLAIN },
        table: &AGED,
        ..V1.cluster(names!("io.k8s.api.resource.v1", DeviceClass, "deviceclasses"))
    },
    Kind {
        subresources: &[V1.status("ResourceClaim")],
        strategy: Strategy {
            defaults: claim_defaults,
            validate_create: |claim, errors| claim::spec(&claim.at("spec"), errors),
            validate_update: |new, old, errors| immutable(&new.at("spec"), at(old, "spec"), errors),
            prepare_status: allocation::prepare,
            validate_status: allocation::status,
            ..Strategy::PLAIN
        },
        table: &CLAIM_TABLE,
        ..V1.namespaced(names!("io.k8s.api.resource.v1", ResourceClaim, "resourceclaims"))
    },
    Kind {
        strategy: Strategy {
            defaults: |template| {
                if let Some(claim) = template.get_mut("spec") {
                    claim_defaults(claim);
                }
            },
            validate_create: claim::template,
            validate_update: |new, old, errors| immutable(&new.at("spec"), at(old, "spec"), errors),
            ..Strategy::PLAIN
        },
        table: &AGED,
        ..V1.namespaced(names!("io.k8s.api.resource.v1", ResourceClaimTemplate, "resourceclaimtemplates"))
    },
    Kind {
        strategy: Strategy {
            validate: slice::validate,
            validate_update: slice::update,
            warnings: slice::warnings,
            generation: Generation::Spec,
            ..Strategy::PLAIN
        },
        table: &SLICE_TABLE,
        fields: Selectable(&[
            Field::new("spec.driver", &["spec", "driver"]),
            Field::new("spec.nodeName", &["spec", "nodeName"]),
        ]),
        ..V1.cluster(names!("io.k8s.api.resource.v1", ResourceSlice, "resourceslices"))
    },
];

fn claim_defaults(claim: &mut Value) {
    let Some(devices) = claim.get_mut("spec").and_then(|spec| spec.get_mut("devices")) else { return };
    for request in items_mut(devices, "requests") {
        if let Some(exactly) = request.get_mut("exactly") {
            device_request(exactly);
        }
        items_mut(request, "firstAvailable").for_each(device_request);
    }
}

fn device_request(request: &mut Value) {
    default_zero_to(request, "allocationMode", "ExactCount");
    if text(request, "allocationMode") == "ExactCount" {
        default_zero_to(request, "count", 1);
    }
    items_mut(request, "tolerations").for_each(|toleration| default_zero_to(toleration, "operator", "Equal"));
}

static AGED: Table =
    Table { columns: &[NAME, AGE], cells: |object, now| vec![name(object), age(object, now)] };

static CLAIM_TABLE: Table = Table {
    columns: &[NAME, Column::text("State"), AGE],
    cells: |claim, now| {
        let mut states = Vec::new();
        if !is_zero(at(claim, "metadata.deletionTimestamp")) {
            states.push("deleted");
        }
        match (at(claim, "status.allocation").is_null(), list(claim, "status.reservedFor").is_empty()) {
            (true, _) if states.is_empty() => states.push("pending"),
            (true, _) => {}
            (false, true) => states.push("allocated"),
            (false, false) => states.extend(["allocated", "reserved"]),
        }
        vec![name(claim), states.join(",").into(), age(claim, now)]
    },
};

static SLICE_TABLE: Table = Table {
    columns: &[NAME, Column::text("Node"), Column::text("Driver"), Column::text("Pool"), AGE],
    cells: |slice, now| {
        vec![
            name(slice),
            text(slice, "spec.nodeName").into(),
            text(slice, "spec.driver").into(),
            text(slice, "spec.pool.name").into(),
            age(slice, now),
        ]
    },
};
