//! From the JSON of an object to its message, in one pass and without a tree between the two.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::envelope::meta;
use super::{Envelope, Error, Known, wire};
use crate::schema::{Node, Place, Scalar, Shape};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypeMeta<'a> {
    #[serde(borrow, default)]
    api_version: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
}

/// The JSON of an object or a list of a known kind, as a message in its envelope.
pub fn encode(json: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(json.len());
    envelope(json, &mut out)?;
    Ok(out)
}

/// A change as a watch sends it: the length, then a `meta/v1 WatchEvent` with the object in an envelope of its own.
pub fn event(what: &str, json: &[u8]) -> Result<Vec<u8>, Error> {
    const TYPE: u32 = 1;
    const OBJECT: u32 = 2;
    const RAW: u32 = 1;
    let mut out = vec![0; 4];
    wire::bytes(&mut out, TYPE, what.as_bytes());
    wire::delimited(&mut out, OBJECT, |out| wire::delimited(out, RAW, |out| envelope(json, out)))?;
    let len = u32::try_from(out.len() - 4).map_err(|_| Error::Truncated)?;
    out[..4].copy_from_slice(&len.to_be_bytes());
    Ok(out)
}

fn envelope(json: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let TypeMeta { api_version, kind } = serde_json::from_slice(json).map_err(Error::Object)?;
    let unknown = || Error::Kind { api_version: (&*api_version).into(), kind: (&*kind).into() };
    let known = Known::of(&api_version, &kind).ok_or_else(unknown)?;
    let written = Envelope::seal(&api_version, &kind, out, |out| {
        Root { known, out }.deserialize(&mut serde_json::Deserializer::from_slice(json))
    });
    written.map_err(Error::Object)
}

/// A whole object: the fields of its type, or the metadata and items that every list has.
struct Root<'a> {
    known: Known,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Root<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.known {
            Known::Type(node) => Message { node, out: self.out }.deserialize(deserializer),
            _ => deserializer.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Root<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (metadata, item) = match self.known {
            Known::Partial | Known::Type(_) => ("ObjectMeta", None),
            Known::List(node) => ("ListMeta", Some(Known::Type(node))),
            Known::PartialList => ("ListMeta", Some(Known::Partial)),
        };
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match (&*name, item) {
                ("metadata", _) => {
                    let node = meta(metadata).ok_or_else(|| A::Error::custom("no type of metadata"))?;
                    wire::delimited(self.out, 1, |out| map.next_value_seed(Message { node, out }))?;
                }
                ("items", Some(known)) => map.next_value_seed(Items { known, out: &mut *self.out })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

struct Items<'a> {
    known: Known,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let known = self.known;
        loop {
            let start = self.out.len();
            let item = wire::delimited(self.out, 2, |out| seq.next_element_seed(Root { known, out }))?;
            if item.is_none() {
                self.out.truncate(start);
                return Ok(());
            }
        }
    }
}

/// The fields of one object, without a tag or a length.
struct Message<'a, 's> {
    node: Node<'s>,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Message<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Message<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match self.node.field(&name).filter(|field| !field.place().is_none()) {
                Some(field) => map.next_value_seed(Seed {
                    node: field.node(),
                    place: field.place(),
                    out: &mut *self.out,
                })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// One value, as the field at `place` of the message that is being written.
struct Seed<'a, 's> {
    node: Node<'s>,
    place: Place,
    out: &'a mut Vec<u8>,
}

/// The place of a message's field that no schema names.
fn number(number: u32) -> Place {
    Place::default().within(number).expect("a small number")
}

impl Seed<'_, '_> {
    fn mismatch<E: serde::de::Error>(&self, found: &str) -> E {
        E::custom(format_args!("{found} where there is {:?}", self.node))
    }

    fn varint<E: serde::de::Error>(self, value: u64, found: &str) -> Result<(), E> {
        let Self { place, out, .. } = self;
        match self.node.shape() {
            Shape::Scalar(Scalar::Bool | Scalar::Int32 | Scalar::Int64) => {
                wire::at(out, place, |out, number| wire::number(out, number, value));
            }
            Shape::Scalar(Scalar::IntOrString) => wire::at(out, place, |out, number| {
                wire::delimited(out, number, |out| {
                    wire::number(out, 1, 0);
                    wire::number(out, 2, value);
                });
            }),
            // A flag instead of a schema.
            Shape::Either { .. } => wire::at(out, place, |out, number| {
                wire::delimited(out, number, |out| wire::number(out, 1, value));
            }),
            _ => return Err(Seed { node: self.node, place, out }.mismatch(found)),
        }
        Ok(())
    }

    fn double<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        match self.node.shape() {
            Shape::Scalar(Scalar::Number) => {
                wire::at(self.out, self.place, |out, number| wire::double(out, number, value));
                Ok(())
            }
            _ => Err(self.mismatch("a number")),
        }
    }

    fn time<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let time: Timestamp = text.parse().map_err(E::custom)?;
        let nanoseconds = i64::from(time.subsec_nanosecond());
        // jiff counts both parts towards zero, the wire the second upwards.
        let (seconds, nanoseconds) = match nanoseconds < 0 {
            true => (time.as_second() - 1, nanoseconds + 1_000_000_000),
            false => (time.as_second(), nanoseconds),
        };
        wire::at(self.out, self.place, |out, number| {
            wire::delimited(out, number, |out| {
                wire::number(out, 1, seconds.cast_unsigned());
                wire::number(out, 2, nanoseconds.cast_unsigned());
            });
        });
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.node.shape() {
            Shape::Any | Shape::AnyObject => {
                let json = <&RawValue>::deserialize(deserializer)?;
                wire::at(self.out, self.place, |out, number| {
                    wire::delimited(out, number, |out| wire::bytes(out, 1, json.get().as_bytes()));
                });
                Ok(())
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.node)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.varint(u64::from(value), "a boolean")
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        match self.node.shape() {
            Shape::Scalar(Scalar::Number) => self.double(value as f64),
            // A negative number is as long as the longest.
            _ => self.varint(value.cast_unsigned(), "a number"),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        match self.node.shape() {
            Shape::Scalar(Scalar::Number) => self.double(value as f64),
            _ => self.varint(value, "a number"),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.double(value)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let Self { place, out, .. } = self;
        match self.node.shape() {
            Shape::Scalar(Scalar::String) => {
                wire::at(out, place, |out, number| wire::bytes(out, number, text.as_bytes()));
            }
            Shape::Scalar(Scalar::Bytes) => {
                let bytes = STANDARD.decode(text).map_err(E::custom)?;
                wire::at(out, place, |out, number| wire::bytes(out, number, &bytes));
            }
            Shape::Scalar(Scalar::Quantity) => wire::at(out, place, |out, number| {
                wire::delimited(out, number, |out| wire::bytes(out, 1, text.as_bytes()));
            }),
            Shape::Scalar(Scalar::IntOrString) => wire::at(out, place, |out, number| {
                wire::delimited(out, number, |out| {
                    wire::number(out, 1, 1);
                    wire::bytes(out, 3, text.as_bytes());
                });
            }),
            Shape::Scalar(Scalar::Time | Scalar::MicroTime) => {
                return Seed { node: self.node, place, out }.time(text);
            }
            _ => return Err(Seed { node: self.node, place, out }.mismatch("a string")),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { node, place, out } = self;
        match node.shape() {
            Shape::List { items, .. } => {
                while seq.next_element_seed(Seed { node: items, place, out: &mut *out })?.is_some() {}
                Ok(())
            }
            // A list instead of a schema.
            Shape::Either { first, second } => {
                let list = if first.items().is_some() { first } else { second };
                wire::at(out, place, |out, field| {
                    wire::delimited(out, field, |out| {
                        Seed { node: list, place: number(2), out }.visit_seq(seq)
                    })
                })
            }
            _ => Err(Seed { node, place, out }.mismatch("a list")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Self { node, place, out } = self;
        match node.shape() {
            Shape::Object { .. } => wire::at(out, place, |out, number| {
                wire::delimited(out, number, |out| Message { node, out }.visit_map(map))
            }),
            Shape::Map { values, .. } => entries(values, place, out, map),
            Shape::Either { first, second } => {
                let (schema, field) = match (first.shape(), second.shape()) {
                    (Shape::Object { .. }, Shape::Scalar(_)) => (first, number(2)),
                    (Shape::Object { .. }, _) => (first, number(1)),
                    (Shape::Scalar(_), _) => (second, number(2)),
                    _ => (second, number(1)),
                };
                wire::at(out, place, |out, number| {
                    wire::delimited(out, number, |out| {
                        Seed { node: schema, place: field, out }.visit_map(map)
                    })
                })
            }
            _ => Err(Seed { node, place, out }.mismatch("an object")),
        }
    }
}

/// A map is a list of messages with a key and a value; a list among its values stands in a message of its own.
fn entries<'de, A: MapAccess<'de>>(
    values: Node<'_>,
    place: Place,
    out: &mut Vec<u8>,
    mut map: A,
) -> Result<(), A::Error> {
    while let Some(key) = map.next_key::<Cow<'de, str>>()? {
        wire::at(out, place, |out, field| {
            wire::delimited(out, field, |out| {
                wire::bytes(out, 1, key.as_bytes());
                match values.shape() {
                    Shape::List { .. } => wire::delimited(out, 2, |out| {
                        map.next_value_seed(Seed { node: values, place: number(1), out })
                    }),
                    _ => map.next_value_seed(Seed { node: values, place: number(2), out }),
                }
            })
        })?;
    }
    Ok(())
}
