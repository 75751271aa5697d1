//! Who writes which fields: what server-side apply needs to know of every write.

use api::apply::{self, Set, Write};
use api::kinds::{Kind, Part};
use api::schema::Node;
use jiff::Timestamp;
use serde_json::Value;

use crate::request::Request;

/// The writer of one request, and the part of the object it writes to.
#[derive(Debug)]
pub(crate) struct Manager {
    name: String,
    version: String,
    subresource: &'static str,
    now: String,
    reset: Set,
    node: Node<'static>,
}

impl Manager {
    /// The manager that the request names, or its program's name.
    pub(crate) fn of(request: &Request, part: Part, node: Node<'static>) -> Self {
        let named = request.query.text("fieldManager").unwrap_or(&request.program);
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        Self {
            name: named.into(),
            version: request.kind().api_version(),
            subresource: match part {
                Part::Main => "",
                Part::Status => "status",
                Part::Sub(name) => name,
            },
            now: now.to_string(),
            reset: reset(request.kind(), part),
            node,
        }
    }

    /// Notes who owns the fields in which `object` differs from `live`.
    pub(crate) fn note(&self, live: Option<&Value>, object: &mut Value) {
        apply::update(live, object, &self.write());
    }

    /// Lays an applied configuration over `live`.
    pub(crate) fn apply(
        &self,
        live: Option<&Value>,
        config: &Value,
        force: bool,
    ) -> Result<Value, apply::Error> {
        apply::apply(live, config, &self.write(), force)
    }

    fn write(&self) -> Write<'_> {
        Write {
            manager: &self.name,
            version: &self.version,
            subresource: self.subresource,
            now: &self.now,
            node: self.node,
            reset: &self.reset,
        }
    }
}

/// What a write to this part cannot own, because it cannot set it.
fn reset(kind: &Kind, part: Part) -> Set {
    match part {
        Part::Main if kind.has_status() => Set::of_fields(&[&["status"]]),
        Part::Main | Part::Sub(_) => Set::default(),
        Part::Status => Set::of_fields(&[&["spec"], &["metadata", "labels"]]),
    }
}
