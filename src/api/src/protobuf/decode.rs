//! From a message to the tree that the JSON of the same object would be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use super::wire::{Fields, Wire, take_varint};
use super::{Envelope, Error, Known};
use crate::schema::{Field, MAX_DEPTH, Node, Place, Scalar, Shape};

/// The object in an envelope, with its `apiVersion` and `kind`, not yet made to conform to its schema.
pub fn decode(bytes: &[u8]) -> Result<Value, Error> {
    let Envelope { api_version, kind, raw } = Envelope::open(bytes)?;
    let Some(Known::Type(node)) = Known::of(api_version, kind) else {
        return Err(Error::Kind { api_version: api_version.into(), kind: kind.into() });
    };
    let mut members = Map::new();
    Message { node, place: Place::default(), depth: 0 }.read(raw, &mut members)?;
    members.insert("apiVersion".into(), api_version.into());
    members.insert("kind".into(), kind.into());
    Ok(Value::Object(members))
}

/// A message, or the part of one that is inlined from the message at `place`.
#[derive(Clone, Copy)]
struct Message<'s> {
    node: Node<'s>,
    place: Place,
    depth: usize,
}

/// What a number means in a message.
enum Meaning<'s> {
    Field(Field<'s>),
    Inlined(Place),
    Nothing,
}

impl<'s> Message<'s> {
    fn read(self, bytes: &[u8], members: &mut Map<String, Value>) -> Result<(), Error> {
        if self.depth >= MAX_DEPTH {
            return Err(Error::Depth);
        }
        for field in Fields(bytes) {
            let (number, wire) = field?;
            match self.meaning(number) {
                Meaning::Field(field) => {
                    let slot = members.entry(field.name()).or_insert(Value::Null);
                    Reader { node: field.node(), name: field.name(), depth: self.depth + 1 }
                        .read(wire, slot)?;
                }
                Meaning::Inlined(place) => {
                    let bytes = wire.bytes("inlined")?;
                    Self { place, depth: self.depth + 1, ..self }.read(bytes, members)?;
                }
                // As upstream: what a newer client knows is not ours to refuse.
                Meaning::Nothing => {}
            }
        }
        Ok(())
    }

    fn meaning(self, number: u32) -> Meaning<'s> {
        let Some(place) = self.place.within(number) else { return Meaning::Nothing };
        if let Some(field) = self.node.fields().find(|field| field.place() == place) {
            return Meaning::Field(field);
        }
        match self.node.fields().any(|field| place.holds(field.place())) {
            true => Meaning::Inlined(place),
            false => Meaning::Nothing,
        }
    }
}

/// Reads the value of one field.
#[derive(Clone, Copy)]
struct Reader<'s> {
    node: Node<'s>,
    name: &'s str,
    depth: usize,
}

impl<'s> Reader<'s> {
    /// Adds what `wire` holds to what `slot` holds already: a list comes element by element, and a message may come in parts.
    fn read(self, wire: Wire<'_>, slot: &mut Value) -> Result<(), Error> {
        match self.node.shape() {
            Shape::Object { .. } => self.message(self.node).read(self.bytes(wire)?, object(slot)),
            Shape::Map { values, .. } => self.entry(values, self.bytes(wire)?, object(slot)),
            Shape::List { items, .. } => self.element(items, wire, list(slot)),
            Shape::Scalar(kind) => {
                *slot = self.scalar(kind, wire)?;
                Ok(())
            }
            Shape::Any | Shape::AnyObject => {
                *slot = self.embedded(self.bytes(wire)?)?;
                Ok(())
            }
            Shape::Either { first, second } => {
                *slot = self.either(first, second, self.bytes(wire)?)?;
                Ok(())
            }
        }
    }

    fn bytes<'a>(self, wire: Wire<'a>) -> Result<&'a [u8], Error> {
        wire.bytes(self.name)
    }

    fn message(self, node: Node<'s>) -> Message<'s> {
        Message { node, place: Place::default(), depth: self.depth }
    }

    fn of(self, node: Node<'s>) -> Self {
        Self { node, depth: self.depth + 1, ..self }
    }

    /// A map is a list of messages with a key and a value, either of which may be left out when empty.
    fn entry(self, values: Node<'s>, bytes: &[u8], members: &mut Map<String, Value>) -> Result<(), Error> {
        let (mut key, mut value) = ("", empty(values));
        for field in Fields(bytes) {
            match field? {
                (1, wire) => key = wire.text(self.name)?,
                (2, wire) => self.of(values).map_value(wire, &mut value)?,
                _ => {}
            }
        }
        members.insert(key.to_owned(), value);
        Ok(())
    }

    /// A list cannot be the value of a map: it stands in a message of its own.
    fn map_value(self, wire: Wire<'_>, slot: &mut Value) -> Result<(), Error> {
        let Shape::List { items, .. } = self.node.shape() else { return self.read(wire, slot) };
        for field in Fields(self.bytes(wire)?) {
            if let (1, wire) = field? {
                self.element(items, wire, list(slot))?;
            }
        }
        Ok(())
    }

    fn element(self, items: Node<'s>, wire: Wire<'_>, list: &mut Vec<Value>) -> Result<(), Error> {
        // Numbers may come packed, all in one.
        let packed = match (items.shape(), wire) {
            (Shape::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Bool), Wire::Bytes(packed)) => packed,
            _ => {
                let mut value = Value::Null;
                self.of(items).read(wire, &mut value)?;
                list.push(value);
                return Ok(());
            }
        };
        let mut rest = packed;
        while !rest.is_empty() {
            let mut value = Value::Null;
            self.of(items).read(Wire::Varint(take_varint(&mut rest)?), &mut value)?;
            list.push(value);
        }
        Ok(())
    }

    fn scalar(self, kind: Scalar, wire: Wire<'_>) -> Result<Value, Error> {
        Ok(match kind {
            Scalar::String => wire.text(self.name)?.into(),
            Scalar::Bytes => STANDARD.encode(self.bytes(wire)?).into(),
            Scalar::Bool => (wire.varint(self.name)? != 0).into(),
            Scalar::Int32 => wire.int(self.name)?.into(),
            Scalar::Int64 => wire.long(self.name)?.into(),
            Scalar::Number => match wire {
                Wire::Fixed64(bits) => self.double(f64::from_bits(bits))?,
                _ => return Err(Error::WireType(self.name.into())),
            },
            Scalar::Quantity => self.quantity(self.bytes(wire)?)?,
            Scalar::IntOrString => self.int_or_string(self.bytes(wire)?)?,
            Scalar::Time | Scalar::MicroTime => self.time(self.bytes(wire)?)?,
        })
    }

    /// As Go writes it in JSON: without a fraction where there is none.
    fn double(self, value: f64) -> Result<Value, Error> {
        const EXACT: f64 = (1_u64 << 53) as f64;
        if value.fract() == 0.0 && value.abs() < EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and small enough")]
            return Ok((value as i64).into());
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| Error::Value(self.name.into()))
    }

    fn quantity(self, bytes: &[u8]) -> Result<Value, Error> {
        let mut text = "0";
        for field in Fields(bytes) {
            if let (1, wire) = field? {
                text = wire.text(self.name)?;
            }
        }
        Ok(if text.is_empty() { "0" } else { text }.into())
    }

    fn int_or_string(self, bytes: &[u8]) -> Result<Value, Error> {
        let (mut is_text, mut int, mut text) = (false, 0, "");
        for field in Fields(bytes) {
            match field? {
                (1, wire) => is_text = wire.varint(self.name)? != 0,
                (2, wire) => int = wire.int(self.name)?,
                (3, wire) => text = wire.text(self.name)?,
                _ => {}
            }
        }
        Ok(if is_text { text.into() } else { int.into() })
    }

    /// The zero time has no bytes at all, and is none.
    fn time(self, bytes: &[u8]) -> Result<Value, Error> {
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        let (mut seconds, mut nanoseconds) = (0, 0);
        for field in Fields(bytes) {
            match field? {
                (1, wire) => seconds = wire.long(self.name)?,
                (2, wire) => nanoseconds = wire.int(self.name)?,
                _ => {}
            }
        }
        let time = Timestamp::new(seconds, nanoseconds).map_err(|_| Error::Value(self.name.into()))?;
        Ok(format!("{time:.9}").into())
    }

    /// JSON within protobuf: extensions, field sets, defaults of schemas.
    fn embedded(self, bytes: &[u8]) -> Result<Value, Error> {
        let mut json: &[u8] = &[];
        for field in Fields(bytes) {
            if let (1, wire) = field? {
                json = self.bytes(wire)?;
            }
        }
        if json.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(json).map_err(|source| Error::Embedded { field: self.name.into(), source })
    }

    /// A schema, or instead of it a flag (which comes first) or a list (which comes second).
    fn either(self, first: Node<'s>, second: Node<'s>, bytes: &[u8]) -> Result<Value, Error> {
        let (schema, other) = match first.shape() {
            Shape::Object { .. } => (first, second),
            _ => (second, first),
        };
        let flag = matches!(other.shape(), Shape::Scalar(_));
        let (schema_number, other_number) = if flag { (2, 1) } else { (1, 2) };
        let (mut object, mut instead) = (Value::Null, if flag { false.into() } else { Value::Null });
        for field in Fields(bytes) {
            match field? {
                (number, wire) if number == schema_number => self.of(schema).read(wire, &mut object)?,
                (number, wire) if number == other_number => self.of(other).read(wire, &mut instead)?,
                _ => {}
            }
        }
        Ok(if object.is_null() || instead.is_array() { instead } else { object })
    }
}

/// What a map's value is where it was left out.
fn empty(values: Node<'_>) -> Value {
    match values.shape() {
        Shape::Scalar(Scalar::String | Scalar::Bytes) => "".into(),
        Shape::Scalar(Scalar::Quantity) => "0".into(),
        Shape::List { .. } => Value::Array(Vec::new()),
        Shape::Object { .. } => Value::Object(Map::new()),
        _ => Value::Null,
    }
}

fn object(slot: &mut Value) -> &mut Map<String, Value> {
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("made one above")
}

fn list(slot: &mut Value) -> &mut Vec<Value> {
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    slot.as_array_mut().expect("made one above")
}
