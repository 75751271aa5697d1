//! Scalars: what JSON each takes, and the one form it is stored in.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Number, Value};

use super::Scalar;
use crate::quantity::{ParseError, Quantity};

/// A scalar as the reader found it.
#[derive(Debug)]
pub(super) enum Found<'a> {
    Bool(bool),
    Number(Number),
    Str(Cow<'a, str>),
}

impl Found<'_> {
    pub(super) fn into_value(self) -> Value {
        match self {
            Found::Bool(value) => Value::Bool(value),
            Found::Number(number) => Value::Number(number),
            Found::Str(text) => Value::String(text.into_owned()),
        }
    }

    /// Go's word for it. Where a number does not fit its type, the number itself belongs to it.
    pub(super) fn go_name(&self, wanted: Scalar) -> String {
        match (self, wanted) {
            (Found::Number(number), Scalar::Int32 | Scalar::Int64) => format!("number {number}"),
            (Found::Number(_), _) => "number".to_owned(),
            (Found::Bool(_), _) => "bool".to_owned(),
            (Found::Str(_), _) => "string".to_owned(),
        }
    }
}

/// Whether a value of this JSON type belongs here.
pub(super) fn takes(kind: Scalar, found: &Found<'_>) -> bool {
    match (kind, found) {
        (Scalar::String | Scalar::Bytes | Scalar::Time | Scalar::MicroTime, Found::Str(_))
        | (Scalar::Bool, Found::Bool(_))
        | (Scalar::Number, Found::Number(_))
        | (Scalar::Quantity | Scalar::IntOrString, Found::Str(_)) => true,
        (Scalar::Int32 | Scalar::IntOrString, Found::Number(number)) => fits_i32(number),
        (Scalar::Int64, Found::Number(number)) => number.is_i64(),
        (Scalar::Quantity, Found::Number(_)) => true,
        _ => false,
    }
}

fn fits_i32(number: &Number) -> bool {
    number.as_i64().is_some_and(|value| i32::try_from(value).is_ok())
}

/// The stored form of a value that [`takes`] let in, or upstream's complaint about it.
pub(super) fn read(kind: Scalar, found: Found<'_>) -> Result<Value, String> {
    match (kind, found) {
        (Scalar::Time, Found::Str(text)) => {
            Ok(format!("{:.0}", truncated(time(&text)?, 1_000_000_000)).into())
        }
        (Scalar::MicroTime, Found::Str(text)) => Ok(format!("{:.6}", truncated(time(&text)?, 1_000)).into()),
        (Scalar::Bytes, Found::Str(text)) => bytes(text),
        (Scalar::Quantity, Found::Str(text)) => quantity(&text),
        (Scalar::Quantity, Found::Number(number)) => quantity(&number.to_string()),
        (_, found) => Ok(found.into_value()),
    }
}

fn quantity(text: &str) -> Result<Value, String> {
    let quantity: Quantity = text.trim().parse().map_err(|error: ParseError| error.to_string())?;
    Ok(quantity.to_string().into())
}

fn time(text: &str) -> Result<Timestamp, String> {
    let refused = || format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?}");
    // jiff also reads other forms of ISO 8601; RFC 3339 has exactly this shape.
    let shaped = text.len() >= "2006-01-02T15:04:05Z".len() && text.as_bytes()[10] == b'T';
    if !shaped || text.contains('[') {
        return Err(refused());
    }
    text.parse().map_err(|_| refused())
}

/// Upstream's encoder cuts what is finer than it writes.
fn truncated(time: Timestamp, nanoseconds: i128) -> Timestamp {
    let whole = time.as_nanosecond().div_euclid(nanoseconds) * nanoseconds;
    Timestamp::from_nanosecond(whole).unwrap_or(time)
}

fn bytes(text: Cow<'_, str>) -> Result<Value, String> {
    // Go's decoder skips line breaks.
    let text = if text.contains(['\r', '\n']) { text.replace(['\r', '\n'], "").into() } else { text };
    match STANDARD.decode(text.as_bytes()) {
        Ok(_) => Ok(text.into_owned().into()),
        Err(error) => Err(format!("illegal base64 data at input byte {}", position(&error, text.len()))),
    }
}

fn position(error: &base64::DecodeError, len: usize) -> usize {
    match error {
        base64::DecodeError::InvalidByte(at, _)
        | base64::DecodeError::InvalidLastSymbol { offset: at, .. } => *at,
        _ => len - len % 4,
    }
}
