//! How jobs are shown.

use jiff::Timestamp;
use serde_json::Value;

use super::super::core::pod::container_cells;
use crate::table::{
    AGE, Column, NAME, Table, age, ago, human_duration, name, or_none, selector_or_none, since,
};
use crate::value::{at, int, list, text};

const CONTAINERS: Column = Column::text("Containers").wide();
const IMAGES: Column = Column::text("Images").wide();
const SELECTOR: Column = Column::text("Selector").wide();

pub(super) static JOB: Table = Table {
    columns: &[
        NAME,
        Column::text("Status"),
        Column::text("Completions"),
        Column::text("Duration"),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: |job, now| {
        let mut cells = vec![
            name(job),
            status(job).into(),
            completions(job).into(),
            duration(job, now).into(),
            age(job, now),
        ];
        cells.extend(container_cells(at(job, "spec.template")));
        cells.push(selector_or_none(at(job, "spec.selector")).into());
        cells
    },
};

pub(super) static CRON_JOB: Table = Table {
    columns: &[
        NAME,
        Column::text("Schedule"),
        Column::text("Timezone"),
        Column::flag("Suspend"),
        Column::int("Active"),
        Column::text("Last Schedule"),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: |cron, now| {
        let last = match at(cron, "status.lastScheduleTime") {
            Value::Null => "<none>".to_owned(),
            time => since(time, now),
        };
        let mut cells = vec![
            name(cron),
            text(cron, "spec.schedule").into(),
            or_none(text(cron, "spec.timeZone")).into(),
            suspended(at(cron, "spec.suspend")).into(),
            list(cron, "status.active").len().into(),
            last.into(),
            age(cron, now),
        ];
        let job = at(cron, "spec.jobTemplate.spec");
        cells.extend(container_cells(at(job, "template")));
        cells.push(selector_or_none(at(job, "selector")).into());
        cells
    },
};

fn suspended(suspend: &Value) -> &'static str {
    match suspend {
        Value::Bool(true) => "True",
        Value::Bool(false) => "False",
        _ => "<unset>",
    }
}

fn status(job: &Value) -> &'static str {
    let holds = |kind: &str| {
        list(job, "status.conditions")
            .iter()
            .any(|condition| text(condition, "type") == kind && text(condition, "status") == "True")
    };
    if let Some(ended) = ["Complete", "Failed"].into_iter().find(|kind| holds(kind)) {
        return ended;
    }
    if !at(job, "metadata.deletionTimestamp").is_null() {
        return "Terminating";
    }
    ["Suspended", "FailureTarget", "SuccessCriteriaMet"]
        .into_iter()
        .find(|kind| holds(kind))
        .unwrap_or("Running")
}

fn completions(job: &Value) -> String {
    let succeeded = int(job, "status.succeeded");
    match (at(job, "spec.completions").as_i64(), int(job, "spec.parallelism")) {
        (Some(completions), _) => format!("{succeeded}/{completions}"),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn duration(job: &Value, now: Timestamp) -> String {
    let time = |field: &str| text(at(job, "status"), field).parse::<Timestamp>().ok();
    match (time("startTime"), time("completionTime")) {
        (None, _) => String::new(),
        (Some(start), None) => ago(start, now),
        (Some(start), Some(end)) => human_duration(end.as_second().saturating_sub(start.as_second())),
    }
}
