//! Descriptions, kept compressed: 700 KB of prose that nothing but `explain` and OpenAPI ever reads.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::DeflateDecoder;

use super::row::{DocRow, NONE};
use super::{Field, Schema};

#[derive(Debug)]
pub(super) struct Docs {
    pub(super) rows: Cow<'static, [DocRow]>,
    /// Where each chunk starts in the raw text and in the packed bytes.
    pub(super) chunks: Cow<'static, [(u32, u32)]>,
    pub(super) packed: Cow<'static, [u8]>,
}

impl Docs {
    fn unpack(&self, chunk: usize) -> String {
        let start = self.chunks[chunk].1 as usize;
        let end = self.chunks.get(chunk + 1).map_or(self.packed.len(), |next| next.1 as usize);
        let mut text = String::new();
        DeflateDecoder::new(&self.packed[start..end])
            .read_to_string(&mut text)
            .expect("our own build packed the descriptions");
        text
    }
}

/// Reads descriptions, unpacking each chunk once.
#[derive(Debug)]
pub(crate) struct Descriptions<'s> {
    schema: &'s Schema,
    unpacked: Vec<Option<String>>,
}

impl<'s> Descriptions<'s> {
    pub(super) fn new(schema: &'s Schema) -> Self {
        Self { schema, unpacked: vec![None; schema.docs.chunks.len()] }
    }

    pub(crate) fn definition(&mut self, name: &str) -> Option<&str> {
        let rows = &self.schema.definitions;
        let at = rows.binary_search_by(|row| self.schema.text(row.name).cmp(name)).ok()?;
        self.get(rows[at].doc)
    }

    pub(crate) fn field(&mut self, field: Field<'_>) -> Option<&str> {
        self.get(field.doc())
    }

    fn get(&mut self, row: u32) -> Option<&str> {
        if row == NONE {
            return None;
        }
        let docs = &self.schema.docs;
        let row = docs.rows[row as usize];
        let chunk = docs.chunks.partition_point(|(start, _)| *start <= row.start) - 1;
        let text = self.unpacked[chunk].get_or_insert_with(|| docs.unpack(chunk));
        let start = (row.start - docs.chunks[chunk].0) as usize;
        Some(&text[start..start + usize::from(row.len)])
    }
}
