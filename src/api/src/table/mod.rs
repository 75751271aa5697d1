//! Table output: the columns and cells `kubectl get` shows.
//!
//! Ages are relative, so cells are computed when a request is answered and never stored.

mod duration;

pub use duration::human_duration;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::selector::LabelSelector;
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

    pub(crate) const fn date(name: &'static str) -> Self {
        Self { kind: "date", ..Self::text(name) }
    }

    pub(crate) const fn flag(name: &'static str) -> Self {
        Self { kind: "boolean", ..Self::text(name) }
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
    columns: &[NAME, Column::date("Created At")],
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
        Some(then) => ago(then, now),
        None => "<unknown>".to_owned(),
    }
}

pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    human_duration(now.as_second().saturating_sub(then.as_second()))
}

/// `<none>` for the empty text.
pub(crate) fn or_none(text: &str) -> &str {
    or(text, "<none>")
}

pub(crate) fn or<'a>(text: &'a str, absent: &'a str) -> &'a str {
    if text.is_empty() { absent } else { text }
}

/// `a=b,c=d`
pub(crate) fn labels_or_none(labels: &Value) -> String {
    let mut pairs: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    pairs.sort_unstable();
    or_none(&pairs.join(",")).to_owned()
}

/// A label selector as its query string.
pub(crate) fn selector_or_none(selector: &Value) -> String {
    match LabelSelector::from_object(selector) {
        Ok(selector) => or_none(&selector.to_string()).to_owned(),
        Err(_) => "<error>".to_owned(),
    }
}

/// At most three of many: `a,b,c + 2 more...`
pub(crate) fn first_three(items: &[String], absent: &str) -> String {
    match items {
        [] => absent.to_owned(),
        [a, b, c, rest @ ..] if !rest.is_empty() => format!("{a},{b},{c} + {} more...", rest.len()),
        few => few.join(","),
    }
}

/// The strings of a list, joined by commas.
pub(crate) fn joined(items: &[Value]) -> String {
    items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}

/// A number, a string or nothing, as text.
pub(crate) fn plain(value: &Value, absent: &str) -> String {
    match value {
        Value::Null => absent.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
