//! Tags, varints and lengths.

use super::Error;
use crate::schema::Place;

/// The value of one field as it lies in a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    /// Of no type of ours.
    Fixed32,
}

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

impl<'a> Wire<'a> {
    pub(super) fn bytes(self, field: &str) -> Result<&'a [u8], Error> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err(Error::WireType(field.into())),
        }
    }

    pub(super) fn text(self, field: &str) -> Result<&'a str, Error> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| Error::Text(field.into()))
    }

    pub(super) fn varint(self, field: &str) -> Result<u64, Error> {
        match self {
            Wire::Varint(value) => Ok(value),
            _ => Err(Error::WireType(field.into())),
        }
    }

    pub(super) fn long(self, field: &str) -> Result<i64, Error> {
        self.varint(field).map(u64::cast_signed)
    }

    /// What is too large for it loses its upper half, as in Go.
    pub(super) fn int(self, field: &str) -> Result<i32, Error> {
        let [a, b, c, d, ..] = self.varint(field)?.to_le_bytes();
        Ok(i32::from_le_bytes([a, b, c, d]))
    }
}

/// The fields of a message, in the order in which they lie there.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u32, Wire<'a>), Error> {
        let tag = take_varint(&mut self.0)?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0).ok_or(Error::Tag(tag))?;
        let wire = match (tag & 7) as u32 {
            VARINT => Wire::Varint(take_varint(&mut self.0)?),
            FIXED64 => Wire::Fixed64(u64::from_le_bytes(self.fixed()?)),
            BYTES => Wire::Bytes(self.delimited()?),
            FIXED32 => self.fixed::<4>().map(|_| Wire::Fixed32)?,
            // Groups, which nobody writes since proto2 had them.
            _ => return Err(Error::Tag(tag)),
        };
        Ok((number, wire))
    }

    fn fixed<const LEN: usize>(&mut self) -> Result<[u8; LEN], Error> {
        let (value, rest) = self.0.split_first_chunk().ok_or(Error::Truncated)?;
        self.0 = rest;
        Ok(*value)
    }

    fn delimited(&mut self) -> Result<&'a [u8], Error> {
        let len = usize::try_from(take_varint(&mut self.0)?).map_err(|_| Error::Truncated)?;
        let (value, rest) = self.0.split_at_checked(len).ok_or(Error::Truncated)?;
        self.0 = rest;
        Ok(value)
    }
}

pub(super) fn take_varint(bytes: &mut &[u8]) -> Result<u64, Error> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Error::Truncated)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Error::Truncated)
}

pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

fn tag(out: &mut Vec<u8>, number: u32, wire: u32) {
    varint(out, u64::from(number << 3 | wire));
}

/// A field whose value has a length: a string, bytes or a message.
pub(super) fn delimited<R>(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    tag(out, number, BYTES);
    let start = out.len();
    let result = write(out);
    let mut len = Vec::with_capacity(5);
    varint(&mut len, (out.len() - start) as u64);
    out.splice(start..start, len);
    result
}

pub(super) fn bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    tag(out, number, BYTES);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

pub(super) fn number(out: &mut Vec<u8>, number: u32, value: u64) {
    tag(out, number, VARINT);
    varint(out, value);
}

pub(super) fn double(out: &mut Vec<u8>, number: u32, value: f64) {
    tag(out, number, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Writes a field at its place: within the messages that it is inlined from, if any.
pub(super) fn at<R>(out: &mut Vec<u8>, place: Place, write: impl FnOnce(&mut Vec<u8>, u32) -> R) -> R {
    let mut numbers = place.numbers();
    let innermost = numbers.next_back().expect("a field that is written has a place");
    let mut starts = Vec::new();
    for outer in numbers {
        tag(out, outer, BYTES);
        starts.push(out.len());
    }
    let result = write(out, innermost);
    for start in starts.into_iter().rev() {
        let mut len = Vec::with_capacity(5);
        varint(&mut len, (out.len() - start) as u64);
        out.splice(start..start, len);
    }
    result
}
