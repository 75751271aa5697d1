//! How volumes and claims are shown.

use serde_json::Value;

use crate::table::{AGE, Column, NAME, Table, age, name, or, plain};
use crate::value::{at, list, text};

pub(in crate::kinds::core) static CLAIM_TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("Status"),
        Column::text("Volume"),
        Column::text("Capacity"),
        Column::text("Access Modes"),
        Column::text("StorageClass"),
        Column::text("VolumeAttributesClass"),
        AGE,
        Column::text("VolumeMode").wide(),
    ],
    cells: |claim, now| {
        let bound = !text(claim, "spec.volumeName").is_empty();
        let capacity = if bound { plain(at(claim, "status.capacity.storage"), "0") } else { String::new() };
        let modes = if bound { short_modes(list(claim, "status.accessModes")) } else { String::new() };
        vec![
            name(claim),
            phase(claim).into(),
            text(claim, "spec.volumeName").into(),
            capacity.into(),
            modes.into(),
            class(claim).into(),
            or(text(claim, "spec.volumeAttributesClassName"), "<unset>").into(),
            age(claim, now),
            or(text(claim, "spec.volumeMode"), "<unset>").into(),
        ]
    },
};

pub(in crate::kinds::core) static VOLUME_TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("Capacity"),
        Column::text("Access Modes"),
        Column::text("Reclaim Policy"),
        Column::text("Status"),
        Column::text("Claim"),
        Column::text("StorageClass"),
        Column::text("VolumeAttributesClass"),
        Column::text("Reason"),
        AGE,
        Column::text("VolumeMode").wide(),
    ],
    cells: |volume, now| {
        let claim = match at(volume, "spec.claimRef") {
            Value::Null => String::new(),
            claim => format!("{}/{}", text(claim, "namespace"), text(claim, "name")),
        };
        vec![
            name(volume),
            plain(at(volume, "spec.capacity.storage"), "0").into(),
            short_modes(list(volume, "spec.accessModes")).into(),
            text(volume, "spec.persistentVolumeReclaimPolicy").into(),
            phase(volume).into(),
            claim.into(),
            class(volume).into(),
            or(text(volume, "spec.volumeAttributesClassName"), "<unset>").into(),
            text(volume, "status.reason").into(),
            age(volume, now),
            or(text(volume, "spec.volumeMode"), "<unset>").into(),
        ]
    },
};

fn phase(object: &Value) -> &str {
    match at(object, "metadata.deletionTimestamp") {
        Value::Null => text(object, "status.phase"),
        _ => "Terminating",
    }
}

/// The annotation is the older way to name a class and wins.
fn class(object: &Value) -> &str {
    match at(object, "metadata.annotations")
        .get("volume.beta.kubernetes.io/storage-class")
        .and_then(Value::as_str)
    {
        Some(class) => class,
        None => text(object, "spec.storageClassName"),
    }
}

/// `RWO,ROX`, in upstream's order.
fn short_modes(modes: &[Value]) -> String {
    [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ]
    .into_iter()
    .filter(|(mode, _)| modes.iter().any(|given| given == mode))
    .map(|(_, short)| short)
    .collect::<Vec<_>>()
    .join(",")
}
