//! What every object of the API looks like: one structure that pruning, defaulting, unknown-field reports, strategic
//! merge, server-side apply, `kubectl explain` and OpenAPI all read.
//!
//! A [`Schema`] is a set of flat arrays of rows (`row.rs`), static for the built-in kinds and on the heap for CRDs; a
//! [`Node`] is a cheap handle to one row, and [`Shape`] what it says. Consumers walk a value and a node side by side.
//!
//! Rejected: trees of boxes or static references. The built-in kinds would be 600 KB of pointers, each a relocation
//! that a position-independent binary must write, and so private memory, at every start.

mod builtin;
mod decode;
mod docs;
mod go;
mod node;
mod row;
mod scalar;
mod strict;
mod syntax;

#[cfg(test)]
pub(crate) mod any;
#[cfg(test)]
pub(crate) mod tests;

use std::borrow::Cow;

pub(crate) use builtin::FINGERPRINT;
pub use builtin::{builtin, by_name};
pub(crate) use decode::zero_value;
pub use decode::{DecodeError, MAX_DEPTH, conform, decode, parse};
pub use node::{Field, Keys, ListKind, Node, PatchStrategy, Shape};
pub use row::{Scalar, Unknown, Zero};
pub use strict::Strict;

pub(crate) use docs::Descriptions;
use docs::Docs;
pub(crate) use row::Place;
use row::{Definition, FieldRow, Index, Row, Span, Text};

/// A set of named types.
#[derive(Debug)]
pub struct Schema {
    nodes: Cow<'static, [Row]>,
    fields: Cow<'static, [FieldRow]>,
    keys: Cow<'static, [Text]>,
    /// Sorted by name.
    definitions: Cow<'static, [Definition]>,
    text: Cow<'static, str>,
    docs: Docs,
}

impl Schema {
    /// The type of this name, for example `io.k8s.api.core.v1.Pod`.
    pub fn definition(&self, name: &str) -> Option<Node<'_>> {
        let at = self.definitions.binary_search_by(|row| self.text(row.name).cmp(name)).ok()?;
        Some(self.node(self.definitions[at].node))
    }

    /// Every named type, sorted by name.
    pub fn definitions(&self) -> impl Iterator<Item = (&str, Node<'_>)> {
        self.definitions.iter().map(|row| (self.text(row.name), self.node(row.node)))
    }

    /// What the named type is for.
    pub fn description(&self, name: &str) -> Option<String> {
        self.descriptions().definition(name).map(str::to_owned)
    }

    /// Reads the descriptions of many types and fields.
    pub(crate) fn descriptions(&self) -> Descriptions<'_> {
        Descriptions::new(self)
    }

    fn node(&self, index: Index) -> Node<'_> {
        Node::new(self, index)
    }

    fn row(&self, index: Index) -> Row {
        self.nodes[index as usize]
    }

    fn fields(&self, span: Span) -> &[FieldRow] {
        &self.fields[range(span)]
    }

    fn text(&self, text: Text) -> &str {
        let start = text.start as usize;
        &self.text[start..start + usize::from(text.len)]
    }
}

fn range(span: Span) -> std::ops::Range<usize> {
    let start = span.start as usize;
    start..start + usize::from(span.len)
}
