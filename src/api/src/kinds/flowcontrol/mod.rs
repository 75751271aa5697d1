//! flowcontrol.apiserver.k8s.io: fairness between clients of the API server.

mod level;
mod schema;

use super::entry::{GroupVersion, names};
use super::{Generation, Kind, Strategy};
use crate::field::{Errors, Node};
use crate::metadata::keep_described;
use crate::table::{AGE, Column, NAME, Table, age, name, or_none, plain};
use crate::value::{at, default_zero_to, int, list, text};

const V1: GroupVersion = GroupVersion::new("flowcontrol.apiserver.k8s.io", "v1");
const WRITTEN: Strategy = Strategy {
    prepare_status: keep_described,
    validate_status: |new, _, errors| conditions(&new.at("status.conditions"), errors),
    generation: Generation::Spec,
    ..Strategy::PLAIN
};

pub(super) static KINDS: &[Kind] = &[
    Kind {
        subresources: &[V1.status("FlowSchema")],
        strategy: Strategy {
            defaults: |schema| {
                if let Some(spec) = schema.get_mut("spec") {
                    default_zero_to(spec, "matchingPrecedence", 1000);
                }
            },
            validate: schema::validate,
            ..WRITTEN
        },
        table: &SCHEMA_TABLE,
        row_order: Some(|schema| int(schema, "spec.matchingPrecedence")),
        ..V1.cluster(names!("io.k8s.api.flowcontrol.v1", FlowSchema, "flowschemas"))
    },
    Kind {
        subresources: &[V1.status("PriorityLevelConfiguration")],
        strategy: Strategy { defaults: level::defaults, validate: level::validate, ..WRITTEN },
        table: &LEVEL_TABLE,
        ..V1.cluster(names!(
            "io.k8s.api.flowcontrol.v1",
            PriorityLevelConfiguration,
            "prioritylevelconfigurations"
        ))
    },
];

fn conditions(conditions: &Node<'_, '_>, errors: &mut Errors) {
    for (index, condition) in conditions.items().enumerate() {
        let kind = condition.at("type");
        if conditions.list().iter().take(index).any(|before| text(before, "type") == kind.text()) {
            errors.push(kind.duplicate());
        }
        if kind.text().is_empty() {
            errors.push(kind.required("must not be empty"));
        }
    }
}

static SCHEMA_TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("PriorityLevel"),
        Column::int("MatchingPrecedence"),
        Column::text("DistinguisherMethod"),
        AGE,
        Column::text("MissingPL"),
    ],
    cells: |schema, now| {
        let dangling = list(schema, "status.conditions")
            .iter()
            .find(|condition| text(condition, "type") == "Dangling")
            .map_or("?", |condition| text(condition, "status"));
        vec![
            name(schema),
            text(schema, "spec.priorityLevelConfiguration.name").into(),
            int(schema, "spec.matchingPrecedence").into(),
            or_none(text(schema, "spec.distinguisherMethod.type")).into(),
            age(schema, now),
            dangling.into(),
        ]
    },
};

static LEVEL_TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("Type"),
        Column::text("NominalConcurrencyShares"),
        Column::text("Queues"),
        Column::text("HandSize"),
        Column::text("QueueLengthLimit"),
        AGE,
    ],
    cells: |level, now| {
        let limited = at(level, "spec.limited");
        let queuing = |field: &str| plain(at(at(limited, "limitResponse.queuing"), field), "<none>");
        vec![
            name(level),
            text(level, "spec.type").into(),
            plain(at(limited, "nominalConcurrencyShares"), "<none>").into(),
            queuing("queues").into(),
            queuing("handSize").into(),
            queuing("queueLengthLimit").into(),
            age(level, now),
        ]
    },
};
