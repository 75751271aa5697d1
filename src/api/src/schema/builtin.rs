//! The built-in kinds, from the tables that `build.rs` wrote.

use std::borrow::Cow;

use super::docs::Docs;
use super::{Node, Schema};

mod tables {
    use super::super::row::ListRow::{Atomic, Keyed, Set};
    use super::super::row::Row::{Any, AnyObject, Either, List, Map, Object, Scalar};
    use super::super::row::Scalar::{
        Bool, Bytes, Int32, Int64, IntOrString, MicroTime, Number, Quantity, String, Time,
    };
    use super::super::row::Unknown::Pruned;
    use super::super::row::Zero::{Dropped, Kept, Written};
    use super::super::row::{Definition, DocRow, FieldRow, Merge, Place, Row, Span, Text};

    include!(concat!(env!("OUT_DIR"), "/tables.rs"));
}

static BUILTIN: Schema = Schema {
    nodes: Cow::Borrowed(&tables::NODES),
    fields: Cow::Borrowed(&tables::FIELDS),
    keys: Cow::Borrowed(&tables::KEYS),
    definitions: Cow::Borrowed(&tables::DEFINITIONS),
    text: Cow::Borrowed(include_str!(concat!(env!("OUT_DIR"), "/text.txt"))),
    docs: Docs {
        rows: Cow::Borrowed(&tables::DOCS),
        chunks: Cow::Borrowed(&tables::CHUNKS),
        packed: Cow::Borrowed(include_bytes!(concat!(env!("OUT_DIR"), "/docs.bin"))),
    },
};

/// The types of Kubernetes itself.
pub fn builtin() -> &'static Schema {
    &BUILTIN
}

/// A built-in type by its OpenAPI name, for example `io.k8s.api.core.v1.Pod`.
pub fn by_name(name: &str) -> Option<Node<'static>> {
    BUILTIN.definition(name)
}

/// Changes with the schemas and their descriptions.
pub(crate) const FINGERPRINT: &str = env!("SCHEMA_FINGERPRINT");
