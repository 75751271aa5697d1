//! Table output: the columns and cells `kubectl get` shows.
//!
//! Ages are relative, so cells are computed when a request is answered and never stored.

mod duration;

pub use duration::human_duration;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::value::{at, text};

/// How objects of one kind are shown.
#[derive(Debug)]
pub struct Table {
    pub columns: &'static [Column],
    /// One cell per column.
    pub cells: fn(&Value, Timestamp) -> Vec<Value>,
}

/// One column definition of a `meta.k8s.io/v1` Table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: &'static str,
    pub format: &'static str,
    pub description: &'static str,
    /// 0: always shown; 1: with `-o wide`.
    pub priority: i32,
}

impl Column {
    pub(crate) const fn text(name: &'static str) -> Self {
        Self { name, kind: "string", format: "", description: "", priority: 0 }
    }

    pub(crate) const fn int(name: &'static str) -> Self {
        Self { kind: "integer", ..Self::text(name) }
    }

    pub(crate) const fn wide(self) -> Self {
        Self { priority: 1, ..self }
    }

    /// The definition as it stands in a Table.
    pub fn definition(&self) -> Value {
        json!({"name": self.name, "type": self.kind, "format": self.format,
            "description": self.description, "priority": self.priority})
    }
}

pub(crate) const NAME: Column = Column { format: "name", ..Column::text("Name") };
pub(crate) const AGE: Column = Column::text("Age");

/// Kinds without columns of their own: the name and when it was created.
pub static PLAIN: Table = Table {
    columns: &[NAME, Column { kind: "date", ..Column::text("Created At") }],
    cells: |object, _| vec![name(object), text(object, "metadata.creationTimestamp").into()],
};

pub(crate) fn name(object: &Value) -> Value {
    text(object, "metadata.name").into()
}

/// The time since creation.
pub(crate) fn age(object: &Value, now: Timestamp) -> Value {
    since(at(object, "metadata.creationTimestamp"), now).into()
}

/// The time since a timestamp, `<unknown>` where there is none.
pub(crate) fn since(timestamp: &Value, now: Timestamp) -> String {
    match timestamp.as_str().and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(then) => human_duration(now.as_second().saturating_sub(then.as_second())),
        None => "<unknown>".to_owned(),
    }
}
