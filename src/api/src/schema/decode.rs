//! From bytes, or from a tree that a patch made, to the object that upstream would store: what a round trip through
//! its Go struct does. One pass checks types, reports unknown and duplicate fields, prunes what the schema does not
//! name, drops nulls and empty values, writes the ones Go always writes, and refuses depth.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use thiserror::Error;

use super::scalar::{self, Found};
use super::strict::{Path, Step, Strict};
use super::{Node, Scalar, Shape, Zero, go, syntax};

/// How deep an object may nest: the stack is finite, and no kind of ours comes near.
pub const MAX_DEPTH: usize = 128;

#[derive(Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    #[error("{0}")]
    Syntax(String),
    /// A value of the wrong type, or a string that does not parse, in upstream's words.
    #[error("{0}")]
    Type(String),
    #[error("exceeded max depth")]
    Depth,
}

/// Decodes JSON as an object of this schema.
pub fn decode(json: &[u8], node: Node<'_>, strict: &mut Strict) -> Result<Value, DecodeError> {
    read(json, Some(node), strict)
}

/// Parses JSON of no schema, a patch for example. Reports duplicate keys, changes nothing.
pub fn parse(json: &[u8], strict: &mut Strict) -> Result<Value, DecodeError> {
    read(json, None, strict)
}

/// Makes a tree an object of this schema, as [`decode`] does for bytes.
pub fn conform(value: Value, node: Node<'_>, strict: &mut Strict) -> Result<Value, DecodeError> {
    let mut state = State { strict, error: None };
    let seed = Seed { node: Some(node), path: &Path::ROOT, depth: 0, state: &mut state };
    let result = seed.deserialize(value);
    result.map_err(|error| state.failure(&error))
}

fn read(json: &[u8], node: Option<Node<'_>>, strict: &mut Strict) -> Result<Value, DecodeError> {
    let mut state = State { strict, error: None };
    let mut reader = serde_json::Deserializer::from_slice(json);
    let seed = Seed { node, path: &Path::ROOT, depth: 0, state: &mut state };
    let result = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    result.map_err(|error| match syntax::complaint(json) {
        Some(complaint) if state.error.is_none() => DecodeError::Syntax(complaint),
        _ => state.failure(&error),
    })
}

struct State<'a> {
    strict: &'a mut Strict,
    /// Why we stopped, when it was not the reader: serde's errors carry text only.
    error: Option<DecodeError>,
}

impl State<'_> {
    fn failure(self, error: &serde_json::Error) -> DecodeError {
        self.error.unwrap_or_else(|| DecodeError::Syntax(error.to_string()))
    }
}

/// Reads one value as what the node says; without a node as anything.
struct Seed<'a, 'p, 's, 'st> {
    node: Option<Node<'s>>,
    path: &'a Path<'p, 's>,
    depth: usize,
    state: &'a mut State<'st>,
}

impl<'s> Seed<'_, '_, 's, '_> {
    fn fail<T, E: serde::de::Error>(self, error: DecodeError) -> Result<T, E> {
        let text = E::custom(&error);
        self.state.error.get_or_insert(error);
        Err(text)
    }

    fn mismatch<T, E: serde::de::Error>(self, found: &str, wanted: Node<'s>) -> Result<T, E> {
        let message = go::mismatch(self.path, found, wanted);
        self.fail(DecodeError::Type(message))
    }

    fn scalar<E: serde::de::Error>(self, found: Found<'_>) -> Result<Value, E> {
        let Some(node) = self.node else { return Ok(found.into_value()) };
        let node = choose(node, |shape| matches!(shape, Shape::Scalar(s) if scalar::takes(s, &found)));
        match node.shape() {
            Shape::Any | Shape::AnyObject => Ok(found.into_value()),
            Shape::Scalar(kind) if scalar::takes(kind, &found) => {
                scalar::read(kind, found).or_else(|message| self.fail(DecodeError::Type(message)))
            }
            Shape::Scalar(kind) => self.mismatch(&found.go_name(kind), node),
            _ => self.mismatch(&found.go_name(Scalar::String), node),
        }
    }
}

/// The branch of an either that fits, or the node itself.
fn choose<'s>(node: Node<'s>, fits: impl Fn(Shape<'s>) -> bool) -> Node<'s> {
    match node.shape() {
        Shape::Either { second, .. } if fits(second.shape()) => second,
        Shape::Either { first, .. } => first,
        _ => node,
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_, '_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_, '_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.scalar(Found::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.scalar(Found::Number(value.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.scalar(Found::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        match serde_json::Number::from_f64(value) {
            Some(number) => self.scalar(Found::Number(number)),
            None => Err(E::custom("JSON has no infinite numbers")),
        }
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.scalar(Found::Str(value.into()))
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        self.scalar(Found::Str(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        if self.depth >= MAX_DEPTH {
            return self.fail(DecodeError::Depth);
        }
        let items = match self.node.map(|node| choose(node, |shape| matches!(shape, Shape::List { .. }))) {
            None => None,
            Some(node) => match node.shape() {
                Shape::List { items, .. } => Some(items),
                Shape::Any | Shape::AnyObject => None,
                _ => return self.mismatch("array", node),
            },
        };
        let mut list = Vec::new();
        loop {
            let path = self.path.to(Step::Index(list.len()));
            let seed = Seed { node: items, path: &path, depth: self.depth + 1, state: &mut *self.state };
            let Some(value) = seq.next_element_seed(seed)? else { return Ok(Value::Array(list)) };
            list.push(if value.is_null() { items.map_or(Value::Null, zero_value) } else { value });
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        if self.depth >= MAX_DEPTH {
            return self.fail(DecodeError::Depth);
        }
        let node = self.node.map(|node| choose(node, |shape| matches!(shape, Shape::Object { .. })));
        match node.map(|node| (node, node.shape())) {
            None | Some((_, Shape::Any | Shape::AnyObject)) => self.open_map(None, map),
            Some((_, Shape::Map { values, .. })) => self.open_map(Some(values), map),
            Some((node, Shape::Object { .. })) => self.object(node, map),
            Some((node, _)) => self.mismatch("object", node),
        }
    }
}

impl<'s> Seed<'_, '_, 's, '_> {
    fn open_map<'de, A: MapAccess<'de>>(
        self,
        values: Option<Node<'s>>,
        mut map: A,
    ) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let path = self.path.to(Step::Key(&key));
            if members.contains_key(&key) {
                self.state.strict.duplicate(path);
            }
            let seed = Seed { node: values, path: &path, depth: self.depth + 1, state: &mut *self.state };
            let value = map.next_value_seed(seed)?;
            let value = if value.is_null() { values.map_or(Value::Null, zero_value) } else { value };
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }

    fn object<'de, A: MapAccess<'de>>(self, node: Node<'s>, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        let keep = matches!(node.shape(), Shape::Object { unknown: super::Unknown::Kept, .. });
        while let Some(key) = map.next_key::<String>()? {
            let Some(field) = node.field(&key) else {
                let path = self.path.to(Step::Key(&key));
                if keep {
                    let seed =
                        Seed { node: None, path: &path, depth: self.depth + 1, state: &mut *self.state };
                    let value = map.next_value_seed(seed)?;
                    members.insert(key, value);
                } else {
                    self.state.strict.unknown(path);
                    map.next_value::<IgnoredAny>()?;
                }
                continue;
            };
            let path = self.path.to(Step::Field(&key, node));
            if members.contains_key(&key) {
                self.state.strict.duplicate(path);
            }
            let seed = Seed {
                node: Some(field.node()),
                path: &path,
                depth: self.depth + 1,
                state: &mut *self.state,
            };
            let value = map.next_value_seed(seed)?;
            members.insert(key, value);
        }
        settle(node, &mut members);
        Ok(Value::Object(members))
    }
}

/// Drops what Go would omit and writes what it always writes.
fn settle(node: Node<'_>, members: &mut Map<String, Value>) {
    for field in node.fields() {
        let empty = match members.get(field.name()) {
            None => true,
            Some(Value::Null) => !field.nullable(),
            Some(value) => field.zero() == Zero::Dropped && is_zero(value),
        };
        match field.zero() {
            _ if !empty => {}
            Zero::Written => drop(members.insert(field.name().to_owned(), zero_value(field.node()))),
            Zero::Kept | Zero::Dropped => drop(members.remove(field.name())),
        }
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// What Go has where nobody set anything.
pub(crate) fn zero_value(node: Node<'_>) -> Value {
    match node.shape() {
        Shape::Object { .. } => {
            let mut members = Map::new();
            settle(node, &mut members);
            Value::Object(members)
        }
        Shape::Scalar(Scalar::Bool) => false.into(),
        Shape::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Number | Scalar::IntOrString) => 0.into(),
        Shape::Scalar(Scalar::Quantity) => "0".into(),
        Shape::Scalar(Scalar::String | Scalar::Bytes) => "".into(),
        Shape::Scalar(Scalar::Time | Scalar::MicroTime)
        | Shape::Map { .. }
        | Shape::List { .. }
        | Shape::Any
        | Shape::AnyObject
        | Shape::Either { .. } => Value::Null,
    }
}
