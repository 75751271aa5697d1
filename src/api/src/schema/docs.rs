//! Descriptions, kept compressed: 700 KB of prose that nothing but `explain` and OpenAPI ever reads.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::DeflateDecoder;

use super::row::{DocRow, NONE};

#[derive(Debug)]
pub(crate) struct Docs {
    pub(super) rows: Cow<'static, [DocRow]>,
    /// Where each chunk starts in the raw text and in the packed bytes.
    pub(super) chunks: Cow<'static, [(u32, u32)]>,
    pub(super) packed: Cow<'static, [u8]>,
}

impl Docs {
    /// One description. Unpacks a chunk: whoever wants many uses a [`Reader`].
    pub(super) fn get(&self, row: u32) -> Option<String> {
        Reader::new(self).get(row).map(str::to_owned)
    }

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

/// Reads many descriptions, unpacking each chunk once.
#[derive(Debug)]
pub(crate) struct Reader<'s> {
    docs: &'s Docs,
    unpacked: Vec<Option<String>>,
}

impl<'s> Reader<'s> {
    pub(crate) fn new(docs: &'s Docs) -> Self {
        Self { docs, unpacked: vec![None; docs.chunks.len()] }
    }

    pub(crate) fn get(&mut self, row: u32) -> Option<&str> {
        if row == NONE {
            return None;
        }
        let row = self.docs.rows[row as usize];
        let chunk = self.docs.chunks.partition_point(|(start, _)| *start <= row.start) - 1;
        let text = self.unpacked[chunk].get_or_insert_with(|| self.docs.unpack(chunk));
        let start = (row.start - self.docs.chunks[chunk].0) as usize;
        Some(&text[start..start + usize::from(row.len)])
    }
}
