//! Lays rows out: interns text, shares equal nodes, packs descriptions.

use std::collections::HashMap;
use std::io::Write as _;

use crate::places::Places;
use crate::row::{Definition, DocRow, FieldRow, Index, NONE, Row, Span, Text};

/// Descriptions are packed in chunks of about this size: small enough to unpack for one `explain`, large enough to pack well.
const CHUNK: usize = 64 << 10;

#[derive(Default)]
pub struct Builder {
    pub nodes: Vec<Row>,
    pub fields: Vec<FieldRow>,
    pub keys: Vec<Text>,
    pub definitions: Vec<Definition>,
    pub text: String,
    pub docs: Docs,
    pub places: Places,
    shared: HashMap<Row, Index>,
    texts: HashMap<String, Text>,
    spans: HashMap<Vec<Text>, Span>,
}

impl Builder {
    pub fn new(places: Places) -> Self {
        Self { places, ..Self::default() }
    }

    /// The node of this row, shared with every equal one.
    pub fn node(&mut self, row: Row) -> Index {
        if let Some(index) = self.shared.get(&row) {
            return *index;
        }
        let index = self.reserve();
        self.nodes[index as usize] = row;
        self.shared.insert(row, index);
        index
    }

    /// A node to be filled in later: definitions may refer to themselves.
    pub fn reserve(&mut self) -> Index {
        self.nodes.push(Row::Any);
        index(self.nodes.len() - 1)
    }

    pub fn text(&mut self, text: &str) -> Text {
        if text.is_empty() {
            return Text::default();
        }
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let place = Text { start: index(self.text.len()), len: short(text.len()) };
        self.text.push_str(text);
        self.texts.insert(text.to_owned(), place);
        place
    }

    pub fn keys(&mut self, keys: &[&str]) -> Span {
        let texts: Vec<Text> = keys.iter().map(|key| self.text(key)).collect();
        if let Some(span) = self.spans.get(&texts) {
            return *span;
        }
        let span = Span { start: index(self.keys.len()), len: short(texts.len()) };
        self.keys.extend(&texts);
        self.spans.insert(texts, span);
        span
    }

    pub fn fields(&mut self, fields: &[FieldRow]) -> Span {
        let span = Span { start: index(self.fields.len()), len: short(fields.len()) };
        self.fields.extend(fields);
        span
    }
}

/// The descriptions: rows into one long text, kept in compressed chunks.
#[derive(Default)]
pub struct Docs {
    pub rows: Vec<DocRow>,
    raw: String,
    known: HashMap<String, u32>,
}

impl Docs {
    pub fn add(&mut self, description: Option<&str>) -> u32 {
        let Some(description) = description.filter(|d| !d.is_empty()) else { return NONE };
        if let Some(known) = self.known.get(description) {
            return *known;
        }
        self.rows.push(DocRow { start: index(self.raw.len()), len: short(description.len()) });
        self.raw.push_str(description);
        let row = index(self.rows.len() - 1);
        self.known.insert(description.to_owned(), row);
        row
    }

    /// The chunks as (offset in the raw text, offset in the packed bytes) and the packed bytes. A description never
    /// straddles two chunks.
    pub fn pack(&self) -> (Vec<(u32, u32)>, Vec<u8>) {
        let mut chunks = Vec::new();
        let mut packed = Vec::new();
        let mut start = 0;
        for (at, row) in self.rows.iter().enumerate() {
            let end = (row.start + u32::from(row.len)) as usize;
            if end - start >= CHUNK || at + 1 == self.rows.len() {
                chunks.push((index(start), index(packed.len())));
                packed.extend(deflate(&self.raw.as_bytes()[start..end]));
                start = end;
            }
        }
        (chunks, packed)
    }
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("a Vec takes every write");
    encoder.finish().expect("a Vec takes every write")
}

fn index(at: usize) -> u32 {
    u32::try_from(at).expect("the built-in schemas have far fewer rows")
}

fn short(len: usize) -> u16 {
    u16::try_from(len).expect("names and descriptions are shorter than 64 KiB")
}
