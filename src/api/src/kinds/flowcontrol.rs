//! flowcontrol.apiserver.k8s.io: fairness between clients of the API server.

use serde_json::{Value, json};

use super::entry::{GroupVersion, names};
use super::{Generation, Kind, Strategy};
use crate::table::{AGE, Column, NAME, Table, age, name, or_none, plain};
use crate::value::{at, default_to, default_zero_to, int, list, text};

const V1: GroupVersion = GroupVersion::new("flowcontrol.apiserver.k8s.io", "v1");
const WRITTEN: Strategy = Strategy { generation: Generation::Spec, ..Strategy::PLAIN };

pub(super) static KINDS: &[Kind] = &[
    Kind {
        subresources: &[V1.status("FlowSchema")],
        strategy: Strategy {
            defaults: |schema| {
                if let Some(spec) = schema.get_mut("spec") {
                    default_zero_to(spec, "matchingPrecedence", 1000);
                }
            },
            ..WRITTEN
        },
        table: &SCHEMA_TABLE,
        ..V1.cluster(names!("io.k8s.api.flowcontrol.v1", FlowSchema, "flowschemas"))
    },
    Kind {
        subresources: &[V1.status("PriorityLevelConfiguration")],
        strategy: Strategy { defaults: level_defaults, ..WRITTEN },
        table: &LEVEL_TABLE,
        ..V1.cluster(names!(
            "io.k8s.api.flowcontrol.v1",
            PriorityLevelConfiguration,
            "prioritylevelconfigurations"
        ))
    },
];

fn level_defaults(level: &mut Value) {
    let Some(spec) = level.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    if text(spec, "type") == "Exempt" {
        default_to(spec, "exempt", json!({}));
    }
    if let Some(exempt) = spec.get_mut("exempt") {
        default_to(exempt, "nominalConcurrencyShares", 0);
        default_to(exempt, "lendablePercent", 0);
    }
    if let Some(limited) = spec.get_mut("limited") {
        default_to(limited, "nominalConcurrencyShares", 30);
        default_to(limited, "lendablePercent", 0);
        if let Some(queuing) =
            limited.get_mut("limitResponse").and_then(|response| response.get_mut("queuing"))
        {
            default_zero_to(queuing, "queues", 64);
            default_zero_to(queuing, "handSize", 8);
            default_zero_to(queuing, "queueLengthLimit", 50);
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
