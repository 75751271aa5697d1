//! How workloads are shown.

use serde_json::Value;

use super::super::core::pod::container_cells;
use crate::table::{AGE, Column, NAME, Table, age, labels_or_none, name, selector_or_none};
use crate::value::{at, int, list, text};

const CONTAINERS: Column = Column::text("Containers").wide();
const IMAGES: Column = Column::text("Images").wide();
const SELECTOR: Column = Column::text("Selector").wide();

fn with_pods(mut cells: Vec<Value>, object: &Value) -> Vec<Value> {
    cells.extend(container_cells(at(object, "spec.template")));
    cells.push(selector_or_none(at(object, "spec.selector")).into());
    cells
}

fn ready_of(object: &Value) -> Value {
    format!("{}/{}", int(object, "status.readyReplicas"), int(object, "spec.replicas")).into()
}

pub(super) static DEPLOYMENT: Table = Table {
    columns: &[
        NAME,
        Column::text("Ready"),
        Column::text("Up-to-date"),
        Column::text("Available"),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: |object, now| {
        let cells = vec![
            name(object),
            ready_of(object),
            int(object, "status.updatedReplicas").into(),
            int(object, "status.availableReplicas").into(),
            age(object, now),
        ];
        with_pods(cells, object)
    },
};

/// ReplicaSets and replication controllers.
pub(in crate::kinds) static REPLICAS: Table = Table {
    columns: &[
        NAME,
        Column::int("Desired"),
        Column::int("Current"),
        Column::int("Ready"),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: |object, now| {
        let mut cells = vec![
            name(object),
            int(object, "spec.replicas").into(),
            int(object, "status.replicas").into(),
            int(object, "status.readyReplicas").into(),
            age(object, now),
        ];
        cells.extend(container_cells(at(object, "spec.template")));
        let selector = at(object, "spec.selector");
        let is_map = text(object, "kind") == "ReplicationController";
        cells.push(if is_map { labels_or_none(selector) } else { selector_or_none(selector) }.into());
        cells
    },
};

pub(super) static DAEMON_SET: Table = Table {
    columns: &[
        NAME,
        Column::int("Desired"),
        Column::int("Current"),
        Column::int("Ready"),
        Column::int("Up-to-date"),
        Column::int("Available"),
        Column::text("Node Selector"),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: |object, now| {
        let mut cells = vec![name(object)];
        for field in [
            "desiredNumberScheduled",
            "currentNumberScheduled",
            "numberReady",
            "updatedNumberScheduled",
            "numberAvailable",
        ] {
            cells.push(int(at(object, "status"), field).into());
        }
        cells.push(labels_or_none(at(object, "spec.template.spec.nodeSelector")).into());
        cells.push(age(object, now));
        with_pods(cells, object)
    },
};

pub(super) static STATEFUL_SET: Table = Table {
    columns: &[NAME, Column::text("Ready"), AGE, CONTAINERS, IMAGES],
    cells: |object, now| {
        let mut cells = vec![name(object), ready_of(object), age(object, now)];
        cells.extend(container_cells(at(object, "spec.template")));
        cells
    },
};

pub(super) static CONTROLLER_REVISION: Table = Table {
    columns: &[NAME, Column::text("Controller"), Column::int("Revision"), AGE],
    cells: |object, now| {
        let controller = list(object, "metadata.ownerReferences")
            .iter()
            .find(|owner| owner.get("controller") == Some(&Value::Bool(true)))
            .map_or_else(|| "<none>".to_owned(), owner);
        vec![name(object), controller.into(), int(object, "revision").into(), age(object, now)]
    },
};

/// `daemonset.apps/x`
fn owner(owner: &Value) -> String {
    let kind = text(owner, "kind").to_lowercase();
    match text(owner, "apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", text(owner, "name")),
        None => format!("{kind}/{}", text(owner, "name")),
    }
}
