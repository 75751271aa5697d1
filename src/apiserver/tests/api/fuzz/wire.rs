//! Damage to protobuf: lengths that lie, numbers without an end, messages within messages.

use fastrand::Rng;

use super::text;

const MINUS_ONE: [u8; 10] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
const ENDLESS: [u8; 12] = [0xff; 12];

pub(super) fn damage(bytes: &mut Vec<u8>, dice: &mut Rng) {
    // Mostly behind the four bytes that say what it is.
    let first = if dice.u8(..8) == 0 { 0 } else { 4 };
    let at = dice.usize(first.min(bytes.len())..=bytes.len());
    match dice.u8(..8) {
        0 => bytes.truncate(at),
        1 => text::flip(&mut bytes[first..], dice),
        2 => drop(bytes.splice(at..at, MINUS_ONE)),
        3 => drop(bytes.splice(at..at, ENDLESS)),
        4 => drop(bytes.splice(at..at, (0..dice.usize(..30)).map(|_| dice.u8(..)).collect::<Vec<_>>())),
        // Groups, which nobody uses any more, opened and never closed.
        5 => drop(bytes.splice(at..at, [0x0b; 40])),
        6 => *bytes = schema_in_schema(dice.usize(1..3000)),
        _ => bytes.extend_from_slice(&nested(dice.usize(1..3000), dice.u8(1..16))),
    }
}

/// The same field in itself, again and again.
fn nested(depth: usize, field: u8) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |inner, _| message(u32::from(field), &inner))
}

/// A message that only holds another.
fn message(field: u32, inner: &[u8]) -> Vec<u8> {
    let mut bytes = varint(u64::from(field) << 3 | 2);
    bytes.extend(varint(u64::try_from(inner.len()).unwrap()));
    bytes.extend_from_slice(inner);
    bytes
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let seven = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            bytes.push(seven);
            return bytes;
        }
        bytes.push(seven | 0x80);
    }
}

/// A definition whose schema is `not` of `not` of …: the one type that holds itself.
fn schema_in_schema(depth: usize) -> Vec<u8> {
    const NOT: u32 = 29;
    let schema = (0..depth).fold(Vec::new(), |inner, _| message(NOT, &inner));
    let version = message(4, &message(1, &schema));
    let definition = message(2, &message(7, &version));
    let kind = [message(1, b"apiextensions.k8s.io/v1"), message(2, b"CustomResourceDefinition")].concat();
    [b"k8s\0".to_vec(), message(1, &kind), message(2, &definition)].concat()
}
